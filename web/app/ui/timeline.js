/**
 * Messages and events in the order of their arrival. It keeps thousands of entries, but only those near the visible place are in the page. Typing and
 * scrolling therefore cost the same in a long room as in an empty one.
 */
import { fill, h, isolated } from "./dom.js";
import { dayOf, t } from "./i18n.js";
import { icon } from "./icons.js";
import { messageView, showName, showState } from "./message-view.js";

/** @typedef {import("./message-view.js").Message} Message */
/**
 * @typedef {Message
 *   | { kind: "note" | "day" | "new", text: string, isNews?: boolean, element?: HTMLElement }
 *   | { kind: "alarm", text: string, count: number, element?: HTMLElement }
 *   | { kind: "folded", texts: string[], element?: HTMLElement }} Entry
 */

/** Entries that are kept; older ones are let go, some at a time. */
const MOST = 5_000;
const LET_GO = 250;
/** Entries in the page: so many at most, and so many come in at a time when one scrolls there. */
const SHOWN = 200;
const STEP = 60;
/** From so near to an edge, in pixels, entries beyond it come in. */
const NEAR_EDGE = 800;
/** From so near to the end, in pixels, the view sticks to it. */
const NEAR_END = 80;
/** So many arrivals and departures in a row are shown; those before them fold. */
const COMINGS = 4;
/** A message that comes within this time after one of the same sender, in milliseconds, goes on where that ended. */
const FOLLOWS_MS = 120_000;
/** Screen readers look at what has changed within this time, in milliseconds. */
const HUSH_MS = 500;

