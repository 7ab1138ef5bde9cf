/**
 * The member card: who a member is and where chains are handed to it (its leaf), sealed under the room secret so that the relay cannot read it.
 */
import { be32, concat, fromBase64, header, HEADER_BYTES, lengthPrefixed, randomBytes, readBe32, readHeader, toBase64, utf8 } from "./bytes.js";
import { Certificate } from "./certificate.js";
import { SealedError } from "./error.js";
import { fingerprintOf } from "./fingerprint.js";
import { checkKey, KEY_BYTES, SIGNATURE_BYTES, verify } from "./identity.js";
import { parseObject } from "./json.js";
import { PUBLIC_BYTES } from "./kem-sizes.js";
import { checkName } from "./name.js";
import { pad, unpad } from "./padding.js";
import { NONCE_BYTES, open, seal, TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./secret.js").RoomSecret} RoomSecret */

/** A leaf that others hand chains to: it counts up with each change. @typedef {{ generation: number, publicKey: Bytes }} Leaf */

const PADDED = 2048;
const SEALED_BYTES = HEADER_BYTES + NONCE_BYTES + PADDED + TAG_BYTES;
/** Characters of every valid card. (The relay takes up to 4 KiB.) */
export const CARD_CHARS = Math.ceil((SEALED_BYTES * 4) / 3);
const LABEL = "subrosa v2 card";
/** What stands in front of the JSON. */
const FRONT_BYTES = SIGNATURE_BYTES + 4 + PUBLIC_BYTES;

/** What a card says. @typedef {{ name: string, key: Bytes, fingerprint: string, leaf: Leaf, invite?: Certificate }} Card */

/**
 * Seals one's own card under the room secret.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {{ name: string, leaf: Leaf, invite?: Certificate }} what
 * @param {Bytes} root
 * @param {RoomSecret} secret
 */
export async function sealCard(identity, { name, leaf, invite }, root, secret) {
  checkName(name);
  const json = JSON.stringify({ name, key: toBase64(identity.key), ...(invite && { invite: toBase64(invite.bytes) }) });
  return sealCardJson(identity, utf8(json), leaf, root, secret, randomBytes(NONCE_BYTES));
}

/**
 * Seals `json` as it is: the part below {@link sealCard}, which the test vectors repeat.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} json
 * @param {Leaf} leaf
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @param {Bytes} nonce
 */
export async function sealCardJson(identity, json, leaf, root, secret, nonce) {
  const signature = await identity.sign(cardSigned(root, secret.epoch, leaf, json));
  const head = header(secret.epoch);
  const padded = pad(concat(signature, be32(leaf.generation), leaf.publicKey, json), PADDED);
  return toBase64(concat(head, nonce, await seal((await secret.keys()).card, nonce, concat(utf8(LABEL), head), padded)));
}

/**
 * Opens a card and checks the member's own signature. Who signed the invite is judged later.
 *
 * @param {string} card
 * @param {Bytes} root
 * @param {RoomSecret} secret
 * @returns {Promise<Card>}
 */
export async function openCard(card, root, secret) {
  if (card.length !== CARD_CHARS) throw new SealedError("bad-length");
  const bytes = fromBase64(card);
  const epoch = readHeader(bytes);
  if (epoch !== secret.epoch) throw new SealedError("wrong-epoch");
  const start = HEADER_BYTES + NONCE_BYTES;
  const aad = concat(utf8(LABEL), bytes.subarray(0, HEADER_BYTES));
  const plain = unpad(await open((await secret.keys()).card, bytes.slice(HEADER_BYTES, start), aad, bytes.slice(start)));
  if (plain.length < FRONT_BYTES) throw new SealedError("bad-length");
  const leaf = { generation: readBe32(plain, SIGNATURE_BYTES), publicKey: plain.slice(SIGNATURE_BYTES + 4, FRONT_BYTES) };
  const json = plain.slice(FRONT_BYTES);
  const object = parseObject(json);
  const key = object.bytes("key", KEY_BYTES);
  checkKey(key);
  await verify(key, cardSigned(root, epoch, leaf, json), plain.slice(0, SIGNATURE_BYTES));
  const name = object.text("name");
  checkName(name);
  const invite = object.has("invite") ? readInvite(object.bytes("invite")) : undefined;
  return { name, key, fingerprint: await fingerprintOf(key), leaf, ...(invite && { invite }) };
}

/** @param {Bytes} root @param {number} epoch @param {Leaf} leaf @param {Bytes} json */
const cardSigned = (root, epoch, leaf, json) => lengthPrefixed(LABEL, root, be32(epoch), be32(leaf.generation), leaf.publicKey, json);

/** @param {Bytes} bytes */
function readInvite(bytes) {
  try {
    return new Certificate(bytes);
  } catch (error) {
    // Here the length is that of a field.
    throw error instanceof SealedError && error.id === "bad-length" ? new SealedError("bad-field") : error;
  }
}
