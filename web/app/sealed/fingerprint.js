/**
 * A member's fingerprint: what people compare to know each other, and what every state about a member is kept under. In memory it is its base64.
 */
import { fromBase64, lengthPrefixed, sha256, toBase64 } from "./bytes.js";
import { WORDS } from "./words.js";

/** Bytes of a fingerprint. */
export const FINGERPRINT_BYTES = 32;
const WORD_COUNT = 8;

/**
 * `SHA-256(LP("subrosa v2 identity", ed25519 pub))`, in base64.
 *
 * @param {import("./bytes.js").Bytes} key
 */
export const fingerprintOf = async (key) => toBase64(await sha256(lengthPrefixed("subrosa v2 identity", key)));

/** The twelve groups of five digits that are shown. @param {string} fingerprint */
export function groups(fingerprint) {
  const bytes = fromBase64(fingerprint);
  return Array.from({ length: 12 }, (_, i) => String((bytes[2 * i] << 8) | bytes[2 * i + 1]).padStart(5, "0"));
}

/** The first group, which tells members of the same name apart. @param {string} fingerprint */
export const firstGroup = (fingerprint) => groups(fingerprint)[0];

/** Eight words for reading out: the first 88 bits, 11 a word. @param {string} fingerprint */
export function words(fingerprint) {
  const bytes = fromBase64(fingerprint);
  return Array.from({ length: WORD_COUNT }, (_, word) => {
    let index = 0;
    for (let bit = word * 11; bit < word * 11 + 11; bit++) index = (index << 1) | ((bytes[bit >> 3] >> (7 - (bit & 7))) & 1);
    return WORDS[index];
  });
}