/** See the module. */
export class Timeline {
  /** @param {() => boolean} [isWatched] whether somebody looks at the page */
  constructor(isWatched = () => true) {
    this.isWatched = isWatched;
    this.list = h("div", { class: "entries" });
    this.before = h("div", { class: "before" });
    this.log = h("div", { class: "log", role: "log", "aria-label": t("room.messages"), "aria-live": "polite", tabIndex: 0 }, this.before, this.list);
    this.badge = h("span", { class: "badge" });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd() }, icon("down"), this.badge);
    this.element = h("div", { class: "timeline", translate: false }, this.log, this.jump);
    /** @type {Entry[]} */
    this.entries = [];
    /** The entries in the page: from the first on, before the second. */
    this.first = 0;
    this.end = 0;
    this.day = "";
    /** The latest arrival so far: a clock that is set back draws no day lines anew. */
    this.now = 0;
    /** The arrivals and departures at the end. @type {Entry[]} */
    this.comings = [];
    /** Who spoke last, and when: what follows soon needs no new name. */
    this.last = { fingerprint: "", only: "", at: 0 };
    /** The last own message that is done. @type {Message | undefined} */
    this.done = undefined;
    /** Whether the view stays at the end. */
    this.sticks = true;
    /** The heights of content and view when they were last looked at. */
    this.size = "";
    this.unread = 0;
    /** The line above what is new. @type {Entry | undefined} */
    this.line = undefined;
    this.log.addEventListener("scroll", () => this.scrolled(), { passive: true });
    // The field grows, keyboards open, phones turn: a reader at the end stays there.
    const watch = new ResizeObserver(() => this.resized());
    for (const element of [this.log, this.list, this.before]) watch.observe(element);
    this.showJump();
  }

  // ---- what comes ----

  /**
   * Something that a person said.
   *
   * @param {Omit<Message, "kind" | "at" | "follows" | "state">} said
   * @returns {Message}
   */
  say(said) {
    const at = this.arrival();
    const { fingerprint, only, mine } = said;
    const { last } = this;
    const news = !mine && !this.isRead();
    if (news) this.markNew();
    const follows = last.fingerprint === fingerprint && last.only === only && at - last.at < FOLLOWS_MS;
    /** @type {Message} */
    const message = { ...said, kind: "message", at, follows, state: { word: "" } };
    this.add(message);
    this.last = { fingerprint, only, at };
    if (mine) {
      this.dropLine();
      this.toEnd();
    } else if (news) {
      this.unread += 1;
      this.showJump();
    }
    return message;
  }

  /** What has become of one's own message. @param {Message} message @param {import("./message-view.js").State} state */
  become(message, state) {
    message.state = state;
    showState(message);
    if (!state.done) return;
    const { done } = this;
    this.done = message;
    if (!done || done === message || !done.state.done) return;
    done.state = { word: "", done: true };
    showState(done);
  }

  /** Something that happened. @param {string} text @param {boolean} [isNews] whether screen readers say it */
  note(text, isNews = false) {
    const at = this.arrival();
    this.last = { ...this.last, fingerprint: "", at };
    /** @type {Entry} */
    const entry = { kind: "note", text, isNews };
    this.add(entry);
    return entry;
  }

  /** Somebody came or went. Many in a row fold, but for the latest. @param {string} text @param {boolean} [isNews] */
  coming(text, isNews) {
    const { comings } = this;
    const entry = this.note(text, isNews);
    this.comings = [...comings, entry];
    const first = this.comings[0];
    if (first.kind === "folded" && this.comings.length > COMINGS + 1) this.fold(first, this.comings.splice(1, 1)[0]);
    else if (first.kind !== "folded" && this.comings.length > COMINGS + 1) {
      /** @type {Extract<Entry, { kind: "folded" }>} */
      const folded = { kind: "folded", texts: [] };
      this.put(folded, this.entries.indexOf(first));
      this.fold(folded, this.comings.splice(0, 1)[0]);
      this.fold(folded, this.comings.splice(0, 1)[0]);
      this.comings.unshift(folded);
    }
  }

  /** @param {Extract<Entry, { kind: "folded" }>} into @param {Entry} entry */
  fold(into, entry) {
    if (entry.kind === "note") into.texts.push(entry.text);
    this.take(entry);
    if (into.element) into.element.replaceWith(this.render(into));
  }

  /** Something to be warned of; the same again is counted. @param {string} text */
  warn(text) {
    const last = this.entries[this.entries.length - 1];
    if (last?.kind === "alarm" && last.text === text) {
      last.count += 1;
      const { element } = last;
      if (element) element.replaceWith(this.render(last));
      return;
    }
    this.arrival();
    this.last.fingerprint = "";
    this.add({ kind: "alarm", text, count: 1 });
  }

  /** Takes an entry out again. @param {Entry} entry */
  take(entry) {
    const at = this.entries.lastIndexOf(entry);
    if (at < 0) return;
    this.entries.splice(at, 1);
    if (at < this.first) this.first -= 1;
    if (at < this.end) this.end -= 1;
    this.unrender(entry);
  }

  /** A member's standing has changed. @param {string} fingerprint @param {boolean} verified */
  verified(fingerprint, verified) {
    for (const entry of this.entries) {
      if (entry.kind !== "message" || entry.fingerprint !== fingerprint || entry.verified === verified) continue;
      entry.verified = verified;
      showName(entry);
    }
  }

  /** The time of what comes now; draws the line of a new day. */
  arrival() {
    this.now = Math.max(this.now, Date.now());
    const day = dayOf(this.now);
    if (day !== this.day) {
      this.day = day;
      this.add({ kind: "day", text: day });
      this.last.fingerprint = "";
    }
    return this.now;
  }

  /** @param {Entry} entry */
  add(entry) {
    this.comings = [];
    this.put(entry, this.entries.length);
    if (this.entries.length > MOST) this.letGo();
  }

  /** @param {Entry} entry @param {number} at */
  put(entry, at) {
    const atEnd = this.end === this.entries.length && at === this.entries.length;
    this.entries.splice(at, 0, entry);
    if (at < this.first) this.first += 1;
    const isShown = at >= this.first && at < this.end;
    if (isShown) this.list.insertBefore(this.render(entry), this.list.children[at - this.first] ?? null);
    if (at < this.end) this.end += 1;
    // Far from the end new entries wait outside of the page.
    if (!atEnd || (!this.sticks && this.end - this.first >= SHOWN + STEP)) return;
    this.list.append(this.render(entry));
    this.end += 1;
    if (this.sticks) this.trimTop(SHOWN);
  }

  letGo() {
    for (const entry of this.entries.splice(0, LET_GO)) this.unrender(entry);
    this.first = Math.max(0, this.first - LET_GO);
    this.end = Math.max(0, this.end - LET_GO);
    fill(this.before, h("p", { class: "note" }, t("room.older")));
  }

  // ---- what is in the page ----

  /** @param {Entry} entry */
  render(entry) {
    const element = view(entry);
    entry.element = element;
    return element;
  }

  /** @param {Entry} entry */
  unrender(entry) {
    entry.element?.remove();
    entry.element = undefined;
  }

  /** @param {number} most */
  trimTop(most) {
    while (this.end - this.first > most) this.unrender(this.entries[this.first++]);
  }

  /** @param {number} most */
  trimEnd(most) {
    while (this.end - this.first > most) this.unrender(this.entries[--this.end]);
  }

  /** Brings the entries from a place on into the page, instead of those that are in it. @param {number} first */
  showFrom(first) {
    this.hush();
    for (const entry of this.entries.slice(this.first, this.end)) this.unrender(entry);
    this.first = Math.max(0, first);
    this.end = Math.min(this.entries.length, this.first + SHOWN);
    this.list.append(...this.entries.slice(this.first, this.end).map((entry) => this.render(entry)));
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    // Browsers also move the view when its size or its content changes: that is nobody's wish to leave the end.
    const size = `${scrollHeight} ${clientHeight}`;
    const isSameSize = size === this.size;
    this.size = size;
    if (this.sticks && !isSameSize) return this.scrollToEnd();
    this.sticks = this.end === this.entries.length && scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (scrollTop < NEAR_EDGE && this.first > 0) this.extendTop();
    else if (scrollHeight - scrollTop - clientHeight < NEAR_EDGE && this.end < this.entries.length) this.extendEnd();
    this.seen();
    this.showJump();
  }

  /** What scrolling brings in is no news. */
  hush() {
    this.log.setAttribute("aria-live", "off");
    clearTimeout(this.hushed);
    this.hushed = setTimeout(() => this.log.setAttribute("aria-live", "polite"), HUSH_MS);
  }

  extendTop() {
    this.hush();
    const first = Math.max(0, this.first - STEP);
    const more = this.entries.slice(first, this.first).map((entry) => this.render(entry));
    this.keepingPlace(() => this.list.prepend(...more));
    this.first = first;
    this.trimEnd(SHOWN + STEP);
  }

  extendEnd() {
    this.hush();
    const end = Math.min(this.entries.length, this.end + STEP);
    this.list.append(...this.entries.slice(this.end, end).map((entry) => this.render(entry)));
    this.end = end;
    this.keepingPlace(() => this.trimTop(SHOWN + STEP));
  }

  /** Changes what is above the view without moving the view. @param {() => void} change */
  keepingPlace(change) {
    const before = this.log.scrollHeight - this.log.scrollTop;
    change();
    this.log.scrollTop = this.log.scrollHeight - before;
  }

  resized() {
    this.size = `${this.log.scrollHeight} ${this.log.clientHeight}`;
    if (this.sticks) this.scrollToEnd();
  }

  scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  toEnd() {
    if (this.end < this.entries.length) this.showFrom(this.entries.length - SHOWN / 2);
    this.sticks = true;
    this.trimTop(SHOWN);
    this.scrollToEnd();
    this.seen();
    this.showJump();
  }

  /** Shows an entry in the middle of the view. @param {Entry} entry */
  goTo(entry) {
    const at = this.entries.indexOf(entry);
    if (at < 0) return;
    this.sticks = false;
    if (at < this.first || at >= this.end) this.showFrom(at - SHOWN / 2);
    entry.element?.scrollIntoView({ block: "center" });
    this.showJump();
  }

  // ---- what is new ----

  isRead() {
    return this.sticks && this.isWatched();
  }

  markNew() {
    if (this.unread > 0) return;
    this.dropLine();
    this.line = { kind: "new", text: t("room.new") };
    this.last.fingerprint = "";
    this.add(this.line);
  }

  dropLine() {
    if (this.line) this.take(this.line);
    this.line = undefined;
  }

  /** Somebody looks, perhaps at the newest. */
  seen() {
    if (!this.isRead() || this.unread === 0) return;
    this.unread = 0;
    this.showJump();
  }

  showJump() {
    this.jump.hidden = this.sticks;
    this.badge.hidden = this.unread === 0;
    fill(this.badge, String(this.unread));
    const label = this.unread === 0 ? t("room.toNewest") : `${t("room.toNewest")} (${this.unread})`;
    this.jump.setAttribute("aria-label", label);
  }
}

/** @param {Entry} entry @returns {HTMLElement} */
function view(entry) {
  switch (entry.kind) {
    case "message":
      return messageView(entry);
    case "alarm": {
      const times = entry.count > 1 ? ` (${entry.count}×)` : "";
      return h("p", { class: "alarm", "aria-live": "off" }, icon("warning"), h("span", {}, h("strong", {}, t("alarm.title")), " ", ...isolated(entry.text), times));
    }
    case "folded":
      return h(
        "details",
        { class: "note folded", "aria-live": "off" },
        h("summary", {}, t("event.folded", { count: entry.texts.length })),
        h("div", { class: "folded-texts" }, ...entry.texts.slice(-MOST_FOLDED).map((text) => h("p", {}, ...isolated(text)))),
      );
    default:
      return h("p", { class: entry.kind === "note" ? "note" : `note ${entry.kind}`, "aria-live": !entry.isNews && "off" }, ...isolated(entry.text));
  }
}

/** So many folded lines are shown, the latest. */
const MOST_FOLDED = 200;
