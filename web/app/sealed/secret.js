/**
 * The secrets of a room and the symmetric cryptography under them.
 *
 * `R`, the room secret, gives `K_card` (for member cards) and, as a salt, takes part in every message key. Whoever has RSA broken still lacks it.
 */
import { randomBytes, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** Bytes of an AES-GCM nonce and tag. */
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const SECRET_BYTES = 32;

const CARD_INFO = utf8("subrosa v1 card");
const MESSAGE_INFO = utf8("subrosa v1 message");

/** The room secret of one epoch. It must be in reach as bytes, since links carry it and every message key needs it as salt. */
export class RoomSecret {
  /** @param {number} epoch @param {Bytes} bytes */
  constructor(epoch, bytes) {
    if (bytes.length !== SECRET_BYTES) throw new SealedError("bad-length");
    this.epoch = epoch;
    this.bytes = bytes;
    /** @type {Promise<CryptoKey> | undefined} */
    this.card = undefined;
  }

  /** A fresh one. @param {number} epoch */
  static generate(epoch) {
    return new RoomSecret(epoch, randomBytes(SECRET_BYTES));
  }

  /** `K_card`, the key that cards of this epoch are sealed under. */
  cardKey() {
    this.card ??= derive(this.bytes, new Uint8Array(), CARD_INFO);
    return this.card;
  }

  /** The key of one message. @param {Bytes} cek */
  messageKey(cek) {
    return derive(cek, this.bytes, MESSAGE_INFO);
  }

  /** Overwrites the secret. The keys made of it are the browser's to free. */
  wipe() {
    this.bytes.fill(0);
    this.card = undefined;
  }
}

/** HKDF-SHA256 (RFC 5869). @param {Bytes} ikm @param {Bytes} salt @param {Bytes} info */
async function derive(ikm, salt, info) {
  const from = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info };
  return crypto.subtle.deriveKey(how, from, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
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
