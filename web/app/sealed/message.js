/**
 * Sealing and opening messages. A room message is sealed under its sender's chain, a private one under a key of its own; both are signed, and the signature
 * commits to the key, so that one ciphertext cannot say two things.
 */
import { be32, concat, fromBase64, header, HEADER_BYTES, lengthPrefixed, readBe32, readHeader, toBase64, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { SIGNATURE_BYTES, verify } from "./identity.js";
import { pad, SMALLEST, unpad } from "./padding.js";
import { MAX_INDEX } from "./ratchet.js";
import { open, seal, TAG_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./ratchet.js").MessageKeys} MessageKeys */

const ROOM_LABEL = "subrosa v2 message";
const PRIVATE_LABEL = "subrosa v2 private";
/** The byte behind the epoch. */
const TAGS = /** @type {const} */ ({ room: 0x00, private: 0x01, note: 0x02 });
const ROOM_HEAD = HEADER_BYTES + 1 + 8;
const PRIVATE_HEAD = HEADER_BYTES + 1;

/**
 * The outside of a `shared`, which is anybody's word.
 *
 * @typedef {{ kind: "room", epoch: number, generation: number, index: number, bytes: Bytes }
 *   | { kind: "private" | "note", epoch: number, bytes: Bytes }} Outside
 */

/** @param {string} shared @returns {Outside} */
export function readShared(shared) {
  const bytes = fromBase64(shared);
  const epoch = readHeader(bytes);
  switch (bytes[HEADER_BYTES]) {
    case TAGS.room: {
      if (bytes.length < ROOM_HEAD + SMALLEST + TAG_BYTES) throw new SealedError("bad-length");
      const index = readBe32(bytes, HEADER_BYTES + 5);
      if (index > MAX_INDEX) throw new SealedError("bad-field");
      return { kind: "room", epoch, generation: readBe32(bytes, HEADER_BYTES + 1), index, bytes };
    }
    case TAGS.private:
      if (bytes.length < PRIVATE_HEAD + SMALLEST + TAG_BYTES) throw new SealedError("bad-length");
      return { kind: "private", epoch, bytes };
    case TAGS.note:
      return { kind: "note", epoch, bytes };
    case undefined:
      throw new SealedError("bad-length");
    default:
      throw new SealedError("bad-kind");
  }
}

/**
 * Seals a room message.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} plain
 * @param {{ root: Bytes, epoch: number, generation: number, index: number, keys: MessageKeys }} where
 * @returns {Promise<string>} `shared`
 */
export async function sealRoom(identity, plain, { root, epoch, generation, index, keys }) {
  const signature = await identity.sign(roomSigned(root, epoch, generation, index, keys.commit, plain));
  const sealed = await seal(keys.key, keys.nonce, roomAad(root, epoch, generation, index), pad(concat(signature, plain)));
  return toBase64(concat(header(epoch), new Uint8Array([TAGS.room]), be32(generation), be32(index), sealed));
}

/**
 * Opens a room message and checks that `author` signed it.
 *
 * @param {Extract<Outside, { kind: "room" }>} outside
 * @param {MessageKeys} keys
 * @param {Bytes} root
 * @param {Bytes} author
 * @returns {Promise<Bytes>} `plain`
 */
export async function openRoom({ epoch, generation, index, bytes }, keys, root, author) {
  const signed = unpad(await open(keys.key, keys.nonce, roomAad(root, epoch, generation, index), bytes.slice(ROOM_HEAD)));
  return checked(signed, author, (plain) => roomSigned(root, epoch, generation, index, keys.commit, plain));
}

/**
 * Seals a private message.
 *
 * @param {import("./identity.js").Identity} identity
 * @param {Bytes} plain
 * @param {{ root: Bytes, epoch: number, to: string, keys: MessageKeys }} where
 * @returns {Promise<string>} `shared`
 */
export async function sealPrivate(identity, plain, { root, epoch, to, keys }) {
  const signature = await identity.sign(privateSigned(root, epoch, to, keys.commit, plain));
  const aad = privateAad(root, epoch, identity.fingerprint, to);
  return toBase64(concat(header(epoch), new Uint8Array([TAGS.private]), await seal(keys.key, keys.nonce, aad, pad(concat(signature, plain)))));
}

/**
 * Opens a private message to `to` and checks that `author` signed it.
 *
 * @param {Outside} outside
 * @param {MessageKeys} keys
 * @param {Bytes} root
 * @param {{ fingerprint: string, key: Bytes }} author
 * @param {string} to
 * @returns {Promise<Bytes>} `plain`
 */
export async function openPrivate({ epoch, bytes }, keys, root, author, to) {
  const aad = privateAad(root, epoch, author.fingerprint, to);
  const signed = unpad(await open(keys.key, keys.nonce, aad, bytes.slice(PRIVATE_HEAD)));
  return checked(signed, author.key, (plain) => privateSigned(root, epoch, to, keys.commit, plain));
}

/** @param {Bytes} signed @param {Bytes} author @param {(plain: Bytes) => Bytes} statement */
async function checked(signed, author, statement) {
  if (signed.length < SIGNATURE_BYTES) throw new SealedError("bad-length");
  const plain = signed.slice(SIGNATURE_BYTES);
  await verify(author, statement(plain), signed.slice(0, SIGNATURE_BYTES));
  return plain;
}

/** @param {Bytes} root @param {number} epoch @param {number} generation @param {number} index @param {Bytes} commit @param {Bytes} plain */
const roomSigned = (root, epoch, generation, index, commit, plain) =>
  lengthPrefixed(ROOM_LABEL, root, be32(epoch), be32(generation), be32(index), commit, plain);

/** @param {Bytes} root @param {number} epoch @param {number} generation @param {number} index */
const roomAad = (root, epoch, generation, index) => concat(utf8(ROOM_LABEL), header(epoch), be32(generation), be32(index), root);

/** @param {Bytes} root @param {number} epoch @param {string} to @param {Bytes} commit @param {Bytes} plain */
const privateSigned = (root, epoch, to, commit, plain) => lengthPrefixed(PRIVATE_LABEL, root, be32(epoch), fromBase64(to), commit, plain);

/** @param {Bytes} root @param {number} epoch @param {string} from @param {string} to */
const privateAad = (root, epoch, from, to) => concat(utf8(PRIVATE_LABEL), header(epoch), root, fromBase64(from), fromBase64(to));
