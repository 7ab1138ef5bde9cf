/**
 * The view: a short hash of who is in the room, which every message carries, so that a relay that shows different members different rooms is found out.
 */
import { compare, concat, fromBase64, sha256, toBase64 } from "./bytes.js";

const VIEW_BYTES = 16;

/**
 * The first 16 bytes of `SHA-256(owner ‖ all accepted members in bytewise order)`.
 *
 * @param {string} owner a fingerprint
 * @param {Iterable<string>} members fingerprints in any order, oneself included
 * @returns {Promise<string>} in base64
 */
export async function viewOf(owner, members) {
  const sorted = [...new Set(members)].map(fromBase64).sort(compare);
  return toBase64((await sha256(concat(fromBase64(owner), ...sorted))).subarray(0, VIEW_BYTES));
}
