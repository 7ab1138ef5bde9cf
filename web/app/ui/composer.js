/**
 * Where messages are written: as many lines as one likes, Enter sends on keyboards, the button sends everywhere.
 */
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";

/** The tallest that the field grows, in pixels. */
const TALLEST = 180;

/** See the module. */
export class Composer {
  /** @param {(text: string, to: string | undefined) => Promise<boolean>} send says whether the text was taken */
  constructor(send) {
    this.send = send;
    /** The only recipient, if there is one. @type {string | undefined} */
    this.to = undefined;
    this.input = h("textarea", { rows: 1, "aria-label": t("room.write"), placeholder: t("room.write"), autocomplete: "off", dir: "auto" });
    this.input.spellcheck = true;
    this.problem = h("p", { class: "problem", role: "alert" });
    this.only = h("p", { class: "only-to", hidden: true });
    this.button = h("button", { type: "submit", class: "primary round", "aria-label": t("room.send") }, icon("send"));
    this.element = h("form", { class: "composer" }, this.problem, this.only, h("div", { class: "row" }, this.input, this.button));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("input", () => this.grow());
    this.input.addEventListener("keydown", (event) => {
      const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
      // On phones Enter makes a new line: there is no Shift at hand.
      if (!sends || matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      this.submit();
    });
  }

  /** Writes to one member only, or to everyone again. @param {string | undefined} to @param {string} [name] */
  writeTo(to, name = "") {
    this.to = to;
    const label = to === undefined ? t("room.write") : t("room.writeTo", { name });
    this.input.placeholder = label;
    this.input.setAttribute("aria-label", label);
    this.only.hidden = to === undefined;
    const stop = h("button", { type: "button", class: "quiet", onclick: () => this.writeTo(undefined) }, t("room.everyone"));
    fill(this.only, icon("lock"), h("span", {}, label), stop);
    this.input.focus();
  }

  async submit() {
    const text = this.input.value.trim();
    if (text === "") return;
    fill(this.problem);
    if (!(await this.send(text, this.to))) return;
    this.input.value = "";
    this.grow();
    this.input.focus();
  }

  /** @param {string} problem */
  complain(problem) {
    fill(this.problem, problem);
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, TALLEST)}px`;
  }
}
