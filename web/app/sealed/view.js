/**
 * The view: a short hash of who is in the room and of the epoch's secret, which every message carries, so that a relay that shows different members
 * different rooms, and an owner that deals them different secrets, are found out.
 */
import { be32, fromBase64, lengthPrefixed, sha256, toBase64 } from "./bytes.js";
import { rosterBytes } from "./roster.js";

export const VIEW_BYTES = 16;

/**
 * The first 16 bytes of `SHA-256(LP("subrosa v2 view", owner, epoch, A, all accepted members in bytewise order))`.
 *
 * @param {string} owner a fingerprint
 * @param {import("./secret.js").EpochKeys} keys
 * @param {Iterable<string>} members fingerprints in any order, oneself included
 * @returns {Promise<string>} in base64
 */
export async function viewOf(owner, { epoch, authenticator }, members) {
  const hashed = lengthPrefixed("subrosa v2 view", fromBase64(owner), be32(epoch), authenticator, rosterBytes(members));
  return toBase64((await sha256(hashed)).subarray(0, VIEW_BYTES));
}
