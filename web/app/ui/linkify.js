/**
 * Text with its web addresses made clickable. Nothing of the text is ever read as markup.
 */
import { h } from "./dom.js";

const ADDRESS = /https?:\/\/[^\s<>"'`]+/g;

/**
 * @param {string} text
 * @returns {{ text: string, url?: string }[]}
 */
export function splitAddresses(text) {
  const parts = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const url = withoutTail(found);
    if (!isAddress(url)) continue;
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push({ text: url, url });
    from = index + url.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/** A full stop or bracket at the end belongs to the sentence, unless the bracket was opened within. @param {string} found */
function withoutTail(found) {
  let url = found;
  for (;;) {
    const last = url[url.length - 1];
    const unopened = last === ")" && !url.includes("(");
    if (!".,;:!?…".includes(last) && !unopened) return url;
    url = url.slice(0, -1);
  }
}

/** @param {string} url */
function isAddress(url) {
  try {
    const { protocol, username, password } = new URL(url);
    // A name before the host is how one address is made to look like another.
    return (protocol === "https:" || protocol === "http:") && username === "" && password === "";
  } catch {
    return false;
  }
}

/** @param {string} text */
export function linkified(text) {
  return splitAddresses(text).map((part) =>
    part.url === undefined ? part.text : h("a", { href: part.url, target: "_blank", rel: "noopener noreferrer" }, part.text),
  );
}
