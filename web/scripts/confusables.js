/**
 * Writes the table of look-alike characters, which both clients share, as a module for the browser; `--check` only compares.
 */
import { readFileSync, writeFileSync } from "node:fs";

const table = readFileSync(new URL("../../src/sealed/confusables.txt", import.meta.url), "utf8").trimEnd();
const module = new URL("../app/sealed/confusables.js", import.meta.url);
const wanted = `/** What look-alike characters are taken for, a target a line with the characters behind it, as in \`src/sealed/confusables.txt\`. */
export const CONFUSABLES = ${JSON.stringify(table).replace(/[\u007f-\u{10ffff}]/gu, (c) => (/\p{L}|\p{N}|\p{S}|\p{P}/u.test(c) ? c : escape(c)))};
`;

/** @param {string} character */
function escape(character) {
  return [...character].map((c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`).join("");
}

if (!process.argv.includes("--check")) writeFileSync(module, wanted);
else if (wanted !== readFileSync(module, "utf8")) throw new Error("app/sealed/confusables.js is not of src/sealed/confusables.txt: run npm run confusables");
