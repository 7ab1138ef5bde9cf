/**
 * The camera, to read a code from another screen.
 */
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { readCode } from "./qr.js";

/**
 * Shows what the camera sees until a code is found.
 *
 * @param {string} without what to do where the camera cannot be used
 * @returns {Promise<string | null>} its text; null when the person gave up
 */
export async function scanCode(without) {
  const video = h("video", { class: "viewfinder", muted: true, playsInline: true, "aria-label": t("scan.hint") });
  const message = h("p", { class: "hint", role: "status" }, t("scan.hint"));
  const stop = new AbortController();
  const { close } = openDialog(t("scan.title"), () => [video, message], { onclose: () => stop.abort() });
  /** @type {MediaStream | undefined} */
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    if (stop.signal.aborted) return null;
    video.srcObject = stream;
    await video.play();
    const text = await readCode(video, stop.signal);
    close();
    return text;
  } catch {
    message.textContent = without;
    message.className = "problem";
    video.remove();
    return null;
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
  }
}
