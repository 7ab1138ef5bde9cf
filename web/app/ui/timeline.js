/**
 * What was said and what happened, in order. Bounded in length, and laid out in blocks that the browser skips while they are out of sight.
 */
import { fill, h } from "./dom.js";
import { dayOf, t, timeOf } from "./i18n.js";
import { icon } from "./icons.js";
import { linkified } from "./linkify.js";

/** Entries that are kept; older ones are let go. */
const MOST = 5_000;
/** Entries of a block. */
const BLOCK = 50;
/** From so near to the end, in pixels, new entries pull the view along. */
const NEAR_END = 80;

/**
 * @typedef {object} Said
 * @property {string} name
 * @property {string} fingerprint
 * @property {string} text
 * @property {number} at unix milliseconds
 * @property {boolean} mine
 * @property {string} [only] says for whom alone it is
 */

/** See the module. */
export class Timeline {
  constructor() {
    this.log = h("div", { class: "log", role: "log", "aria-label": t("room.messages"), "aria-live": "polite", tabIndex: 0 });
    this.jump = h(
      "button",
      { type: "button", class: "jump round", hidden: true, "aria-label": t("room.toNewest"), onclick: () => this.toEnd() },
      icon("down"),
    );
    this.element = h("div", { class: "timeline" }, this.log, this.jump);
    this.count = 0;
    this.day = "";
    /** Who spoke last, and when: what follows soon needs no new name. */
    this.last = { fingerprint: "", only: "", at: 0 };
    this.log.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  /** Something that a person said. Gives a way to say what becomes of it. @param {Said} said */
  say({ name, fingerprint, text, at, mine, only = "" }) {
    const state = h("span", { class: "state" });
    const follows = this.last.fingerprint === fingerprint && this.last.only === only && at - this.last.at < 120_000;
    // Whose a message on one's own side is, everybody knows who sees it.
    const who = mine ? h("span", { class: "unseen" }, t("room.you")) : h("span", { class: `name tone-${tone(fingerprint)}` }, name);
    const head = h("p", { class: "who" }, who, only && h("span", { class: "only" }, icon("lock"), only));
    const time = h("time", { dateTime: new Date(at).toISOString() }, timeOf(at));
    const body = h("div", { class: "bubble" }, h("p", { class: "text", dir: "auto" }, ...linkified(text)), h("p", { class: "meta" }, time, state));
    const classes = `message${mine ? " mine" : ""}${only ? " private" : ""}${follows ? " follows" : ""}`;
    const item = h("article", { class: classes }, follows ? null : head, body);
    if (follows) item.setAttribute("aria-label", mine ? t("room.you") : name);
    this.add(item, at);
    this.last = { fingerprint, only, at };
    return (/** @type {string} */ word, isProblem = false) => {
      fill(state, word);
      state.classList.toggle("problem", isProblem);
    };
  }

  /** Something that happened. @param {string} text */
  note(text) {
    this.add(h("p", { class: "note" }, text), Date.now());
    this.last.fingerprint = "";
  }

  /** Something to be warned of. @param {string} text */
  warn(text) {
    this.add(h("p", { class: "alarm" }, icon("warning"), h("span", {}, h("strong", {}, t("alarm.title")), " ", text)), Date.now());
    this.last.fingerprint = "";
  }

  /** @param {HTMLElement} item @param {number} at */
  add(item, at) {
    const follow = this.isAtEnd();
    const day = dayOf(at);
    if (day !== this.day) {
      if (this.day) this.append(h("p", { class: "note day" }, day));
      this.day = day;
    }
    this.append(item);
    if (follow) this.toEnd();
    else this.jump.hidden = false;
  }

  /** @param {HTMLElement} item */
  append(item) {
    let block = /** @type {HTMLElement | null} */ (this.log.lastElementChild);
    if (!block || block.childElementCount >= BLOCK) {
      block?.classList.add("full");
      block = h("div", { class: "block" });
      this.log.append(block);
    }
    block.append(item);
    this.count += 1;
    if (this.count > MOST) this.letGo();
  }

  letGo() {
    const first = this.log.firstElementChild;
    if (!first) return;
    this.count -= first.childElementCount;
    first.remove();
    const next = this.log.firstElementChild;
    next?.prepend(h("p", { class: "note" }, t("room.older")));
    this.count += 1;
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.jump.hidden = true;
  }

  scrolled() {
    if (!this.jump.hidden && this.isAtEnd()) this.jump.hidden = true;
  }
}

/** One of eight tones that tells speakers apart. @param {string} fingerprint */
export const tone = (fingerprint) => (fingerprint.charCodeAt(0) + fingerprint.charCodeAt(1)) % 8;
