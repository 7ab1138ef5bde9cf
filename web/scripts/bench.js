/**
 * Measures the page in Chromium at a quarter of the processor's speed: `npm run bench`. The figures are in docs/performance.md.
 *
 * - key to frame: from a key press in the field to the frame that shows it, in a room of 5,000 messages and in an empty one
 * - 1,000 arriving messages: from the first to the frame after the last
 * - first load: from the request to the first screen that can be used, on a line of 400 kbit/s and 400 ms (slow 3G), and the bytes that it took
 */
import { create, openBrowser } from "../tests/support/browser.js";
import { startServer } from "../tests/support/server.js";

const SLOWER = 4;
const KEYS = 60;
const SLOW_3G = { offline: false, latency: 400, downloadThroughput: 400_000 / 8, uploadThroughput: 400_000 / 8 };

const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(0);
const server = await startServer();
const chromium = await openBrowser(server);

async function slow(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  return devtools;
}

async function typing(page) {
  const took = await page.evaluate(async (keys) => {
    const field = document.querySelector(".composer textarea");
    field.focus();
    const took = [];
    for (let i = 0; i < keys; i++) {
      const before = performance.now();
      document.execCommand("insertText", false, i % 9 === 8 ? " " : "x");
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      took.push(performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return took.sort((a, b) => a - b);
  }, KEYS);
  return `p50 ${at(took, 0.5)} ms, p95 ${at(took, 0.95)} ms`;
}

/** Messages that come, as the room's screen is told of them. */
const arrive = (page, count) =>
  page.evaluate(async (count) => {
    const { Timeline } = await import("/ui/timeline.js");
    const place = document.querySelector(".timeline");
    const timeline = window.filled ?? new Timeline();
    if (!window.filled) place.replaceWith(timeline.element);
    window.filled = timeline;
    const before = performance.now();
    for (let i = 0; i < count; i++) {
      const said = { name: `Member ${i % 7}`, fingerprint: `${"ABCDEFG"[i % 7]}A`, verified: false, only: "", written: Date.now(), mine: false };
      timeline.say({ ...said, text: `Message ${i} with some words and https://example.org/${i}` });
      // As from the network: some at a time.
      if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve));
    }
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - before;
  }, count);

const room = await chromium.person();
await create(room, server);
const line = await slow(room);
// Besides, the processor's time of the page's own thread: a busy machine does not change it.
await line.send("Performance.enable", { timeDomain: "threadTicks" });
const busy = async () => (await line.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value * 1_000;
console.log(`key to frame, empty room: ${await typing(room)}`);
await arrive(room, 3_000);
const took = await arrive(room, 1_000);
await line.send("Emulation.setCPUThrottlingRate", { rate: 1 });
const before = await busy();
await arrive(room, 1_000);
const cpu = (await busy()) - before;
await line.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
console.log(`1,000 arriving messages: ${took.toFixed(0)} ms; ${cpu.toFixed(0)} ms of the processor at full speed`);
console.log(`key to frame, 5,000 messages: ${await typing(room)}`);

const guest = await chromium.person();
const devtools = await slow(guest);
await devtools.send("Network.enable");
await devtools.send("Network.emulateNetworkConditions", SLOW_3G);
for (const visit of ["first", "second"]) {
  let bytes = 0;
  const count = ({ encodedDataLength }) => (bytes += encodedDataLength);
  devtools.on("Network.loadingFinished", count);
  const began = Date.now();
  await guest.goto(`${server.origin}/`, { waitUntil: "commit" });
  await guest.getByText("Subrosa").first().waitFor();
  const seen = Date.now() - began;
  await guest.getByRole("heading", { name: "Open a room" }).waitFor();
  console.log(`${visit} load on slow 3G: something seen after ${seen} ms, usable after ${Date.now() - began} ms, ${bytes} bytes until then`);
  devtools.off("Network.loadingFinished", count);
  await guest.waitForLoadState("networkidle");
}
await chromium.close();
await server.stop();
