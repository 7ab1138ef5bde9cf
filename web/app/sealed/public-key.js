/**
 * RSA public keys in the two forms that there are: PKCS#1, which the protocol speaks, and SPKI, which WebCrypto does. Between them lie 24 bytes.
 */
import { concat } from "./bytes.js";
import { SealedError } from "./error.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** `SEQUENCE { OID rsaEncryption, NULL }` and the head of the bit string behind it, without the lengths. */
const ALGORITHM = new Uint8Array([0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0]);
const SPKI_HEAD_BYTES = 24;
const MIN_BITS = 2048;
const MAX_BITS = 4096;

/** @param {number} length @returns {Bytes} a long DER length of two bytes, which keys of our sizes need */
const length2 = (length) => new Uint8Array([0x82, length >> 8, length & 0xff]);

/** @param {Bytes} pkcs1 */
export function spkiFromPkcs1(pkcs1) {
  const bits = concat(new Uint8Array([3]), length2(pkcs1.length + 1), new Uint8Array([0]), pkcs1);
  return concat(new Uint8Array([0x30]), length2(ALGORITHM.length + bits.length), ALGORITHM, bits);
}

/** @param {Bytes} spki */
export function pkcs1FromSpki(spki) {
  const pkcs1 = spki.slice(SPKI_HEAD_BYTES);
  checkPkcs1(pkcs1);
  const again = spkiFromPkcs1(pkcs1);
  if (again.length !== spki.length || !again.every((byte, i) => byte === spki[i])) throw new SealedError("bad-key");
  return pkcs1;
}

/** @param {Bytes} pkcs1 */
export const pkcs1Pem = (pkcs1) => pem("RSA PUBLIC KEY", pkcs1);

/**
 * Reads a public key in either form and checks it: 2048 to 4096 bits, exponent 65537, DER without slack.
 *
 * @param {string} text
 * @returns {Bytes} PKCS#1 DER
 */
export function pkcs1FromPem(text) {
  const found = /^\s*-----BEGIN (RSA )?PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END (RSA )?PUBLIC KEY-----\s*$/.exec(text);
  if (!found || found[1] !== found[3]) throw new SealedError("bad-key");
  let der;
  try {
    der = Uint8Array.from(atob(found[2].replace(/\s+/g, "")), (c) => c.charCodeAt(0));
  } catch {
    throw new SealedError("bad-key");
  }
  if (!found[1]) return pkcs1FromSpki(der);
  checkPkcs1(der);
  return der;
}

/** @param {string} label @param {Bytes} der */
function pem(label, der) {
  const base64 = btoa(String.fromCharCode(...der));
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * `SEQUENCE { INTEGER n, INTEGER 65537 }`. Keys of our sizes have lengths of two bytes throughout, so the form is fixed but for n itself.
 *
 * @param {Bytes} der
 */
function checkPkcs1(der) {
  const bad = () => new SealedError("bad-key");
  if (der.length < 16 || der[0] !== 0x30 || der[1] !== 0x82) throw bad();
  if (((der[2] << 8) | der[3]) !== der.length - 4) throw bad();
  if (der[4] !== 2 || der[5] !== 0x82) throw bad();
  const modulusBytes = (der[6] << 8) | der[7];
  const end = 8 + modulusBytes;
  const exponent = [2, 3, 1, 0, 1];
  if (der.length !== end + exponent.length || !exponent.every((byte, i) => der[end + i] === byte)) throw bad();
  // A positive integer: a zero byte in front exactly when the next has its top bit set.
  const lead = der[8] === 0 ? 1 : 0;
  const top = der[8 + lead];
  if (lead ? top < 0x80 : der[8] >= 0x80) throw bad();
  const bits = (modulusBytes - lead) * 8 - Math.clz32(top) + 24;
  if (bits < MIN_BITS || bits > MAX_BITS || (der[end - 1] & 1) === 0) throw bad();
}
