/**
 * Searches the messages of the room within this page.
 */
import { opened } from "./back.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/** @typedef {import("./timeline.js").Entry} Entry */

/** Texts are compared without case and accents. @param {string} text */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/** See the module. */
export class SearchBar {
  /** @param {import("./timeline.js").Timeline} timeline @param {() => void} closed */
  constructor(timeline, closed) {
    this.timeline = timeline;
    this.closed = closed;
    /** @type {Entry[]} */
    this.found = [];
    this.at = 0;
    this.input = h("input", { type: "search", "aria-label": t("search.label"), placeholder: t("search.label"), autocomplete: "off", spellcheck: false });
    this.count = h("span", { class: "hint", role: "status" });
    this.element = h(
      "div",
      { class: "search-bar", role: "search", hidden: true },
      this.input,
      this.count,
      this.button("up", t("search.previous"), () => this.step(-1)),
      this.button("down", t("search.next"), () => this.step(1)),
      this.button("close", t("search.close"), () => this.close()),
    );
    this.input.addEventListener("input", () => this.search());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target !== this.input) return;
      event.preventDefault();
      this.step(event.shiftKey ? 1 : -1);
    });
  }

  /** @param {string} picture @param {string} label @param {() => void} onclick */
  button(picture, label, onclick) {
    return h("button", { type: "button", class: "quiet round", "aria-label": label, onclick }, icon(picture));
  }

  open() {
    if (this.element.hidden) {
      this.element.hidden = false;
      this.shut = opened(() => this.close());
    }
    this.input.focus();
    this.input.select();
  }

  close() {
    this.shut?.();
    this.hide();
  }

  hide() {
    this.element.hidden = true;
    this.mark(undefined);
    this.input.value = "";
    this.found = [];
    fill(this.count);
    this.closed();
  }

  search() {
    const wanted = plain(this.input.value.trim());
    const isFound = (/** @type {Entry} */ entry) => entry.kind === "message" && plain(entry.text).includes(wanted);
    this.found = wanted === "" ? [] : this.timeline.entries.filter(isFound);
    // The newest first: that is where one is.
    this.at = this.found.length - 1;
    this.show();
  }

  /** @param {number} by */
  step(by) {
    if (this.found.length === 0) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    this.show();
  }

  show() {
    const entry = this.found[this.at];
    this.mark(entry);
    if (this.input.value.trim() === "") fill(this.count);
    else if (!entry) fill(this.count, t("search.nothing"));
    else fill(this.count, t("search.count", { number: this.at + 1, count: this.found.length }));
    if (entry) this.timeline.goTo(entry);
    this.mark(entry);
  }

  /** @param {Entry | undefined} entry */
  mark(entry) {
    for (const marked of this.timeline.list.querySelectorAll(".found")) marked.classList.remove("found");
    entry?.element?.classList.add("found");
  }
}
