/**
 * X-Wing (MLKEM768-X25519, HPKE's KEM 0x647A): the browser's own where it has it, else ML-KEM-768 from noble-post-quantum beside the browser's X25519.
 * The library is fetched only where it is needed.
 */
import { SealedError } from "./error.js";
import { ENC_BYTES, PUBLIC_BYTES } from "./kem-sizes.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */


/**
 * A key encapsulation mechanism. A private key is whatever the implementation keeps.
 *
 * @typedef {object} Kem
 * @property {() => Promise<{ publicKey: Bytes, privateKey: PrivateKey }>} generate
 * @property {(seed: Bytes) => Promise<{ publicKey: Bytes, privateKey: PrivateKey }>} fromSeed from the 32 bytes of X-Wing's private key
 * @property {(publicKey: Bytes) => Promise<{ enc: Bytes, shared: Bytes }>} encapsulate
 * @property {(privateKey: PrivateKey, enc: Bytes) => Promise<Bytes>} decapsulate
 */

/** @typedef {{ native: CryptoKey } | import("./kem-noble.js").Halves} PrivateKey */

const NAME = "MLKEM768-X25519";
/** WebCrypto's newer calls, which the type definitions lack. */
const subtle = /** @type {any} */ (globalThis.crypto.subtle);

/** @type {Kem} */
const native = {
  async generate() {
    const pair = await subtle.generateKey(NAME, false, ["encapsulateBits", "decapsulateBits"]);
    return { publicKey: await exported(pair.publicKey), privateKey: { native: pair.privateKey } };
  },
  async fromSeed(seed) {
    const privateKey = await subtle.importKey("raw-seed", seed, NAME, false, ["decapsulateBits"]);
    return { publicKey: await exported(await subtle.getPublicKey(privateKey, ["encapsulateBits"])), privateKey: { native: privateKey } };
  },
  async encapsulate(publicKey) {
    try {
      const key = await subtle.importKey("raw-public", publicKey, NAME, false, ["encapsulateBits"]);
      const { ciphertext, sharedKey } = await subtle.encapsulateBits(NAME, key);
      return { enc: new Uint8Array(ciphertext), shared: new Uint8Array(sharedKey) };
    } catch {
      throw new SealedError("bad-key");
    }
  },
  async decapsulate(privateKey, enc) {
    if (!("native" in privateKey)) throw new SealedError("bad-key");
    try {
      return new Uint8Array(await subtle.decapsulateBits(NAME, privateKey.native, enc));
    } catch {
      throw new SealedError("hand-does-not-open");
    }
  },
};

/** @param {CryptoKey} key @returns {Promise<Bytes>} */
const exported = async (key) => new Uint8Array(await subtle.exportKey("raw-public", key));

/** @type {Promise<Kem> | undefined} */
let chosen;

/** The mechanism of this browser. */
export function kem() {
  chosen ??= hasNative().then(async (has) => (has ? native : (await import("./kem-noble.js")).noble));
  return chosen;
}

/** Whether the browser has X-Wing itself, and ours and its agree on the sizes. */
export async function hasNative() {
  try {
    const { publicKey, privateKey } = await native.generate();
    const { enc, shared } = await native.encapsulate(publicKey);
    const same = (await native.decapsulate(privateKey, enc)).every((byte, i) => byte === shared[i]);
    return same && publicKey.length === PUBLIC_BYTES && enc.length === ENC_BYTES && shared.length === 32;
  } catch {
    return false;
  }
}
