/**
 * QR codes: drawing them, and reading them with the camera.
 */
import { h, svg } from "./dom.js";

/** Quiet modules around the code, as scanners want them. */
const BORDER = 3;
/** The longest side of a picture that is looked at, in pixels. */
const LOOK_AT = 960;

/**
 * A code as an image, in a frame of its final size. The encoder is loaded when the first code is shown.
 *
 * @param {string} text
 * @param {string} label for those who do not see it
 */
export function drawCode(text, label) {
  const frame = h("div", { class: "code" });
  import("/vendor/qr/index.js").then(({ encodeQR }) => frame.append(draw(encodeQR, text, label)));
  return frame;
}

/** Always dark on light, whatever the theme: scanners want it so. @param {typeof import("/vendor/qr/index.js").encodeQR} encodeQR @param {string} text @param {string} label */
function draw(encodeQR, text, label) {
  const rows = encodeQR(text, "raw", { border: BORDER, ecc: "low" });
  let path = "";
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      let width = 1;
      while (row[x + width]) width++;
      path += `M${x} ${y}h${width}v1h-${width}z`;
      x += width;
    }
  }
  const size = rows.length;
  return svg(
    "svg",
    { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: size, height: size, class: "code-paper" }),
    svg("path", { d: path, class: "code-ink" }),
  );
}

/** @typedef {{ detect: (source: CanvasImageSource) => Promise<{ rawValue: string }[]> }} Detector */

/**
 * Reads codes out of a video until one is found or `stop` says so.
 *
 * @param {HTMLVideoElement} video playing
 * @param {AbortSignal} stop
 * @returns {Promise<string | null>}
 */
export async function readCode(video, stop) {
  const look = (await nativeReader()) ?? (await ownReader());
  while (!stop.aborted) {
    const text = video.videoWidth > 0 ? await look(video) : null;
    if (text !== null) return text;
    await new Promise((resolve) => setTimeout(resolve, 120));
  }
  return null;
}

/** The browser's own reader, where there is one. */
async function nativeReader() {
  /** @type {any} */
  const { BarcodeDetector } = globalThis;
  const formats = (await BarcodeDetector?.getSupportedFormats().catch(() => [])) ?? [];
  if (!formats.includes("qr_code")) return null;
  /** @type {Detector} */
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  return async (/** @type {HTMLVideoElement} */ video) => (await detector.detect(video).catch(() => []))[0]?.rawValue ?? null;
}

/** Our own: larger, and loaded only when it is needed. */
async function ownReader() {
  const { decodeQR } = await import("/vendor/qr/decode.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (/** @type {HTMLVideoElement} */ video) => {
    const scale = Math.min(1, LOOK_AT / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    context?.drawImage(video, 0, 0, canvas.width, canvas.height);
    const image = context?.getImageData(0, 0, canvas.width, canvas.height);
    try {
      return image ? decodeQR(image) : null;
    } catch {
      // No code in this picture.
      return null;
    }
  };
}
