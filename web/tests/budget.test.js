/** What the first visit costs, and what must not be in the client at all. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";

import { LANGUAGES } from "../app/ui/i18n.js";
import { firstLoad } from "../scripts/preload.js";

const BUDGET_BYTES = 130_000;
const app = new URL("../app/", import.meta.url);
const read = (path) => readFileSync(new URL(`.${path}`, app));
const size = (path) => gzipSync(read(path), { level: 9 }).length;

test("the first load stays under its budget, compressed and with the largest language", () => {
  const language = Math.max(...["en", ...LANGUAGES].map((name) => size(`/ui/text/${name}.js`)));
  const paths = [...firstLoad(), "/index.html", "/style.css", "/icon.svg"];
  const total = paths.reduce((sum, path) => sum + size(path), language);
  assert.ok(total < BUDGET_BYTES, `${total} bytes`);
});

test("our own code stores nothing, sets no markup, and evaluates nothing", () => {
  const names = readdirSync(app, { recursive: true }).filter((name) => name.endsWith(".js") && !name.startsWith("vendor"));
  assert.ok(names.length > 40);
  const forbidden =
    /localStorage|sessionStorage|indexedDB|document\.cookie|\bcaches\b|serviceWorker|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|extractable: true/;
  for (const name of names) {
    const found = forbidden.exec(readFileSync(new URL(name, app), "utf8").replace(/\/\*\*[\s\S]*?\*\//g, ""));
    assert.equal(found, null, `${name}: ${found}`);
  }
});

test("files stay small enough to be read", () => {
  for (const name of readdirSync(app, { recursive: true })) {
    if (!/\.(js|css)$/.test(name) || name.startsWith("vendor") || name.endsWith("style.css")) continue;
    const lines = readFileSync(new URL(name, app), "utf8").split("\n").length;
    assert.ok(lines <= 450, `${name}: ${lines} lines`);
  }
});
