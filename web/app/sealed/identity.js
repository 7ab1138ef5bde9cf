/**
 * The keys of one membership: RSA to be written to, Ed25519 to sign with. Made fresh for a room; the private halves never leave WebCrypto.
 */
import { sha256, toBase64 } from "./bytes.js";
import { SealedError } from "./error.js";
import { fingerprintOf } from "./fingerprint.js";
import { pkcs1FromSpki, pkcs1Pem, spkiFromPkcs1 } from "./public-key.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const RSA = { name: "RSA-OAEP", hash: "SHA-256" };
const RSA_BITS = 3072;
/** Bytes of an Ed25519 signature and public key (RFC 8032). */
export const SIGNATURE_BYTES = 64;
export const KEY_BYTES = 32;

/** Whether this browser has all that is needed; Ed25519 came last. */
export async function isSupported() {
  try {
    await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    return true;
  } catch {
    return false;
  }
}

/** The private keys of one membership. */
export class Identity {
  /**
   * @param {CryptoKey} decrypting
   * @param {CryptoKey} signing
   * @param {Bytes} pkcs1 the public RSA key
   * @param {Bytes} key the public Ed25519 key
   * @param {string} fingerprint
   */
  constructor(decrypting, signing, pkcs1, key, fingerprint) {
    this.decrypting = decrypting;
    this.signing = signing;
    /** The public RSA key, PKCS#1 DER. */
    this.pkcs1 = pkcs1;
    /** The public Ed25519 key. */
    this.key = key;
    this.fingerprint = fingerprint;
  }

  /** Makes fresh keys, which cannot be exported. */
  static async generate() {
    const usage = { ...RSA, modulusLength: RSA_BITS, publicExponent: new Uint8Array([1, 0, 1]) };
    const [rsa, ed] = await Promise.all([
      crypto.subtle.generateKey(usage, false, ["encrypt", "decrypt"]),
      /** @type {Promise<CryptoKeyPair>} */ (crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])),
    ]);
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", rsa.publicKey));
    const key = new Uint8Array(await crypto.subtle.exportKey("raw", ed.publicKey));
    return Identity.of(rsa.privateKey, ed.privateKey, pkcs1FromSpki(spki), key);
  }

  /**
   * Takes given keys: both as PKCS#8, and their public halves.
   *
   * @param {{ rsaPkcs8: Bytes, ed25519Pkcs8: Bytes, pkcs1: Bytes, key: Bytes }} keys
   */
  static async fromPkcs8({ rsaPkcs8, ed25519Pkcs8, pkcs1, key }) {
    const decrypting = await crypto.subtle.importKey("pkcs8", rsaPkcs8, RSA, false, ["decrypt"]);
    const signing = await crypto.subtle.importKey("pkcs8", ed25519Pkcs8, "Ed25519", false, ["sign"]);
    return Identity.of(decrypting, signing, pkcs1, key);
  }

  /** @param {CryptoKey} decrypting @param {CryptoKey} signing @param {Bytes} pkcs1 @param {Bytes} key */
  static async of(decrypting, signing, pkcs1, key) {
    return new Identity(decrypting, signing, pkcs1, key, await fingerprintOf(key));
  }

  /** What the protocol calls the member's public key. */
  get pem() {
    return pkcs1Pem(this.pkcs1);
  }

  /** @param {Bytes} message @returns {Promise<Bytes>} */
  async sign(message) {
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.signing, message));
  }

  /**
   * Takes a message's key out of what was sealed to this member's RSA key.
   *
   * @param {Bytes} sealed
   * @returns {Promise<Bytes>}
   */
  async unwrap(sealed) {
    try {
      const opened = new Uint8Array(await crypto.subtle.decrypt({ name: "RSA-OAEP" }, this.decrypting, sealed));
      if (opened.length === 32) return opened;
    } catch {
      // Whatever the reason, it is told as one.
    }
    throw new SealedError("key-does-not-open");
  }
}

/**
 * Checks an Ed25519 signature.
 *
 * @param {Bytes} key 32 bytes
 * @param {Bytes} message
 * @param {Bytes} signature
 */
export async function verify(key, message, signature) {
  let holds = false;
  try {
    holds = await crypto.subtle.verify("Ed25519", await verifyingKey(key), signature, message);
  } catch {
    // A key that is no point on the curve has signed nothing.
  }
  if (!holds) throw new SealedError("bad-signature");
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

/**
 * Another member's RSA key, ready to be sealed to.
 *
 * @param {Bytes} pkcs1
 */
export async function recipientKey(pkcs1) {
  try {
    return await crypto.subtle.importKey("spki", spkiFromPkcs1(pkcs1), RSA, false, ["encrypt"]);
  } catch {
    throw new SealedError("bad-key");
  }
}

/**
 * Seals a message's key to a member: RSA-OAEP (RFC 8017, 7.1) with SHA-256 for both hashes and an empty label.
 *
 * @param {Bytes} cek
 * @param {CryptoKey} recipient
 * @returns {Promise<Bytes>}
 */
export async function wrap(cek, recipient) {
  return new Uint8Array(await crypto.subtle.encrypt({ name: "RSA-OAEP" }, recipient, cek));
}

/** The hash that binds a card to its member's RSA key. @param {Bytes} pkcs1 */
export const keyHash = (pkcs1) => sha256(pkcs1);
