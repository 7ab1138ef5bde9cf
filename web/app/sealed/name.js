/**
 * Names that people see: what may be in them, and which of them look alike.
 */
import { utf8 } from "./bytes.js";
import { CONFUSABLES } from "./confusables.js";
import { SealedError } from "./error.js";
import { isWellFormed } from "./json.js";

/** The longest name of a member or a room, and of a file, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 64;
const MAX_FILE_NAME_BYTES = 255;

/**
 * Control characters, code points that show nothing by default (Default_Ignorable_Code_Point, and the bidirectional ones among them), the blank of Braille,
 * and every white space but U+0020.
 */
const FORBIDDEN = new RegExp(
  "[\\p{Cc}\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800" +
    "\\u3000\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufff8\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
  "u",
);
/** A space that is first, last, or beside another. */
const LOOSE_SPACE = /^ | $| {2}/;

/**
 * Checks a room's name: up to 64 bytes, in normalisation form C, of what can be seen. May be empty.
 *
 * @param {string} name
 */
export function checkRoomName(name) {
  if (!isTidy(name) || utf8(name).length > MAX_NAME_BYTES) throw new SealedError("bad-name");
}

/**
 * Checks a display name: as a room's name, but not empty.
 *
 * @param {string} name
 */
export function checkName(name) {
  if (name === "") throw new SealedError("bad-name");
  checkRoomName(name);
}

/** Checks a file's name, which leads into no folder. @param {string} name */
export function checkFileName(name) {
  if (name === "" || /[/\\]/.test(name) || !isTidy(name) || utf8(name).length > MAX_FILE_NAME_BYTES) throw new SealedError("bad-name");
}

/** @param {string} name */
const isTidy = (name) => isWellFormed(name) && name.normalize("NFC") === name && !FORBIDDEN.test(name) && !LOOSE_SPACE.test(name);

/**
 * Makes the most of what a person typed: composed, without forbidden characters, cut to what fits.
 *
 * @param {string} typed
 */
export function tidyName(typed) {
  const spaced = typed.normalize("NFC").replace(/\s+/g, " ");
  const clean = [...spaced].filter((c) => isWellFormed(c) && !FORBIDDEN.test(c)).join("");
  let name = clean.replace(/ +/g, " ").trim();
  while (utf8(name).length > MAX_NAME_BYTES) name = [...name].slice(0, -1).join("").trim();
  return name.normalize("NFC");
}

/** What each look-alike character is taken for. */
const TARGETS = new Map(
  CONFUSABLES.split("\n").flatMap((line) => {
    const [target, characters] = line.split(" ");
    return [...characters].map((character) => /** @type {[string, string]} */ ([character, target]));
  }),
);

/**
 * What a name looks like: names with the same skeleton can be taken for each other. (After UTS #39, and besides blind to case and compatibility forms.)
 *
 * @param {string} name
 */
export const skeleton = (name) => look(look(name.normalize("NFKD")).toLowerCase());

/** @param {string} text */
const look = (text) => [...text].map((character) => TARGETS.get(character) ?? character).join("");
