/**
 * Writes the list of modules that the first screen needs into index.html, so that browsers fetch them at once instead of one import after the
 * other; `--check` only compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const app = new URL("../app/", import.meta.url);
const BEGIN = "    <!-- first load -->\n";
const END = "    <!-- end of first load -->\n";

/** The modules that `entry` needs at once, itself included; what is imported when it is needed is not among them. */
export function firstLoad(entry = "/ui/main.js") {
  const found = new Set();
  const visit = (path) => {
    if (found.has(path)) return;
    found.add(path);
    const source = readFileSync(new URL(`.${path}`, app), "utf8");
    for (const [, from] of source.matchAll(/^(?:import|export)\s[^;]*?from\s+"([^"]+)";/gms)) visit(new URL(from, `file://${path}`).pathname);
  };
  visit(entry);
  return [...found].sort();
}

function run() {
  const page = new URL("index.html", app);
  const html = readFileSync(page, "utf8");
  const [head, rest] = html.split(BEGIN);
  const [, tail] = rest.split(END);
  const links = firstLoad().map((path) => `    <link rel="modulepreload" href="${path}">\n`);
  const wanted = head + BEGIN + links.join("") + END + tail;
  if (!process.argv.includes("--check")) writeFileSync(page, wanted);
  else if (wanted !== html) throw new Error("the modules in app/index.html are not those of the first load: run npm run preload");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run();
