/**
 * The secrets of a room and the symmetric cryptography under them.
 *
 * `R`, the room secret of an epoch, gives four keys: `K_card` for cards, `N` for notes, `P` that takes part in every hand, and `A` that views hang on.
 */
import { randomBytes, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** Bytes of an AES-GCM nonce and tag. */
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const SECRET_BYTES = 32;

/** The room secret of one epoch. It must be in reach as bytes, since links carry it. */
export class RoomSecret {
  /** @param {number} epoch @param {Bytes} bytes */
  constructor(epoch, bytes) {
    if (bytes.length !== SECRET_BYTES) throw new SealedError("bad-length");
    this.epoch = epoch;
    this.bytes = bytes;
    /** @type {Promise<EpochKeys> | undefined} */
    this.derived = undefined;
  }

  /** A fresh one. @param {number} epoch */
  static generate(epoch) {
    return new RoomSecret(epoch, randomBytes(SECRET_BYTES));
  }

  /** The keys of the epoch, derived once. */
  keys() {
    this.derived ??= EpochKeys.derive(this.epoch, this.bytes);
    return this.derived;
  }

  /** Overwrites the secret. The keys made of it are forgotten by their owner. */
  wipe() {
    this.bytes.fill(0);
    this.derived = undefined;
  }
}

/** What hangs on the room secret of one epoch. */
export class EpochKeys {
  /** @param {number} epoch @param {{ card: CryptoKey, note: CryptoKey, psk: Bytes, authenticator: Bytes }} keys */
  constructor(epoch, { card, note, psk, authenticator }) {
    this.epoch = epoch;
    this.card = card;
    this.note = note;
    this.psk = psk;
    this.authenticator = authenticator;
  }

  /** @param {number} epoch @param {Bytes} secret */
  static async derive(epoch, secret) {
    const [card, note, psk, authenticator] = await Promise.all([
      derive(secret, "subrosa v2 card", SECRET_BYTES).then(aesKey),
      derive(secret, "subrosa v2 note", SECRET_BYTES).then(aesKey),
      derive(secret, "subrosa v2 psk", SECRET_BYTES),
      derive(secret, "subrosa v2 authenticator", SECRET_BYTES),
    ]);
    return new EpochKeys(epoch, { card, note, psk, authenticator });
  }
}

/**
 * HKDF-SHA256 (RFC 5869) with an empty salt.
 *
 * @param {Bytes} ikm
 * @param {string} info
 * @param {number} length in bytes
 * @returns {Promise<Bytes>}
 */
export async function derive(ikm, info, length) {
  const from = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, from, length * 8));
}

/** @param {Bytes} bytes 32 of them, wiped */
export async function aesKey(bytes) {
  const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  bytes.fill(0);
  return key;
}

/**
 * AES-256-GCM.
 *
 * @param {CryptoKey} key
 * @param {Bytes} nonce
 * @param {Bytes} aad
 * @param {Bytes} data
 * @returns {Promise<Bytes>}
 */
export async function seal(key, nonce, aad, data) {
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, key, data));
}

/**
 * @param {CryptoKey} key
 * @param {Bytes} nonce
 * @param {Bytes} aad
 * @param {Bytes} data
 * @returns {Promise<Bytes>}
 */
export async function open(key, nonce, aad, data) {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, key, data));
  } catch {
    throw new SealedError("does-not-open");
  }
}
