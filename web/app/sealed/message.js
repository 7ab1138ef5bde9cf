/**
 * Signing, sealing and opening messages.
 *
 * `plain` is signed, padded, and sealed once under a fresh key (`shared`, the same for all recipients); that key goes to each recipient under its RSA
 * key (`content`). Opening goes the same way back: {@link openMessage} with one's own keys, then {@link verifySigned} with the key of whoever the
 * relay says it is from.
 */
import { concat, fromBase64, header, HEADER_BYTES, lengthPrefixed, randomBytes, readHeader, toBase64, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { SIGNATURE_BYTES, verify, wrap } from "./identity.js";
import { pad, SMALLEST, unpad } from "./padding.js";
import { NONCE_BYTES, open, seal, SECRET_BYTES, TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./secret.js").RoomSecret} RoomSecret */

const LABEL = "subrosa v1 message";

/**
 * `signature(64) ‖ plain`.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} root
 * @param {Bytes} plain
 */
export async function signPlain(identity, root, plain) {
  return concat(await identity.sign(lengthPrefixed(LABEL, root, plain)), plain);
}

/**
 * Checks that `author` signed this for the room `root`.
 *
 * @param {Bytes} signed
 * @param {Bytes} root
 * @param {Bytes} author
 * @returns {Promise<Bytes>} `plain`
 */
export async function verifySigned(signed, root, author) {
  const plain = signed.slice(SIGNATURE_BYTES);
  await verify(author, lengthPrefixed(LABEL, root, plain), signed.slice(0, SIGNATURE_BYTES));
  return plain;
}

/**
 * Seals what was signed under a fresh key in the epoch of `secret`.
 *
 * @param {Bytes} signed
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @param {{ cek: Bytes, nonce: Bytes }} [chosen] by the test vectors only
 * @returns {Promise<{ shared: string, contentFor: (recipient: CryptoKey) => Promise<string> }>}
 */
export async function sealMessage(signed, root, secret, chosen) {
  const { cek, nonce } = chosen ?? { cek: randomBytes(SECRET_BYTES), nonce: randomBytes(NONCE_BYTES) };
  const head = header(secret.epoch);
  const sealed = await seal(await secret.messageKey(cek), nonce, concat(utf8(LABEL), head, root), pad(signed));
  return {
    shared: toBase64(concat(head, nonce, sealed)),
    contentFor: async (recipient) => toBase64(concat(head, await wrap(cek, recipient))),
  };
}

/**
 * Opens a message with one's own keys and the room secret of its epoch. Who wrote it is not known before {@link verifySigned}.
 *
 * @param {string} content
 * @param {string} shared
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @returns {Promise<Bytes>} what was signed
 */
export async function openMessage(content, shared, identity, root, secret) {
  const contentBytes = fromBase64(content);
  const bytes = fromBase64(shared);
  const epoch = readHeader(contentBytes);
  if (readHeader(bytes) !== epoch) throw new SealedError("epochs-differ");
  if (epoch !== secret.epoch) throw new SealedError("wrong-epoch");
  const start = HEADER_BYTES + NONCE_BYTES;
  if (bytes.length < start + SMALLEST + TAG_BYTES) throw new SealedError("bad-length");
  const cek = await identity.unwrap(contentBytes.slice(HEADER_BYTES));
  const key = await secret.messageKey(cek);
  cek.fill(0);
  const aad = concat(utf8(LABEL), header(epoch), root);
  const signed = unpad(await open(key, bytes.slice(HEADER_BYTES, start), aad, bytes.slice(start)));
  if (signed.length < SIGNATURE_BYTES) throw new SealedError("bad-length");
  return signed.slice();
}
