/**
 * Notes: how a member that lacks something asks for it. They hang on no leaf and on no chain, so that whoever was in the room in that epoch can read them.
 */
import { be32, concat, header, HEADER_BYTES, lengthPrefixed, randomBytes, MAX_U32, readBe32, toBase64, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { FINGERPRINT_BYTES } from "./fingerprint.js";
import { SIGNATURE_BYTES, verify } from "./identity.js";
import { asBytes, parseObject } from "./json.js";
import { PUBLIC_BYTES } from "./kem-sizes.js";
import { pad, unpad } from "./padding.js";
import { NONCE_BYTES, open, seal, TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./secret.js").EpochKeys} EpochKeys */

/** What a note says: its recipients, its author's epoch, which is the note's, and what the author lacks. @typedef {{ to: string[], epoch: number, lacks: "secret" | "chain" }} Lack */

/** The most recipients of one note. */
export const MAX_NOTE_RECIPIENTS = 8;
const LABEL = "subrosa v2 note";
const TAG = 0x02;
const PADDED = 2048;
const HEAD_BYTES = HEADER_BYTES + 1;
const SEALED_BYTES = HEAD_BYTES + NONCE_BYTES + PADDED + TAG_BYTES;
const FRONT_BYTES = SIGNATURE_BYTES + 4 + PUBLIC_BYTES;

/**
 * Seals a note in the epoch of `keys`.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Lack} lack
 * @param {import("./card.js").Leaf} leaf a fresh one
 * @param {Bytes} root
 * @param {EpochKeys} keys
 * @param {Bytes} [nonce] chosen by the test vectors only
 * @returns {Promise<string>} `shared`
 */
export async function sealNote(identity, { to, epoch, lacks }, leaf, root, keys, nonce = randomBytes(NONCE_BYTES)) {
  const json = utf8(JSON.stringify({ to, epoch, lacks }));
  const signature = await identity.sign(noteSigned(root, keys.epoch, leaf, json));
  const head = header(keys.epoch);
  const padded = pad(concat(signature, be32(leaf.generation), leaf.publicKey, json), PADDED);
  return toBase64(concat(head, new Uint8Array([TAG]), nonce, await seal(keys.note, nonce, aadOf(head, root), padded)));
}

/**
 * Opens a note and checks that `author` signed it.
 *
 * @param {import("./message.js").Outside} outside
 * @param {Bytes} author
 * @param {Bytes} root
 * @param {EpochKeys} keys of the note's epoch
 * @returns {Promise<Lack & { leaf: import("./card.js").Leaf }>}
 */
export async function openNote({ bytes, epoch }, author, root, keys) {
  if (bytes.length !== SEALED_BYTES) throw new SealedError("bad-length");
  if (epoch !== keys.epoch) throw new SealedError("wrong-epoch");
  const start = HEAD_BYTES + NONCE_BYTES;
  const plain = unpad(await open(keys.note, bytes.slice(HEAD_BYTES, start), aadOf(header(epoch), root), bytes.slice(start)));
  if (plain.length < FRONT_BYTES) throw new SealedError("bad-length");
  const leaf = { generation: readBe32(plain, SIGNATURE_BYTES), publicKey: plain.slice(SIGNATURE_BYTES + 4, FRONT_BYTES) };
  const json = plain.slice(FRONT_BYTES);
  await verify(author, noteSigned(root, epoch, leaf, json), plain.slice(0, SIGNATURE_BYTES));
  const object = parseObject(json);
  const to = object.list("to").map((one) => toBase64(asBytes(one, FINGERPRINT_BYTES)));
  if (to.length === 0 || to.length > MAX_NOTE_RECIPIENTS) throw new SealedError("bad-field");
  const lacks = object.text("lacks");
  if (lacks !== "secret" && lacks !== "chain") throw new SealedError("bad-field");
  if (object.integer("epoch", MAX_U32) !== epoch) throw new SealedError("bad-field");
  return { to, epoch, lacks, leaf };
}

/** @param {Bytes} root @param {number} epoch @param {import("./card.js").Leaf} leaf @param {Bytes} json */
const noteSigned = (root, epoch, leaf, json) => lengthPrefixed(LABEL, root, be32(epoch), be32(leaf.generation), leaf.publicKey, json);

/** @param {Bytes} head @param {Bytes} root */
const aadOf = (head, root) => concat(utf8(LABEL), head, root);
