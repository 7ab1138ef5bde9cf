/**
 * The member card: who a member is, sealed under the room secret so that the relay, which hands it on, cannot read it.
 */
import { concat, fromBase64, header, HEADER_BYTES, lengthPrefixed, randomBytes, readHeader, toBase64, utf8 } from "./bytes.js";
import { Certificate } from "./certificate.js";
import { SealedError } from "./error.js";
import { fingerprintOf } from "./fingerprint.js";
import { KEY_BYTES, keyHash, SIGNATURE_BYTES, verify } from "./identity.js";
import { parseObject } from "./json.js";
import { checkName } from "./name.js";
import { pad, unpad } from "./padding.js";
import { NONCE_BYTES, open, seal, TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./secret.js").RoomSecret} RoomSecret */

/** The longest card, in characters of base64. (The relay takes up to 4 KiB.) */
export const MAX_CARD_CHARS = 2048;
const LEAST_PADDED = 1024;
const LABEL = "subrosa v1 card";

/** What a card says. @typedef {{ name: string, key: Bytes, fingerprint: string, invite?: Certificate }} Card */

/**
 * Seals one's own card under the room secret.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {string} name
 * @param {Certificate | undefined} invite
 * @param {Bytes} root
 * @param {RoomSecret} secret
 */
export async function sealCard(identity, name, invite, root, secret) {
  checkName(name);
  const json = JSON.stringify({ name, key: toBase64(identity.key), ...(invite && { invite: toBase64(invite.bytes) }) });
  return sealCardJson(identity, utf8(json), root, secret, randomBytes(NONCE_BYTES));
}

/**
 * Seals `json` as it is: the part below {@link sealCard}, which the test vectors repeat.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} json
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @param {Bytes} nonce
 */
export async function sealCardJson(identity, json, root, secret, nonce) {
  const bound = await keyHash(identity.pkcs1);
  const signature = await identity.sign(lengthPrefixed(LABEL, root, bound, json));
  const head = header(secret.epoch);
  const padded = pad(concat(signature, json), LEAST_PADDED);
  return toBase64(concat(head, nonce, await seal(await secret.cardKey(), nonce, concat(utf8(LABEL), head, bound), padded)));
}

/**
 * Opens the card that the relay handed out with a public key, and checks the member's own signature. Who signed the invite is judged later.
 *
 * @param {string} card
 * @param {Bytes} pkcs1
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @returns {Promise<Card>}
 */
export async function openCard(card, pkcs1, root, secret) {
  if (card.length > MAX_CARD_CHARS) throw new SealedError("bad-length");
  const bytes = fromBase64(card);
  const epoch = readHeader(bytes);
  const start = HEADER_BYTES + NONCE_BYTES;
  if (bytes.length < start + LEAST_PADDED + TAG_BYTES) throw new SealedError("bad-length");
  if (epoch !== secret.epoch) throw new SealedError("wrong-epoch");
  const bound = await keyHash(pkcs1);
  const aad = concat(utf8(LABEL), bytes.subarray(0, HEADER_BYTES), bound);
  const padded = await open(await secret.cardKey(), bytes.slice(HEADER_BYTES, start), aad, bytes.slice(start));
  const plain = unpad(padded);
  if (plain.length < SIGNATURE_BYTES) throw new SealedError("bad-length");
  const json = plain.slice(SIGNATURE_BYTES);
  const object = parseObject(json);
  const key = object.bytes("key", KEY_BYTES);
  await verify(key, lengthPrefixed(LABEL, root, bound, json), plain.slice(0, SIGNATURE_BYTES));
  const name = object.text("name");
  checkName(name);
  const invite = object.has("invite") ? readInvite(object.bytes("invite")) : undefined;
  return { name, key, fingerprint: await fingerprintOf(key), ...(invite && { invite }) };
}

/** @param {Bytes} bytes */
function readInvite(bytes) {
  try {
    return new Certificate(bytes);
  } catch (error) {
    // Here the length is that of a field.
    throw error instanceof SealedError && error.id === "bad-length" ? new SealedError("bad-field") : error;
  }
}
