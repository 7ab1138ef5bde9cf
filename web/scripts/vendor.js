/**
 * Copies the packages that run in the browser into the client, from the versions that the lockfile names; `--check` only compares. Imports between
 * packages become relative ones, since a browser knows no packages, and our type checker is told to pass them over.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const web = new URL("../", import.meta.url);

/** By folder under `app/vendor`: the package, and what of it is needed. */
const COPIES = {
  qr: { name: "qr", files: ["index.js", "decode.js", "LICENSE", "LICENSE-MIT"] },
  "noble/post-quantum": { name: "@noble/post-quantum", files: ["ml-kem.js", "_crystals.js", "utils.js", "LICENSE"] },
  "noble/hashes": { name: "@noble/hashes", files: ["sha3.js", "_u64.js", "utils.js", "LICENSE"] },
  "noble/curves": { name: "@noble/curves", files: ["abstract/fft.js", "abstract/modular.js", "utils.js", "LICENSE"] },
};

const { packages } = JSON.parse(readFileSync(new URL("package-lock.json", web), "utf8"));

for (const [folder, { name, files }] of Object.entries(COPIES)) {
  const locked = packages[`node_modules/${name}`].version;
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, web), "utf8"));
  if (version !== locked) throw new Error(`${name} ${version} is installed, but the lockfile says ${locked}: run npm ci`);
  for (const file of files) {
    const from = relativeImports(readFileSync(new URL(`node_modules/${name}/${file}`, web), "utf8"), `${folder}/${file}`);
    const to = new URL(`app/vendor/${folder}/${file}`, web);
    if (!process.argv.includes("--check")) {
      mkdirSync(new URL(".", to), { recursive: true });
      writeFileSync(to, from);
    } else if (from !== readFileSync(to, "utf8")) {
      throw new Error(`app/vendor/${folder}/${file} is not that of ${name} ${locked}: run npm run vendor`);
    }
  }
}

/** Leads imports of noble's packages to the copies. @param {string} source @param {string} path of the copy, under `app/vendor` */
function relativeImports(source, path) {
  const up = "../".repeat(path.split("/").length - 1);
  if (!path.startsWith("noble/") || !path.endsWith(".js")) return source;
  return "// @ts-nocheck\n" + source.replace(/from '@noble\/([^']+)'/g, (_, to) => `from '${up}noble/${to}'`);
}
