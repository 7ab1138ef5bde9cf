/**
 * Draws the icons that are pictures out of the one that is a drawing, by the browser of the tests: `npm run icons`.
 */
import { readFileSync } from "node:fs";

import { chromium } from "playwright-core";

const app = new URL("../app/", import.meta.url);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
for (const size of [180, 192, 512]) {
  await page.setViewportSize({ width: size, height: size });
  // Systems cut icons into shapes of their own: the ground reaches to the edges.
  const drawing = readFileSync(new URL("icon.svg", app)).toString("base64");
  await page.setContent(
    `<body style="margin:0;background:#8f2647;display:grid;place-items:center;height:100vh"><img style="width:100%" src="data:image/svg+xml;base64,${drawing}">`,
  );
  await page.locator("img").evaluate((image) => image.decode());
  await page.screenshot({ path: new URL(`icon-${size}.png`, app).pathname });
}
await browser.close();
