/**
 * The words of the interface: one table a language, all with the same keys. English is always there; the browser's language is loaded if we have it.
 */
import { EN } from "./text/en.js";

/** @typedef {keyof typeof EN} Key */
/** @typedef {Record<Key, string>} Table */

/** The languages other than English. */
export const LANGUAGES = ["de", "es", "fr", "pt", "zh"];

/** @type {Table} */
let table = EN;
/** How dates and lists are written: the browser's own region, where it is of the table's language. */
let locale = "en";

/** Follows the browser's wishes, in their order. @param {readonly string[]} wished */
export async function followBrowser(wished) {
  const primary = (/** @type {string} */ tag) => tag.toLowerCase().split("-")[0];
  locale = wished.find((tag) => ["en", ...LANGUAGES].includes(primary(tag))) ?? "en";
  const language = primary(locale);
  if (language !== "en") table = (await import(`./text/${language}.js`)).TABLE;
  document.documentElement.lang = language;
}

/**
 * The text for a key, with `{name}` replaced.
 *
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return table[key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {number} at unix milliseconds */
export const timeOf = (at) => new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(at);

/** @param {number} at unix milliseconds */
export const dayOf = (at) => new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" }).format(at);

/** @param {number} at unix milliseconds */
export const dateAndTime = (at) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(at);

/** @param {string[]} names */
export const listOf = (names) => new Intl.ListFormat(locale).format(names);
