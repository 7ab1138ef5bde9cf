/**
 * Finds an invite in pasted text. Messengers, mail programs and people wrap an invite, put brackets and sentences around it, add parameters, encode
 * it, and omit redundant parts. The lengths and the signature in the link decide whether a candidate is complete.
 */
import { SealedError } from "../sealed/error.js";
import { MAX_LINK_BYTES, parseLink } from "../sealed/link.js";

/** @typedef {import("../sealed/link.js").Link} Link */

/** An invite's code is longer than any word: what is shorter is none. */
const SHORTEST_CODE = 200;
/** How many pieces of a broken code are put together at most, and how many candidates are looked at. */
const MOST_PIECES = 64;
const MOST_CANDIDATES = 256;
/** Characters that messengers put into long words, and that nobody sees. */
const UNSEEN = /[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]/g;

const HOST = String.raw`\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?`;
/** A path and parameters, but no address within them: some mail programs put the whole link behind one of their own. */
const REST = String.raw`(?:(?!https?:\/\/)[^\s#<>"])*`;
const START = new RegExp(String.raw`(?:https?:\/\/)?(${HOST})\.?(:[0-9]{1,5})?(?:[/?]${REST})?#`, "gi");
const CODE = /[A-Za-z0-9_-]+/y;
/** What a line break within a code looks like: with the marks of quoted mail, or of quoted-printable. */
const BREAK = /(?:=\r?\n|\s+(?:>\s*)*)/y;

/**
 * Gives the invite in a text, with its own spelling.
 *
 * @param {string} text whatever was pasted, scanned or found in the address bar
 * @param {string} here the origin of this page: where a code without an address leads
 * @returns {Promise<{ link: Link, url: string }>}
 * @throws {SealedError} why the likeliest candidate is none
 */
export async function findLink(text, here) {
  if (text.length > MAX_LINK_BYTES) throw new SealedError("bad-link");
  /** @type {unknown} */
  let why = new SealedError("bad-link");
  let looked = 0;
  for (const url of candidates(text, here)) {
    if (++looked > MOST_CANDIDATES) break;
    try {
      return { link: await parseLink(url), url };
    } catch (error) {
      if (!(error instanceof SealedError)) throw error;
      // A forged certificate is the more important error than a wrong length.
      if (weight(error) > weight(why)) why = error;
    }
  }
  throw why;
}

/** @param {unknown} error */
function weight(error) {
  const id = error instanceof SealedError ? error.id : "";
  if (id === "bad-link") return 0;
  return id === "bad-certificate" || id === "bad-chain" ? 3 : id === "unknown-version" ? 2 : 1;
}

/** @param {string} text @param {string} here */
function* candidates(text, here) {
  for (const form of forms(text)) {
    yield* found(form, here);
  }
}

/** The text as it is, and decoded as often as it may have been encoded. @param {string} text */
function forms(text) {
  const all = [text.replace(UNSEEN, "")];
  for (let i = 0; i < 2; i++) {
    const last = all[all.length - 1];
    const decoded = last.replace(/&#(?:35|x23);|&num;/gi, "#").replace(/%[0-9a-f]{2}/gi, (code) => asciiOf(code));
    if (decoded === last) break;
    all.push(decoded);
  }
  return all;
}

/** @param {string} code */
function asciiOf(code) {
  const value = parseInt(code.slice(1), 16);
  return value < 0x80 ? String.fromCharCode(value) : code;
}

/** @param {string} text @param {string} here */
function* found(text, here) {
  for (const match of text.matchAll(START)) {
    const origin = `https://${match[1].toLowerCase()}${match[2] ?? ""}`;
    yield* codes(text, match.index + match[0].length, origin);
  }
  // The line break may be before the code.
  const joined = text.replace(/=\r?\n|\s+(?:>\s*)*/g, "");
  if (joined !== text) {
    for (const match of joined.matchAll(START)) {
      const origin = `https://${match[1].toLowerCase()}${match[2] ?? ""}`;
      yield* codes(joined, match.index + match[0].length, origin);
    }
  }
  // A code alone.
  for (const { index } of text.matchAll(/(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{20,}/g)) yield* codes(text, index, here);
}

/** The code that begins at a place: its first piece, then with the next, and so on. @param {string} text @param {number} at @param {string} origin */
function* codes(text, at, origin) {
  let code = "";
  for (let piece = 0; piece < MOST_PIECES; piece++) {
    if (piece > 0) {
      BREAK.lastIndex = at;
      const gap = BREAK.exec(text);
      if (!gap) return;
      at += gap[0].length;
    }
    CODE.lastIndex = at;
    const more = CODE.exec(text);
    if (!more) return;
    at += more[0].length;
    code += more[0];
    if (code.length >= SHORTEST_CODE || piece === 0) yield `${origin}/#${code}`;
  }
}
