/**
 * The small encodings that everything sealed is built from: base64, length-prefixed parts, the header, SHA-256.
 */
import { SealedError } from "./error.js";

/** Bytes in memory of their own, as WebCrypto takes them. @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** The version of the scheme, the first byte of everything sealed. */
export const VERSION = 2;
/** Bytes of a header: the version and the epoch. */
export const HEADER_BYTES = 5;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VALUES = new Int16Array(128).fill(-1);
for (let i = 0; i < 64; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {string} text @returns {Bytes} */
export const utf8 = (text) => encoder.encode(text);

/**
 * Reads UTF-8; throws a TypeError for anything else. A byte order mark is a character like any other.
 *
 * @param {Uint8Array} bytes
 */
export const fromUtf8 = (bytes) => strictDecoder.decode(bytes);

/**
 * Writes URL-safe base64 without padding (RFC 4648, section 5).
 *
 * @param {Uint8Array} bytes
 */
export function toBase64(bytes) {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const bits = (bytes[i] << 16) | ((left > 1 ? bytes[i + 1] : 0) << 8) | (left > 2 ? bytes[i + 2] : 0);
    out += ALPHABET[bits >> 18] + ALPHABET[(bits >> 12) & 63];
    if (left > 1) out += ALPHABET[(bits >> 6) & 63];
    if (left > 2) out += ALPHABET[bits & 63];
  }
  return out;
}

/**
 * Reads URL-safe base64 without padding. Another alphabet, padding, white space and stray bits at the end are refused.
 *
 * @param {string} text
 * @returns {Bytes}
 */
export function fromBase64(text) {
  const tail = text.length % 4;
  if (tail === 1) throw new SealedError("bad-base64");
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let count = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? VALUES[code] : -1;
    if (value < 0) throw new SealedError("bad-base64");
    bits = ((bits << 6) | value) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out[at++] = (bits >> count) & 0xff;
    }
  }
  if ((bits & ((1 << count) - 1)) !== 0) throw new SealedError("bad-base64");
  return out;
}

/** @param {...Uint8Array} parts @returns {Bytes} */
export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** @param {number} number @returns {Bytes} four bytes, big-endian */
export function be32(number) {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, number);
  return out;
}

/** @param {Uint8Array} bytes @param {number} [at] */
export const readBe32 = (bytes, at = 0) => new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);

/**
 * Puts each part behind its length, 4 bytes big-endian: `LP(a, b, …)`. Text goes in as UTF-8.
 *
 * @param {...(Uint8Array | string)} parts
 * @returns {Bytes}
 */
export function lengthPrefixed(...parts) {
  return concat(
    ...parts.flatMap((part) => {
      const bytes = typeof part === "string" ? utf8(part) : part;
      return [be32(bytes.length), bytes];
    }),
  );
}

/**
 * Takes exactly `count` parts apart again.
 *
 * @param {Uint8Array} bytes
 * @param {number} count
 * @returns {Bytes[]}
 */
export function splitLengthPrefixed(bytes, count) {
  const parts = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (bytes.length - at < 4) throw new SealedError("bad-length");
    const length = readBe32(bytes, at);
    at += 4;
    if (length > bytes.length - at) throw new SealedError("bad-length");
    parts.push(bytes.slice(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw new SealedError("bad-length");
  return parts;
}

/**
 * The head of everything that is sealed in an epoch: `0x02 ‖ epoch(4)`.
 *
 * @param {number} epoch
 */
export const header = (epoch) => concat(new Uint8Array([VERSION]), be32(epoch));

/**
 * Reads the head off `bytes`.
 *
 * @param {Uint8Array} bytes
 * @returns {number} the epoch
 */
export function readHeader(bytes) {
  if (bytes.length === 0) throw new SealedError("bad-length");
  if (bytes[0] !== VERSION) throw new SealedError("unknown-version");
  if (bytes.length < HEADER_BYTES) throw new SealedError("bad-length");
  return readBe32(bytes, 1);
}

/**
 * The epoch that a sealed string names, before anything is opened.
 *
 * @param {string} sealed
 */
export const peekEpoch = (sealed) => readHeader(fromBase64(sealed.slice(0, 8)));

/** @param {Uint8Array} a @param {Uint8Array} b */
export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The bytewise order. @param {Uint8Array} a @param {Uint8Array} b */
export function compare(a, b) {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** @param {Bytes} bytes @returns {Promise<Bytes>} */
export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** Fresh randomness of the operating system. @param {number} length @returns {Bytes} */
export const randomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/** The largest number of four bytes: where counters end. */
export const MAX_U32 = 2 ** 32 - 1;
