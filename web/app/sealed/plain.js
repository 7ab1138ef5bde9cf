/**
 * What a member says, before it is signed and sealed: `length(4) ‖ core ‖ extra [‖ 0x00 ‖ bytes]`. The core `{n, at, type, body, …}` of a number never
 * changes; the extra `{view, after}` is made anew at each sending.
 */
import { be32, concat, MAX_U32, readBe32, toBase64, utf8 } from "./bytes.js";
import { counts, MAX_GONE_S, PIECE_BYTES, readBody, writeBody } from "./body.js";
import { SealedError } from "./error.js";
import { FINGERPRINT_BYTES } from "./fingerprint.js";
import { parseObject } from "./json.js";
import { afterBytes, readAfter } from "./said.js";
import { VIEW_BYTES } from "./view.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/**
 * @typedef {object} Core
 * @property {number} n counts the sender's messages in this direction, from 1; of types that do not count, the last number
 * @property {number} at when the sender says that it was written, in unix milliseconds
 * @property {import("./body.js").Body} body
 * @property {string} [to] the only recipient's fingerprint, in a private message
 * @property {number} [gone] after how many seconds the message disappears
 * @property {number} [timer] the room's time after which messages disappear, in seconds; only the owner's word counts
 * @property {boolean} [marks] whether the room allows typing and read marks; only the owner's word counts
 * @property {boolean} [quiet] a client that does not know the type shows nothing
 */

/** @typedef {{ view: string, after: import("./said.js").After[] }} Extra */
/** A message as it was read, with the bytes of its core. @typedef {Core & Extra & { core: Bytes, bytes?: Bytes }} Plain */

/** Writes a core. @param {Core} core */
export function writeCore({ n, at, body, to, gone, timer, marks, quiet }) {
  return utf8(JSON.stringify({ n, at, type: body.type, body: writeBody(body), to, gone, timer, marks, quiet }));
}

/** Puts a plain together. @param {Bytes} core @param {Extra} extra @param {Bytes} [bytes] of a piece */
export function writePlain(core, { view, after }, bytes) {
  const extra = utf8(JSON.stringify({ view, ...(after.length > 0 && { after: toBase64(afterBytes(after)) }) }));
  return concat(be32(core.length), core, extra, ...(bytes ? [new Uint8Array([0]), bytes] : []));
}

/**
 * Reads what a member signed. Unknown fields are ignored; the body of an unknown type too.
 *
 * @param {Bytes} plain
 * @param {string | undefined} to the reader's fingerprint if it came in private
 * @returns {Plain}
 */
export function readPlain(plain, to) {
  if (plain.length < 4 || readBe32(plain) > plain.length - 4) throw new SealedError("bad-length");
  const core = plain.slice(4, 4 + readBe32(plain));
  const rest = plain.slice(4 + core.length);
  const end = rest.indexOf(0);
  const bytes = end < 0 ? undefined : rest.slice(end + 1);
  const extra = readExtra(end < 0 ? rest : rest.slice(0, end));
  const read = readCore(core);
  if ((bytes !== undefined) !== (read.body.type === "piece")) throw new SealedError("bad-field");
  if (bytes !== undefined && (bytes.length === 0 || bytes.length > PIECE_BYTES)) throw new SealedError("bad-field");
  if (read.to !== to) throw new SealedError("not-for-me");
  return { ...read, ...extra, core, ...(bytes && { bytes }) };
}

/** @param {Bytes} bytes @returns {Core} */
function readCore(bytes) {
  const object = parseObject(bytes);
  const n = object.integer("n", MAX_U32);
  const at = object.integer("at");
  const type = object.text("type");
  const to = object.has("to") ? toBase64(object.bytes("to", FINGERPRINT_BYTES)) : undefined;
  const body = readBody(type, object, to !== undefined);
  if (n === 0 && counts(body)) throw new SealedError("bad-field");
  const gone = object.has("gone") ? object.integer("gone", MAX_GONE_S) : undefined;
  const timer = object.has("timer") ? object.integer("timer", MAX_GONE_S) : undefined;
  const marks = object.has("marks") ? object.boolean("marks") : undefined;
  const quiet = object.has("quiet") ? object.boolean("quiet") : undefined;
  return {
    ...{ n, at, body },
    ...(to !== undefined && { to }),
    ...(gone !== undefined && { gone }),
    ...(timer !== undefined && { timer }),
    ...(marks !== undefined && { marks }),
    ...(quiet !== undefined && { quiet }),
  };
}

/** @param {Bytes} bytes @returns {Extra} */
function readExtra(bytes) {
  const object = parseObject(bytes);
  const view = toBase64(object.bytes("view", VIEW_BYTES));
  return { view, after: object.has("after") ? readAfter(object.bytes("after")) : [] };
}

