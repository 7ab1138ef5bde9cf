/**
 * Hands: what gives one recipient a sender's chain from the present index on, or the key of one private message. Sealed by HPKE to the recipient's leaf.
 * Since every member could seal one (the PSK is the room's), the hand of a chain is signed.
 */
import { be32, concat, fromBase64, lengthPrefixed, readBe32, sha256, toBase64, utf8, VERSION } from "./bytes.js";
import { SealedError } from "./error.js";
import { openPsk, sealPsk } from "./hpke.js";
import { SIGNATURE_BYTES, verify } from "./identity.js";
import { ENC_BYTES } from "./kem-sizes.js";
import { STATE_BYTES } from "./ratchet.js";
import { TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./secret.js").EpochKeys} EpochKeys */
/** @typedef {{ fingerprint: string, generation: number, publicKey: Bytes }} Recipient a member's leaf */
/** @typedef {{ fingerprint: string, generation: number, privateKey: import("./kem.js").PrivateKey }} Holder one's own leaf */
/** @typedef {{ generation: number, index: number }} Place in a chain */

/** What `content` holds behind the version. */
const ROOM = 0x01;
const PRIVATE = 0x02;
const HEAD_BYTES = 6;
const HAND_BYTES = SIGNATURE_BYTES + 4 + STATE_BYTES;
const ROOM_LABEL = "subrosa v2 hand";
const PRIVATE_LABEL = "subrosa v2 private";
const SIZES = { [ROOM]: HEAD_BYTES + ENC_BYTES + HAND_BYTES + TAG_BYTES, [PRIVATE]: HEAD_BYTES + ENC_BYTES + STATE_BYTES + TAG_BYTES };

/** Characters of a `content` with the hand of a chain. */
export const ROOM_CONTENT_CHARS = Math.ceil((SIZES[ROOM] * 4) / 3);

/**
 * Hands a chain on to one recipient.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Recipient} recipient
 * @param {{ root: Bytes, keys: EpochKeys, place: Place, state: Bytes, said: number }} what said is the number before the first that the recipient may miss
 * @returns {Promise<string>} `content`
 */
export async function sealHand(identity, recipient, { root, keys, place, state, said }) {
  const signed = await handSigned(root, keys.epoch, recipient, place, said, state);
  const hand = concat(await identity.sign(signed), be32(said), state);
  const context = handContext(root, keys, identity.fingerprint, recipient, place);
  const sealed = await sealPsk(recipient.publicKey, context, hand);
  hand.fill(0);
  return toBase64(concat(head(ROOM, recipient.generation), sealed));
}

/**
 * Opens the hand of a chain that `sender` (fingerprint and key) sent.
 *
 * @param {Bytes} content
 * @param {Holder} leaf of the generation that {@link readContent} gave
 * @param {{ root: Bytes, keys: EpochKeys, place: Place, sender: { fingerprint: string, key: Bytes } }} from
 * @returns {Promise<{ said: number, state: Bytes }>}
 */
export async function openHand(content, leaf, { root, keys, place, sender }) {
  const context = handContext(root, keys, sender.fingerprint, leaf, place);
  const hand = await openPsk(leaf.privateKey, context, content.slice(HEAD_BYTES));
  const said = readBe32(hand, SIGNATURE_BYTES);
  const state = hand.slice(SIGNATURE_BYTES + 4);
  const signature = hand.slice(0, SIGNATURE_BYTES);
  hand.fill(0);
  await verify(sender.key, await handSigned(root, keys.epoch, leaf, place, said, state), signature);
  return { said, state };
}

/**
 * Seals the key of one private message.
 *
 * @param {string} sender a fingerprint
 * @param {Recipient} recipient
 * @param {{ root: Bytes, keys: EpochKeys, state: Bytes }} what
 * @returns {Promise<string>} `content`
 */
export async function sealPrivateKey(sender, recipient, { root, keys, state }) {
  const sealed = await sealPsk(recipient.publicKey, privateContext(root, keys, sender, recipient), state);
  return toBase64(concat(head(PRIVATE, recipient.generation), sealed));
}

/** @param {Bytes} content @param {Holder} leaf @param {{ root: Bytes, keys: EpochKeys, sender: string }} from */
export function openPrivateKey(content, leaf, { root, keys, sender }) {
  return openPsk(leaf.privateKey, privateContext(root, keys, sender, leaf), content.slice(HEAD_BYTES));
}

/**
 * Reads the outside of a `content`: which kind it is, and which of one's leaves it is for.
 *
 * @param {string} content
 * @returns {{ kind: "room" | "private", generation: number, bytes: Bytes }}
 */
export function readContent(content) {
  const bytes = fromBase64(content);
  if (bytes.length === 0) throw new SealedError("bad-length");
  if (bytes[0] !== VERSION) throw new SealedError("unknown-version");
  if (bytes.length < HEAD_BYTES) throw new SealedError("bad-length");
  const kind = bytes[1];
  if (kind !== ROOM && kind !== PRIVATE) throw new SealedError("bad-kind");
  if (bytes.length !== SIZES[kind]) throw new SealedError("bad-length");
  return { kind: kind === ROOM ? "room" : "private", generation: readBe32(bytes, 2), bytes };
}

/** @param {number} kind @param {number} generation */
const head = (kind, generation) => concat(new Uint8Array([VERSION, kind]), be32(generation));

/** @param {Bytes} root @param {number} epoch @param {{ fingerprint: string, generation: number }} leaf @param {Place} place @param {number} said @param {Bytes} state */
async function handSigned(root, epoch, leaf, place, said, state) {
  const numbers = [leaf.generation, place.generation, place.index, said].map(be32);
  return lengthPrefixed(ROOM_LABEL, root, be32(epoch), fromBase64(leaf.fingerprint), ...numbers, await sha256(state));
}

/** @param {Bytes} root @param {EpochKeys} keys @param {string} sender @param {{ fingerprint: string, generation: number }} leaf @param {Place} place */
function handContext(root, keys, sender, leaf, place) {
  const aad = concat(fromBase64(leaf.fingerprint), be32(leaf.generation), be32(place.generation), be32(place.index));
  return { info: info(ROOM_LABEL, root, keys.epoch, sender), aad, ...pskOf(keys) };
}

/** @param {Bytes} root @param {EpochKeys} keys @param {string} sender @param {{ fingerprint: string, generation: number }} leaf */
function privateContext(root, keys, sender, leaf) {
  const aad = concat(fromBase64(leaf.fingerprint), be32(leaf.generation));
  return { info: info(PRIVATE_LABEL, root, keys.epoch, sender), aad, ...pskOf(keys) };
}

/** @param {string} label @param {Bytes} root @param {number} epoch @param {string} sender */
const info = (label, root, epoch, sender) => lengthPrefixed(label, root, be32(epoch), fromBase64(sender));

/** @param {EpochKeys} keys */
const pskOf = ({ epoch, psk }) => ({ psk, pskId: concat(utf8("subrosa v2 psk"), be32(epoch)) });
