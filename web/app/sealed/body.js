/**
 * The types of messages and what each says in its `body`.
 */
import { MAX_U32, toBase64, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { FINGERPRINT_BYTES } from "./fingerprint.js";
import { SIGNATURE_BYTES } from "./identity.js";
import { JsonObject } from "./json.js";
import { checkFileName } from "./name.js";
import { readRoster, rosterBytes } from "./roster.js";
import { SAID_BYTES } from "./said.js";
import { RoomSecret, SECRET_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** Another message: its author's fingerprint, its number, and its said hash. @typedef {{ of: string, n: number, said: string }} Reference */
/** @typedef {{ id: string, name: string, size: number, mime: string, pieces: number, hash: Bytes }} FileOffer */

/**
 * What a message says.
 *
 * @typedef {{ type: "text", text: string, re?: Reference }
 *   | { type: "edit", n: number, text: string }
 *   | { type: "delete", n: number }
 *   | { type: "react", re: Reference, text: string }
 *   | { type: "timer", gone: number, marks: boolean }
 *   | { type: "file", file: FileOffer }
 *   | { type: "piece", id: string, index: number }
 *   | { type: "want", id: string, pieces: number[] }
 *   | { type: "typing", on: boolean }
 *   | { type: "read", of: string, n: number }
 *   | { type: "void" }
 *   | { type: "secret", secret: RoomSecret, members: string[], chain: Bytes, proof: Bytes }
 *   | { type: "succession", chain: Bytes, transfer: boolean }
 *   | { type: "unknown", name: string }} Body
 */

/** Where a type may be said, and what follows from it. @typedef {{ room: boolean, private: boolean, counts: boolean, confirmed: boolean }} Kind */

/** @param {string} where @param {{ counts?: boolean, confirmed?: boolean }} [more] @returns {Kind} */
const kind = (where, { counts = true, confirmed = false } = {}) => ({
  room: where !== "private",
  private: where !== "room",
  counts,
  confirmed,
});

/** @type {Record<string, Kind>} */
export const KINDS = {
  text: kind("both", { confirmed: true }),
  edit: kind("both", { confirmed: true }),
  delete: kind("both", { confirmed: true }),
  react: kind("both"),
  timer: kind("room"),
  file: kind("both", { confirmed: true }),
  piece: kind("both", { counts: false }),
  want: kind("private"),
  typing: kind("room", { counts: false }),
  read: kind("room", { counts: false }),
  void: kind("room"),
  secret: kind("both"),
  succession: kind("private"),
};

/** Whether a message of this type takes a number. @param {Body} body */
export const counts = (body) => KINDS[body.type]?.counts ?? true;

/** Bytes of a piece of a file; the last has the rest. */
export const PIECE_BYTES = 48_000;
export const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_TEXT_BYTES = 65_536;
const MAX_REACTION_BYTES = 32;
const MAX_TYPE_CHARACTERS = 64;
const MAX_WANTED = 64;
const MAX_MEMBERS = 4096;
const FILE_ID_BYTES = 16;
/** The longest time after which messages disappear, in seconds: a year. */
export const MAX_GONE_S = 31_536_000;

/** Writes a body. @param {Body} body @returns {object} */
export function writeBody(body) {
  switch (body.type) {
    case "secret": {
      const { secret, members, chain, proof } = body;
      const roster = toBase64(rosterBytes(members));
      return { epoch: secret.epoch, secret: toBase64(secret.bytes), members: roster, chain: toBase64(chain), proof: toBase64(proof) };
    }
    case "succession":
      return { chain: toBase64(body.chain), transfer: body.transfer };
    case "file": {
      const { id, name, size, mime, pieces, hash } = body.file;
      return { id, name, size, type: mime, pieces, hash: toBase64(hash) };
    }
    case "unknown":
      throw new SealedError("bad-field");
    default: {
      const { type: _, ...fields } = body;
      return fields;
    }
  }
}

/**
 * Reads the body of a type.
 *
 * @param {string} type
 * @param {JsonObject} core
 * @param {boolean} isPrivate
 * @returns {Body}
 */
export function readBody(type, core, isPrivate) {
  const known = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (!known) return { type: "unknown", name: type.replace(/[^\x21-\x7e]/g, "").slice(0, 32) };
  if (!(isPrivate ? known.private : known.room)) throw new SealedError("bad-field");
  return fields(type, core.object("body"));
}

/** @param {string} type @param {JsonObject} body @returns {Body} */
function fields(type, body) {
  switch (type) {
    case "text":
      return { type, text: text(body, 1), ...(body.has("re") && { re: reference(body.object("re")) }) };
    case "edit":
      return { type, n: number(body), text: text(body, 1) };
    case "delete":
      return { type, n: number(body) };
    case "react":
      return { type, re: reference(body.object("re")), text: text(body, 0, MAX_REACTION_BYTES) };
    case "timer":
      return { type, gone: body.integer("gone", MAX_GONE_S), marks: body.boolean("marks") };
    case "file":
      return { type, file: fileOffer(body) };
    case "piece":
      return { type, id: fileId(body), index: body.integer("index", MAX_PIECES - 1) };
    case "want":
      return { type, id: fileId(body), pieces: wanted(body) };
    case "typing":
      return { type, on: body.boolean("on") };
    case "read":
      return { type, of: toBase64(body.bytes("of", FINGERPRINT_BYTES)), n: number(body) };
    case "secret":
      return secretBody(body);
    case "succession":
      return { type, chain: body.bytes("chain"), transfer: body.boolean("transfer") };
    default:
      return { type: "void" };
  }
}

/** @param {JsonObject} body @returns {Body} */
function secretBody(body) {
  const epoch = body.integer("epoch", MAX_U32);
  const secret = new RoomSecret(epoch, body.bytes("secret", SECRET_BYTES));
  const members = readRoster(body.bytes("members"));
  if (members.length > MAX_MEMBERS) throw new SealedError("bad-field");
  return { type: "secret", secret, members, chain: body.bytes("chain"), proof: body.bytes("proof", SIGNATURE_BYTES) };
}

/** @param {JsonObject} body @returns {FileOffer} */
function fileOffer(body) {
  const id = fileId(body);
  const name = body.text("name");
  checkFileName(name);
  const size = body.integer("size", MAX_FILE_BYTES);
  const mime = body.text("type");
  const pieces = body.integer("pieces");
  const fits = size > 0 && pieces === Math.ceil(size / PIECE_BYTES) && mime.length <= MAX_TYPE_CHARACTERS && /^[\x20-\x7e]*$/.test(mime);
  if (!fits) throw new SealedError("bad-field");
  return { id, name, size, mime, pieces, hash: body.bytes("hash", 32) };
}

/** The most pieces of a file. */
const MAX_PIECES = Math.ceil(MAX_FILE_BYTES / PIECE_BYTES);

/** @param {JsonObject} body */
function wanted(body) {
  const pieces = body.list("pieces");
  if (pieces.length === 0 || pieces.length > MAX_WANTED) throw new SealedError("bad-field");
  return pieces.map((index) => {
    if (typeof index !== "number" || index >= MAX_PIECES) throw new SealedError("bad-field");
    return index;
  });
}

/** @param {JsonObject} body @returns {Reference} */
const reference = (body) => ({
  of: toBase64(body.bytes("of", FINGERPRINT_BYTES)),
  n: number(body),
  said: toBase64(body.bytes("said", SAID_BYTES)),
});

/** @param {JsonObject} body */
function number(body) {
  const n = body.integer("n", MAX_U32);
  if (n === 0) throw new SealedError("bad-field");
  return n;
}

/** @param {JsonObject} body */
const fileId = (body) => toBase64(body.bytes("id", FILE_ID_BYTES));

/** @param {JsonObject} body @param {number} least bytes @param {number} [most] */
function text(body, least, most = MAX_TEXT_BYTES) {
  const found = body.text("text");
  const { length } = utf8(found);
  if (length < least || length > most) throw new SealedError("bad-field");
  return found;
}
