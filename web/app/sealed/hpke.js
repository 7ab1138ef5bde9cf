/**
 * HPKE (RFC 9180), single-shot and in PSK mode: X-Wing (0x647A), HKDF-SHA256, AES-256-GCM.
 */
import { concat, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { kem } from "./kem.js";
import { ENC_BYTES } from "./kem-sizes.js";
import { aesKey, NONCE_BYTES, open, seal } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** What both sides know beforehand. @typedef {{ info: Bytes, aad: Bytes, psk: Bytes, pskId: Bytes }} Context */

/** The identifiers of KEM, KDF and AEAD. */
export const SUITE = { kem: 0x647a, kdf: 0x0001, aead: 0x0002 };
const MODE_PSK = 0x01;
const HASH_BYTES = 32;

/** Seals `plain` to whoever has the private half of `publicKey`. @param {Bytes} publicKey @param {Context} context @param {Bytes} plain */
export async function sealPsk(publicKey, { info, aad, psk, pskId }, plain) {
  const { enc, shared } = await (await kem()).encapsulate(publicKey);
  const { key, nonce } = await schedule(shared, info, psk, pskId);
  return concat(enc, await seal(await aesKey(key), nonce, aad, plain));
}

/** Opens `enc ‖ ciphertext`. @param {import("./kem.js").PrivateKey} privateKey @param {Context} context @param {Bytes} sealed */
export async function openPsk(privateKey, { info, aad, psk, pskId }, sealed) {
  const shared = await (await kem()).decapsulate(privateKey, sealed.slice(0, ENC_BYTES));
  const { key, nonce } = await schedule(shared, info, psk, pskId);
  try {
    return await open(await aesKey(key), nonce, aad, sealed.slice(ENC_BYTES));
  } catch {
    throw new SealedError("hand-does-not-open");
  }
}

/**
 * The key schedule (RFC 9180, section 5.1), for the first message of a context only.
 *
 * @param {Bytes} shared what the KEM gave; wiped
 * @param {Bytes} info
 * @param {Bytes} psk
 * @param {Bytes} pskId
 * @param {typeof SUITE} [suite] another one in the tests
 * @param {number} [keyBytes] of its AEAD
 */
export async function schedule(shared, info, psk, pskId, suite = SUITE, keyBytes = 32) {
  const id = new Uint8Array(10);
  id.set(utf8("HPKE"));
  const view = new DataView(id.buffer);
  for (const [at, number] of [suite.kem, suite.kdf, suite.aead].entries()) view.setUint16(4 + 2 * at, number);
  /** @param {Bytes} salt @param {string} label @param {Bytes} ikm */
  const extract = (salt, label, ikm) => hmac(salt, concat(utf8("HPKE-v1"), id, utf8(label), ikm));
  /** @param {Bytes} prk @param {string} label @param {Bytes} context @param {number} length at most one hash */
  const expand = async (prk, label, context, length) => {
    const size = new Uint8Array([length >> 8, length & 0xff]);
    return (await hmac(prk, concat(size, utf8("HPKE-v1"), id, utf8(label), context, new Uint8Array([1])))).slice(0, length);
  };
  const none = new Uint8Array();
  const [pskIdHash, infoHash, secret] = await Promise.all([
    extract(none, "psk_id_hash", pskId),
    extract(none, "info_hash", info),
    extract(shared, "secret", psk),
  ]);
  const context = concat(new Uint8Array([MODE_PSK]), pskIdHash, infoHash);
  const [key, nonce] = await Promise.all([
    expand(secret, "key", context, keyBytes),
    expand(secret, "base_nonce", context, NONCE_BYTES),
  ]);
  shared.fill(0);
  secret.fill(0);
  return { key, nonce };
}

/** @param {Bytes} key @param {Bytes} data @returns {Promise<Bytes>} */
async function hmac(key, data) {
  // WebCrypto takes no empty key; HMAC fills short ones up with zeros, so this is the same one.
  const padded = key.length === 0 ? new Uint8Array(HASH_BYTES) : key;
  const imported = await crypto.subtle.importKey("raw", padded, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}
