/**
 * The signing key of one membership, made fresh for a room; its private half never leaves WebCrypto. And checking the signatures of others, strictly:
 * what libraries judge differently is refused before one of them is asked.
 */
import { toBase64 } from "./bytes.js";
import { SealedError } from "./error.js";
import { fingerprintOf } from "./fingerprint.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** Bytes of an Ed25519 signature and public key (RFC 8032). */
export const SIGNATURE_BYTES = 64;
export const KEY_BYTES = 32;

/** Whether this browser has all that is needed; Ed25519 came last. */
export async function isSupported() {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

/** The private key of one membership. */
export class Identity {
  /**
   * @param {CryptoKey} signing
   * @param {Bytes} key the public Ed25519 key
   * @param {string} fingerprint
   */
  constructor(signing, key, fingerprint) {
    this.signing = signing;
    /** The public Ed25519 key. */
    this.key = key;
    this.fingerprint = fingerprint;
  }

  /** Makes a fresh key, which cannot be exported. */
  static async generate() {
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]));
    const key = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return new Identity(pair.privateKey, key, await fingerprintOf(key));
  }

  /**
   * Takes a given key: its private half as PKCS#8, and its public half.
   *
   * @param {Bytes} pkcs8
   * @param {Bytes} key
   */
  static async fromPkcs8(pkcs8, key) {
    const signing = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
    return new Identity(signing, key, await fingerprintOf(key));
  }

  /** @param {Bytes} message @returns {Promise<Bytes>} */
  async sign(message) {
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.signing, message));
  }
}

/**
 * Checks an Ed25519 signature. Keys and the points in signatures must be in their only proper encoding and of large order, the scalar below the group's
 * order.
 *
 * @param {Bytes} key 32 bytes
 * @param {Bytes} message
 * @param {Bytes} signature
 */
export async function verify(key, message, signature) {
  let holds = false;
  if (signature.length === SIGNATURE_BYTES && isProperPoint(key) && isProperPoint(signature.subarray(0, 32)) && isBelow(signature.subarray(32), ORDER)) {
    try {
      holds = await crypto.subtle.verify("Ed25519", await verifyingKey(key), signature, message);
    } catch {
      // A key that is no point on the curve has signed nothing.
    }
  }
  if (!holds) throw new SealedError("bad-signature");
}

/** Numbers of 32 bytes, little-endian as RFC 8032 writes them. @param {string} hex */
const number = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
/** The field's prime, 2²⁵⁵ − 19. */
const PRIME = number("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
/** The order of the group that honest keys are in. */
const ORDER = number("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
/** The y coordinates of the eight points of small order. */
const SMALL = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(number);

/** Whether an encoded point is canonical and not of small order. @param {Uint8Array} encoded */
export function isProperPoint(encoded) {
  if (encoded.length !== KEY_BYTES) return false;
  const y = encoded.slice();
  y[31] &= 0x7f;
  return isBelow(y, PRIME) && !SMALL.some((small) => small.every((byte, i) => byte === y[i]));
}

/** Refuses a key that libraries judge differently. @param {Uint8Array} key */
export function checkKey(key) {
  if (!isProperPoint(key)) throw new SealedError("bad-key");
}

/** @param {Uint8Array} a @param {Uint8Array} b both little-endian, of the same size */
function isBelow(a, b) {
  for (let i = b.length - 1; i >= 0; i--) if (a[i] !== b[i]) return a[i] < b[i];
  return false;
}

/** The last keys that were used: importing one costs as much as a signature. @type {Map<string, CryptoKey>} */
const verifyingKeys = new Map();
const MAX_VERIFYING_KEYS = 2048;

/** @param {Bytes} key */
async function verifyingKey(key) {
  const id = toBase64(key);
  let imported = verifyingKeys.get(id);
  if (!imported) {
    imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    if (verifyingKeys.size >= MAX_VERIFYING_KEYS) verifyingKeys.clear();
    verifyingKeys.set(id, imported);
  }
  return imported;
}
