/**
 * Makes web addresses in a text clickable. No part of the text is interpreted as markup.
 *
 * An address ends where a reader sees it end: at a space, a quotation mark, the punctuation of any language, an invisible character, and where a
 * script begins that writes no spaces between words. An uncertain address is not linked. A link shows its destination: a host in another script in a
 * form that no letter can imitate (punycode), everything else as it is sent.
 */
import { h } from "./dom.js";
import { harmless } from "./plain-text.js";

/** Scripts in which a sentence goes on right behind an address. */
const UNSPACED = String.raw`\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Bopo}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\p{sc=Tibt}`;
const ENDS = String.raw`\s\p{C}\p{Z}\p{Pi}\p{Pf}\p{Ps}\p{Pe}\p{Extended_Pictographic}<>"'\u0060`;
/** Brackets may stand within an address; punctuation only if it is ASCII. */
const BODY = String.raw`(?:[()\[\]{}]|(?![${ENDS}${UNSPACED}])(?:[\x21-\x7e]|[^\x00-\x7f\p{P}\p{S}]))`;
const ADDRESS = new RegExp(String.raw`(?<![\p{L}\p{N}_](?<![${UNSPACED}]))(?:https?:\/\/|www\.)(${BODY}+)`, "giu");
const CLOSING = new Map([[")", "("], ["]", "["], ["}", "{"]]);

/**
 * @param {string} text
 * @returns {{ text: string, url?: string }[]} texts as they are written, urls as they lead
 */
export function splitAddresses(text) {
  const parts = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const written = withoutTail(found);
    const url = addressOf(written);
    if (url === undefined) continue;
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push({ text: written, url });
    from = index + written.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/** A full stop or bracket at the end belongs to the sentence, unless the bracket was opened within. @param {string} found */
function withoutTail(found) {
  let url = found;
  for (;;) {
    const last = url[url.length - 1];
    const opening = CLOSING.get(last);
    const unopened = opening !== undefined && count(url, last) > count(url, opening);
    if (!".,;:!?*_~|".includes(last) && !unopened) return url;
    url = url.slice(0, -1);
  }
}

/** @param {string} text @param {string} mark */
const count = (text, mark) => text.split(mark).length - 1;

/** @param {string} written @returns {string | undefined} */
function addressOf(written) {
  try {
    const { protocol, username, password, hostname, href } = new URL(/^www\./i.test(written) ? `https://${written}` : written);
    // A name before the host is how one address is made to look like another.
    if ((protocol !== "https:" && protocol !== "http:") || username !== "" || password !== "") return undefined;
    return hostname.includes(".") || hostname === "localhost" || hostname.startsWith("[") ? shown(href) : undefined;
  } catch {
    return undefined;
  }
}

/** Without the slash that an address of a host alone is given. @param {string} url */
const shown = (url) => url.replace(/^(https?:\/\/[^/]+)\/$/, "$1");

/** @param {string} text */
export function linkified(text) {
  return splitAddresses(text).map((part) =>
    part.url === undefined
      ? harmless(part.text)
      : h("bdi", {}, h("a", { href: part.url, target: "_blank", rel: "noopener noreferrer" }, part.url)),
  );
}
