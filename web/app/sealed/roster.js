/**
 * The owner's proof of an epoch: its secret, the owners up to it, and the roster, all that the owner accepts. With it anybody can bring the secret.
 */
import { be32, compare, concat, fromBase64, lengthPrefixed, sha256, toBase64 } from "./bytes.js";
import { SealedError } from "./error.js";
import { FINGERPRINT_BYTES } from "./fingerprint.js";
import { verify } from "./identity.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./chain.js").OwnerChain} OwnerChain */
/** @typedef {import("./secret.js").RoomSecret} RoomSecret */

/** @typedef {{ secret: RoomSecret, members: string[], chain: Bytes, proof: Bytes }} Proved what a `secret` message says */

/** Writes a roster: fingerprints one behind the other, in bytewise order. @param {Iterable<string>} members */
export function rosterBytes(members) {
  return concat(...[...new Set(members)].map(fromBase64).sort(compare));
}

/** Reads a roster, which must be sorted and name nobody twice. @param {Bytes} bytes @returns {string[]} */
export function readRoster(bytes) {
  if (bytes.length === 0 || bytes.length % FINGERPRINT_BYTES !== 0) throw new SealedError("bad-field");
  const all = Array.from({ length: bytes.length / FINGERPRINT_BYTES }, (_, i) => bytes.slice(i * FINGERPRINT_BYTES, (i + 1) * FINGERPRINT_BYTES));
  if (all.some((member, i) => i > 0 && compare(all[i - 1], member) >= 0)) throw new SealedError("bad-field");
  return all.map(toBase64);
}

/**
 * Signs for an epoch, as the last owner of `chain`.
 *
 * @param {import("./identity.js").Identity} owner
 * @param {OwnerChain} chain
 * @param {RoomSecret} secret
 * @param {Iterable<string>} members
 */
export async function proveEpoch(owner, chain, secret, members) {
  return owner.sign(await statement(chain, secret, rosterBytes(members)));
}

/** Checks the proof by the last owner of `chain`. @param {OwnerChain} chain @param {RoomSecret} secret @param {Iterable<string>} members @param {Bytes} proof */
export async function verifyEpoch(chain, secret, members, proof) {
  await verify(chain.owner, await statement(chain, secret, rosterBytes(members)), proof);
}

/** @param {OwnerChain} chain @param {RoomSecret} secret @param {Bytes} roster */
const statement = async (chain, secret, roster) =>
  lengthPrefixed("subrosa v2 epoch", chain.root, await sha256(chain.bytes), be32(secret.epoch), await sha256(secret.bytes), await sha256(roster));
