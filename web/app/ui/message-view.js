/**
 * One entry of the conversation as an element: a message, a note, a day, a warning.
 */
import { copyButton, selectContent } from "./copy.js";
import { fill, h } from "./dom.js";
import { formatted } from "./format.js";
import { dateAndTime, t, timeOf } from "./i18n.js";
import { icon } from "./icons.js";
import { harmless, isEmojiOnly } from "./plain-text.js";

/** Longer texts show their beginning, and all of it on demand. */
const FOLD_LINES = 24;
const FOLD_CHARACTERS = 1_800;
/** A sender's clock that differs by more than this, in milliseconds, is told as a detail. */
const CLOCKS_DIFFER_MS = 120_000;

/**
 * @typedef {object} Message
 * @property {"message"} kind
 * @property {string} name
 * @property {string} fingerprint
 * @property {boolean} verified
 * @property {string} text
 * @property {number} at when it came, by this device's clock, in unix milliseconds
 * @property {number} written when it was written, by the sender's clock
 * @property {boolean} mine
 * @property {string} only names the only recipient; may be empty
 * @property {boolean} follows whether it goes on where the one before ended
 * @property {State} state
 * @property {boolean} [open] whether a long text is shown whole
 * @property {HTMLElement} [element]
 */

/**
 * What has become of one's own message; `done` states are shown at the last one only.
 *
 * @typedef {object} State
 * @property {string} word
 * @property {boolean} [problem]
 * @property {boolean} [done]
 * @property {{ label: string, act: () => void }[]} [actions]
 */

/** @param {Message} message */
export function messageView(message) {
  const { name, text, at, written, mine, only, follows } = message;
  // Whose a message on one's own side is, everybody knows who sees it.
  const who = mine ? h("span", { class: "unseen" }, t("room.you")) : nameView(message);
  const head = h("p", { class: "who" }, who, only && h("span", { class: "only" }, icon("lock"), h("bdi", {}, only)));
  const differs = Math.abs(written - at) > CLOCKS_DIFFER_MS;
  const time = h("time", { dateTime: new Date(at).toISOString(), title: dateAndTime(at) }, timeOf(at));
  const wrote = differs && h("span", { class: "wrote" }, t("message.wrote", { date: dateAndTime(written) }));
  const emoji = isEmojiOnly(text);
  const body = h("div", { class: `text${emoji ? " emoji" : ""}`, dir: "auto" });
  const bubble = h("div", { class: "bubble" }, body, h("p", { class: "meta" }, wrote, time, h("span", { class: "state" })));
  const classes = `message${mine ? " mine" : ""}${only ? " private" : ""}${follows ? " follows" : ""}`;
  // One's own words, and what becomes of them, are no news.
  const item = h("article", { class: classes, "aria-live": mine && "off" }, follows ? null : head, bubble, h("div", { class: "actions failed" }));
  if (follows) item.setAttribute("aria-label", mine ? t("room.you") : name);
  message.element = item;
  showText(message, body);
  showState(message);
  return item;
}

/** A name, with the shield of those whose fingerprint was compared. @param {Pick<Message, "name" | "fingerprint" | "verified">} of */
function nameView({ name, fingerprint, verified }) {
  const shield = verified && h("span", { class: "shield", role: "img", "aria-label": t("members.verified") }, icon("shield"));
  return h("span", { class: `name tone-${tone(fingerprint)}` }, h("bdi", {}, name), shield);
}

/** Shows a name that has changed its standing. @param {Message} message */
export function showName(message) {
  message.element?.querySelector(".who .name")?.replaceWith(nameView(message));
}

/** @param {Message} message @param {HTMLElement} body */
function showText(message, body) {
  const { text, open } = message;
  const lines = text.split("\n");
  if (open || (lines.length <= FOLD_LINES * 1.25 && text.length <= FOLD_CHARACTERS * 1.25)) return fill(body, ...formatted(text));
  const beginning = [...lines.slice(0, FOLD_LINES).join("\n").slice(0, FOLD_CHARACTERS)].slice(0, -1).join("");
  const more = h("button", { type: "button", class: "small", onclick: () => showAll() }, t("message.more", { count: lines.length }));
  const showAll = () => {
    message.open = true;
    showText(message, body);
    body.tabIndex = -1;
    body.focus({ preventScroll: true });
  };
  fill(body, h("div", { dir: "auto" }, harmless(beginning), "…"), more);
}

/** Shows what has become of one's own message. @param {Message} message */
export function showState({ element, state, text }) {
  const place = element?.querySelector(".meta .state");
  const actions = element?.querySelector(".failed");
  if (!place || !actions) return;
  fill(place, state.word);
  place.classList.toggle("problem", state.problem === true);
  if (!state.actions) return fill(actions);
  const [first, ...rest] = state.actions.map(({ label, act }) => h("button", { type: "button", class: "small", onclick: act }, label));
  const copying = copyButton(() => text, { class: "small", select: () => selectContent(/** @type {Element} */ (element?.querySelector(".text"))) });
  fill(actions, first, ...copying, ...rest);
}

/** One of eight tones that tells speakers apart. @param {string} fingerprint */
export const tone = (fingerprint) => (fingerprint.charCodeAt(0) + fingerprint.charCodeAt(1)) % 8;
