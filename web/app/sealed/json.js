/**
 * Strict JSON for what members say to each other.
 *
 * A signature covers bytes, and every client must read the same out of them. So what parsers treat differently is refused, which the
 * browser's own parser does not do: a name twice in one object, lone surrogates, bytes that are not UTF-8, and every number but integers from 0 to 2⁵³−1.
 */
import { fromBase64, fromUtf8 } from "./bytes.js";
import { SealedError } from "./error.js";

/** `null`, which nothing of ours means. */
const NULL = Symbol("null");
/** How many containers may stand in one another: engines differ in how deep they read. */
const MAX_DEPTH = 32;

/** @typedef {number | string | boolean | typeof NULL | Json[] | JsonObject} Json */

/** An object's fields by name. */
export class JsonObject {
  /** @param {Map<string, Json>} fields */
  constructor(fields) {
    this.fields = fields;
  }

  /** @param {string} name */
  has(name) {
    return this.fields.has(name);
  }

  /** A field that must be there. @param {string} name @returns {Json} */
  field(name) {
    const value = this.fields.get(name);
    if (value === undefined) throw new SealedError("bad-field");
    return value;
  }

  /** An integer from 0 to `max`. @param {string} name */
  integer(name, max = Number.MAX_SAFE_INTEGER) {
    const value = this.field(name);
    if (typeof value !== "number" || value > max) throw new SealedError("bad-field");
    return value;
  }

  /** @param {string} name */
  text(name) {
    return asText(this.field(name));
  }

  /** @param {string} name */
  boolean(name) {
    const value = this.field(name);
    if (typeof value !== "boolean") throw new SealedError("bad-field");
    return value;
  }

  /** @param {string} name */
  list(name) {
    const value = this.field(name);
    if (!Array.isArray(value)) throw new SealedError("bad-field");
    return value;
  }

  /** @param {string} name */
  object(name) {
    const value = this.field(name);
    if (!(value instanceof JsonObject)) throw new SealedError("bad-field");
    return value;
  }

  /** Bytes in base64, of the given length if one is given. @param {string} name @param {number} [length] */
  bytes(name, length) {
    return asBytes(this.field(name), length);
  }
}

/** @param {Json} value */
function asText(value) {
  if (typeof value !== "string") throw new SealedError("bad-field");
  return value;
}

/** Bytes in base64. @param {Json} value @param {number} [length] */
export function asBytes(value, length) {
  const text = asText(value);
  let bytes;
  try {
    bytes = fromBase64(text);
  } catch {
    throw new SealedError("bad-field");
  }
  if (length !== undefined && bytes.length !== length) throw new SealedError("bad-field");
  return bytes;
}

/**
 * Parses a whole document that must be one object.
 *
 * @param {Uint8Array} bytes
 */
export function parseObject(bytes) {
  let text;
  try {
    text = fromUtf8(bytes);
  } catch {
    throw new SealedError("bad-json");
  }
  const value = new Parser(text).document();
  if (!(value instanceof JsonObject)) throw new SealedError("bad-json");
  return value;
}

/** RFC 8259, by recursive descent. */
class Parser {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  document() {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new SealedError("bad-json");
    return value;
  }

  space() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at++;
  }

  /** Takes what `pattern` (sticky) finds here. @param {RegExp} pattern */
  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) throw new SealedError("bad-json");
    this.at = pattern.lastIndex;
    return found[0];
  }

  /** @param {string} character @returns {boolean} whether it stood here and was taken */
  skip(character) {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  /** @param {string} character */
  expect(character) {
    if (!this.skip(character)) throw new SealedError("bad-json");
  }

  /** @param {number} depth @returns {Json} */
  value(depth) {
    this.space();
    switch (this.text[this.at]) {
      case "{":
        return this.object(depth);
      case "[":
        return this.list(depth);
      case '"':
        return this.string();
      case "t":
      case "f":
        return this.take(/(?:true|false)/y) === "true";
      case "n":
        this.take(/null/y);
        return NULL;
      default:
        return this.number();
    }
  }

  /** Takes the first character of a container. @param {number} depth of those around it */
  enter(depth) {
    if (depth >= MAX_DEPTH) throw new SealedError("bad-json");
    this.at++;
  }

  number() {
    const number = Number(this.take(/(?:0|[1-9][0-9]*)(?![.eE])/y));
    if (!Number.isSafeInteger(number)) throw new SealedError("bad-json");
    return number;
  }

  string() {
    const raw = this.take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    // Its form is checked: the browser may resolve the escapes.
    const text = /** @type {string} */ (JSON.parse(raw));
    if (!isWellFormed(text)) throw new SealedError("bad-json");
    return text;
  }

  /** @param {number} depth */
  list(depth) {
    this.enter(depth);
    /** @type {Json[]} */
    const items = [];
    if (this.skip("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.skip(","));
    this.expect("]");
    return items;
  }

  /** @param {number} depth */
  object(depth) {
    this.enter(depth);
    /** @type {Map<string, Json>} */
    const fields = new Map();
    if (this.skip("}")) return new JsonObject(fields);
    do {
      this.space();
      const name = this.string();
      this.expect(":");
      const value = this.value(depth + 1);
      if (fields.has(name)) throw new SealedError("bad-json");
      fields.set(name, value);
    } while (this.skip(","));
    this.expect("}");
    return new JsonObject(fields);
  }
}

/** Whether every surrogate has its other half. @param {string} text */
export const isWellFormed = (text) => !/\p{Surrogate}/u.test(text);
