/**
 * Copies the one package that runs in the browser into the client, from the version that the lockfile names; `--check` only compares.
 */
import { readFileSync, writeFileSync } from "node:fs";

const web = new URL("../", import.meta.url);
const FILES = ["index.js", "decode.js", "LICENSE", "LICENSE-MIT"];

const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", web), "utf8"));
const locked = packages["node_modules/qr"].version;
const { version } = JSON.parse(readFileSync(new URL("node_modules/qr/package.json", web), "utf8"));
if (version !== locked) throw new Error(`qr ${version} is installed, but the lockfile says ${locked}: run npm ci`);

for (const name of FILES) {
  const from = readFileSync(new URL(`node_modules/qr/${name}`, web));
  const to = new URL(`app/vendor/qr/${name}`, web);
  if (!process.argv.includes("--check")) writeFileSync(to, from);
  else if (!from.equals(readFileSync(to))) throw new Error(`app/vendor/qr/${name} is not that of qr ${locked}: run npm run vendor`);
}
