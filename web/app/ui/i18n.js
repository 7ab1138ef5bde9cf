/**
 * The texts of the interface: one table per language, all with the same keys. The page loads only the table that it shows.
 */

/** @typedef {keyof typeof import("./text/en.js").TABLE} Key */
/** @typedef {Record<Key, string>} Table */

/** The languages other than English. */
export const LANGUAGES = ["de", "es", "fr", "pt", "zh"];

/** @type {Table} */
let table;
/** How dates and lists are written: the browser's own region, where it is of the table's language. */
let locale = "en";

/** The languages by their own names. */
export const LANGUAGE_NAMES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", pt: "Português", zh: "中文" };

/** @param {string} tag */
const primary = (tag) => tag.toLowerCase().split("-")[0];

/** Follows wishes, in their order: those of the browser, or the one that was chosen on the page. @param {readonly string[]} wished */
export async function followWishes(wished) {
  locale = wished.find((tag) => ["en", ...LANGUAGES].includes(primary(tag))) ?? "en";
  const language = primary(locale);
  table = (await import(`./text/${language}.js`)).TABLE;
  document.documentElement.lang = language;
}

/** The language that is shown. */
export const language = () => document.documentElement.lang;

/**
 * The text for a key, with `{name}` replaced.
 *
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return table[key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * The same, with each value isolated: a name in a script of the other direction does not turn the sentence around. For `isolated` in dom.js.
 *
 * @param {Key} key
 * @param {Record<string, string | number>} values
 */
export const phrase = (key, values) => t(key, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, `\u2068${value}\u2069`])));

/** Making one costs more than a message does. @type {Map<string, Intl.DateTimeFormat>} */
const formatters = new Map();

/** @param {Intl.DateTimeFormatOptions} options */
function formatter(options) {
  const name = `${locale} ${JSON.stringify(options)}`;
  const made = formatters.get(name) ?? new Intl.DateTimeFormat(locale, options);
  formatters.set(name, made);
  return made;
}

/** @param {number} at unix milliseconds */
export const timeOf = (at) => formatter({ hour: "2-digit", minute: "2-digit" }).format(at);

/** @param {number} at unix milliseconds */
export const dayOf = (at) => formatter({ weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(at);

/** @param {number} at unix milliseconds */
export const dateAndTime = (at) => formatter({ dateStyle: "medium", timeStyle: "short" }).format(at);

/** @param {number} at unix milliseconds; only the time if that is today */
export const shortDate = (at) => (new Date(at).toDateString() === new Date().toDateString() ? timeOf(at) : dateAndTime(at));

/** A length of time in words: "3 days", "20 minutes". @param {number} ms */
export function duration(ms) {
  const [unit, length] = /** @type {const} */ ([["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]]).find(([, length]) => ms >= length) ?? ["minute", 60_000];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(Math.max(1, Math.round(ms / length)));
}

/** @param {string[]} names */
export const listOf = (names) => new Intl.ListFormat(locale).format(names);
