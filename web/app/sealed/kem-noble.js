/**
 * X-Wing put together from ML-KEM-768 (noble-post-quantum) and the browser's X25519, for browsers that lack it.
 *
 * public key = `pk_M(1184) ‖ pk_X(32)`, enc = `ct_M(1088) ‖ ct_X(32)`, shared = SHA3-256(`ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ "\.//^\"`).
 */
import { ml_kem768 } from "../vendor/noble/post-quantum/ml-kem.js";
import { sha3_256, shake256 } from "../vendor/noble/hashes/sha3.js";
import { concat, randomBytes, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { ENC_BYTES, PUBLIC_BYTES } from "./kem-sizes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** A private key: ML-KEM's expanded form, and X25519's, which the browser keeps. @typedef {{ mlKem: Bytes, x: CryptoKey, xPublic: Bytes }} Halves */

const LABEL = utf8("\\.//^\\");
const X_BYTES = 32;
const ML_KEM_PUBLIC = PUBLIC_BYTES - X_BYTES;
const ML_KEM_ENC = ENC_BYTES - X_BYTES;
const SEED_BYTES = 64;
/** What PKCS#8 puts in front of an X25519 private key (RFC 8410). */
const PKCS8 = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20]);

/** @type {import("./kem.js").Kem} */
export const noble = {
  async generate() {
    const { publicKey, secretKey } = ml_kem768.keygen(randomBytes(SEED_BYTES));
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("X25519", false, ["deriveBits"]));
    const xPublic = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return { publicKey: concat(publicKey, xPublic), privateKey: { mlKem: own(secretKey), x: pair.privateKey, xPublic } };
  },
  async fromSeed(seed) {
    const expanded = own(shake256(seed, { dkLen: SEED_BYTES + X_BYTES }));
    const { publicKey, secretKey } = ml_kem768.keygen(expanded.slice(0, SEED_BYTES));
    const pkcs8 = concat(PKCS8, expanded.slice(SEED_BYTES));
    const x = await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
    // The browser tells a public half only of keys that can be exported.
    const open = await crypto.subtle.exportKey("jwk", await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", true, ["deriveBits"]));
    const xPublic = Uint8Array.from(atob((open.x ?? "").replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return { publicKey: concat(publicKey, xPublic), privateKey: { mlKem: own(secretKey), x, xPublic } };
  },
  async encapsulate(publicKey) {
    if (publicKey.length !== PUBLIC_BYTES) throw new SealedError("bad-key");
    const xPublic = publicKey.slice(ML_KEM_PUBLIC);
    try {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey.slice(0, ML_KEM_PUBLIC), randomBytes(32));
      const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("X25519", false, ["deriveBits"]));
      const xEnc = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
      const shared = combine(sharedSecret, await agree(pair.privateKey, xPublic), xEnc, xPublic);
      return { enc: concat(cipherText, xEnc), shared };
    } catch {
      throw new SealedError("bad-key");
    }
  },
  async decapsulate(privateKey, enc) {
    if (!("mlKem" in privateKey)) throw new SealedError("bad-key");
    try {
      const xEnc = enc.slice(ML_KEM_ENC);
      const sharedSecret = ml_kem768.decapsulate(enc.slice(0, ML_KEM_ENC), privateKey.mlKem);
      return combine(sharedSecret, await agree(privateKey.x, xEnc), xEnc, privateKey.xPublic);
    } catch {
      throw new SealedError("hand-does-not-open");
    }
  },
};

/** @param {Uint8Array} bytes @returns {Bytes} */
const own = (bytes) => Uint8Array.from(bytes);

/** X25519 (RFC 7748); a result of zeros is refused. @param {CryptoKey} mine @param {Bytes} theirs */
async function agree(mine, theirs) {
  const key = await crypto.subtle.importKey("raw", theirs, "X25519", false, []);
  const agreed = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: key }, mine, 256));
  if (agreed.every((byte) => byte === 0)) throw new SealedError("bad-key");
  return agreed;
}

/** @param {Uint8Array} mlKem @param {Bytes} x @param {Bytes} xEnc @param {Bytes} xPublic */
const combine = (mlKem, x, xEnc, xPublic) => own(sha3_256(concat(mlKem, x, xEnc, xPublic, LABEL)));
