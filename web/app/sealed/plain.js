/**
 * What a member says, before it is signed and sealed: the JSON inside a message, `{n, at, type, body, view, to?}`.
 */
import { toBase64, utf8 } from "./bytes.js";
import { SealedError } from "./error.js";
import { FINGERPRINT_BYTES } from "./fingerprint.js";
import { asBytes, JsonObject, parseObject } from "./json.js";
import { RoomSecret, SECRET_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const VIEW_BYTES = 16;
const MAX_EPOCH = 2 ** 32 - 1;

/**
 * The types of messages.
 *
 * @typedef {{ type: "text", text: string }
 *   | { type: "secret", secret: RoomSecret, removed: string[], chain: Bytes }
 *   | { type: "succession", chain: Bytes, transfer: boolean }
 *   | { type: "void" }
 *   | { type: "unknown", name: string }} Body
 */

/**
 * @typedef {object} Plain
 * @property {number} n counts the sender's messages in this direction, from 1
 * @property {number} at when the sender says that it was written, in unix milliseconds
 * @property {Body} body
 * @property {string} view whom the sender takes to be in the room
 * @property {string} [to] the only recipient's fingerprint, in a private message
 */

/** Writes the JSON that is signed. @param {Plain} plain */
export function plainToJson({ n, at, body, view, to }) {
  return utf8(JSON.stringify({ n, at, type: body.type, body: written(body), view, to }));
}

/** @param {Body} body */
function written(body) {
  switch (body.type) {
    case "text":
      return body.text;
    case "secret": {
      const { secret, removed, chain } = body;
      return { epoch: secret.epoch, secret: toBase64(secret.bytes), removed, chain: toBase64(chain) };
    }
    case "succession":
      return { chain: toBase64(body.chain), transfer: body.transfer };
    case "void":
      return "";
    case "unknown":
      throw new SealedError("bad-field");
  }
}

/**
 * Reads what a member signed. Unknown fields are ignored; the body of an unknown type too.
 *
 * @param {Bytes} json
 * @returns {Plain}
 */
export function parsePlain(json) {
  const object = parseObject(json);
  const n = object.integer("n");
  if (n === 0) throw new SealedError("bad-field");
  const at = object.integer("at");
  const view = toBase64(object.bytes("view", VIEW_BYTES));
  const to = object.has("to") ? toBase64(object.bytes("to", FINGERPRINT_BYTES)) : undefined;
  const body = parseBody(object.text("type"), object);
  return { n, at, body, view, ...(to !== undefined && { to }) };
}

/** @param {string} type @param {JsonObject} object @returns {Body} */
function parseBody(type, object) {
  switch (type) {
    case "text":
      return { type, text: object.text("body") };
    case "secret": {
      const body = object.object("body");
      const epoch = body.integer("epoch", MAX_EPOCH);
      const secret = new RoomSecret(epoch, body.bytes("secret", SECRET_BYTES));
      const removed = body.list("removed").map((member) => toBase64(asBytes(member, FINGERPRINT_BYTES)));
      return { type, secret, removed, chain: body.bytes("chain") };
    }
    case "succession": {
      const body = object.object("body");
      const transfer = body.has("transfer") ? body.field("transfer") : false;
      if (typeof transfer !== "boolean") throw new SealedError("bad-field");
      return { type, chain: body.bytes("chain"), transfer };
    }
    case "void":
      return { type };
    default:
      return { type: "unknown", name: type.replace(/[^\x21-\x7e]/g, "").slice(0, 32) };
  }
}
