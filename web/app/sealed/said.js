/**
 * Said hashes, and what a message says about what its author had seen before.
 */
import { be32, concat, fromBase64, lengthPrefixed, readBe32, sha256, toBase64 } from "./bytes.js";
import { SealedError } from "./error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** The newest message of another member that an author had seen. @typedef {{ author: string, n: number, said: string }} After author: the first 8 bytes of a fingerprint, in base64 */

export const SAID_BYTES = 16;
/** The most entries. */
export const MAX_AFTER = 4;
const AUTHOR_BYTES = 8;
const ENTRY_BYTES = AUTHOR_BYTES + 4 + SAID_BYTES;

/**
 * What names one message for good, whenever and in whatever epoch it is sealed: the first 16 bytes of `SHA-256(LP("subrosa v2 said", author, core))`.
 *
 * @param {string} author a fingerprint
 * @param {Bytes} core as it was sent
 * @returns {Promise<string>} in base64
 */
export async function saidHash(author, core) {
  return toBase64((await sha256(lengthPrefixed("subrosa v2 said", fromBase64(author), core))).subarray(0, SAID_BYTES));
}

/** How an author is named in an entry. @param {string} fingerprint */
export const shortAuthor = (fingerprint) => toBase64(fromBase64(fingerprint).subarray(0, AUTHOR_BYTES));

/** @param {After[]} entries @returns {Bytes} */
export const afterBytes = (entries) => concat(...entries.map(({ author, n, said }) => concat(fromBase64(author), be32(n), fromBase64(said))));

/** @param {Bytes} bytes @returns {After[]} */
export function readAfter(bytes) {
  if (bytes.length === 0 || bytes.length % ENTRY_BYTES !== 0 || bytes.length > MAX_AFTER * ENTRY_BYTES) throw new SealedError("bad-field");
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, i) => {
    const entry = bytes.subarray(i * ENTRY_BYTES, (i + 1) * ENTRY_BYTES);
    const author = toBase64(entry.subarray(0, AUTHOR_BYTES));
    return { author, n: readBe32(entry, AUTHOR_BYTES), said: toBase64(entry.subarray(AUTHOR_BYTES + 4)) };
  });
}
