/**
 * Names that people see: what may be in them.
 */
import { utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { isWellFormed } from "./json.js";

/** The longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 64;

/** Control characters, explicit bidi characters (UAX #9) and the two separators. */
const FORBIDDEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/**
 * Checks a room's name: up to 64 bytes, in normalisation form C, without control or bidi characters. May be empty.
 *
 * @param {string} name
 */
export function checkRoomName(name) {
  const fits = isWellFormed(name) && utf8(name).length <= MAX_NAME_BYTES;
  if (!fits || name.normalize("NFC") !== name || FORBIDDEN.test(name)) throw new SealedError("bad-name");
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

/**
 * Makes the most of what a person typed: composed, without forbidden characters, cut to what fits.
 *
 * @param {string} typed
 */
export function tidyName(typed) {
  const clean = [...typed.normalize("NFC")].filter((c) => isWellFormed(c) && !FORBIDDEN.test(c));
  let name = clean.join("").trim();
  while (utf8(name).length > MAX_NAME_BYTES) name = [...name].slice(0, -1).join("").trim();
  return name.normalize("NFC");
}
