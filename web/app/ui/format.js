/**
 * Light formatting of messages: `code`, fenced blocks, **bold**, *italics*, quotes and lists. It builds elements from text. An incomplete
 * mark stays as it is.
 */
import { copyButton, selectContent } from "./copy.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { linkified } from "./linkify.js";
import { harmless } from "./plain-text.js";

const FENCE = /^```([A-Za-z0-9+#.-]{0,20})[ \t]*$/;
const QUOTE = /^> ?/;
const BULLET = /^[-*•] +(?=\S)/;
const NUMBER = /^(\d{1,4})[.)] +(?=\S)/;
/** Code first: nothing within it is a mark. Marks stand at the edges of words, and hold no space at their own edges. */
const INLINE = /`([^`\n]+)`|(?<![\p{L}\p{N}*])\*\*(?=\S)([^\n]*?\S)\*\*(?![\p{L}\p{N}*])|(?<![\p{L}\p{N}*_])([*_])(?=[^\s*_])([^\n*_]*[^\s*_])\3(?![\p{L}\p{N}*_])/gu;
const ADDRESS = /https?:\/\/\S+/giu;

/**
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function formatted(text) {
  const lines = text.split("\n");
  /** @type {(Node | string)[]} */
  const parts = [];
  /** Plain lines that go together. @type {string[]} */
  let plain = [];
  const flush = () => {
    if (plain.length > 0) parts.push(h("div", { dir: "auto" }, ...inline(plain.join("\n"))));
    plain = [];
  };
  for (let i = 0; i < lines.length; ) {
    const fence = FENCE.exec(lines[i]);
    const end = fence ? lines.indexOf("```", i + 1) : -1;
    if (end > i) {
      flush();
      parts.push(codeBlock(lines.slice(i + 1, end).join("\n")));
      i = end + 1;
      continue;
    }
    const kind = [QUOTE, BULLET, NUMBER].find((mark) => mark.test(lines[i]));
    if (!kind) {
      plain.push(lines[i++]);
      continue;
    }
    flush();
    const from = i;
    while (i < lines.length && kind.test(lines[i])) i++;
    const items = lines.slice(from, i).map((line) => line.replace(kind, ""));
    if (kind === QUOTE) parts.push(h("blockquote", { dir: "auto" }, ...inline(items.join("\n"))));
    else if (kind === BULLET) parts.push(h("ul", { dir: "auto" }, ...items.map((item) => h("li", {}, ...inline(item)))));
    else parts.push(h("ol", { dir: "auto", start: Number(kind.exec(lines[from])?.[1] ?? 1) }, ...items.map((item) => h("li", {}, ...inline(item)))));
  }
  flush();
  return parts;
}

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let from = 0;
  // Marks within an address are part of it.
  const addresses = [...text.matchAll(ADDRESS)].map(({ 0: { length }, index }) => [index, index + length]);
  for (const match of text.matchAll(INLINE)) {
    if (addresses.some(([start, end]) => match.index > start && match.index < end)) continue;
    parts.push(...linkified(text.slice(from, match.index)));
    const [whole, code, bold, , italic] = match;
    if (code !== undefined) parts.push(h("code", { translate: false }, harmless(code)));
    else if (bold !== undefined) parts.push(h("strong", {}, ...linkified(bold)));
    else parts.push(h("em", {}, ...linkified(italic)));
    from = match.index + whole.length;
  }
  parts.push(...linkified(text.slice(from)));
  return parts;
}

/** @param {string} code */
function codeBlock(code) {
  const shown = h("pre", { tabIndex: 0, dir: "ltr", "aria-label": t("message.code") }, h("code", {}, harmless(code)));
  const copying = copyButton(() => code, { class: "quiet small", select: () => selectContent(shown) });
  return h("div", { class: "code-block" }, shown, ...copying);
}
