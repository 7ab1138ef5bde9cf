/**
 * The field for messages of any number of lines. Enter sends on keyboards; the button sends everywhere.
 *
 * The recipient belongs to the draft. There is one draft for everyone, and one for each member of a private conversation. No draft changes its
 * recipient by itself. If the recipient has left, the field sends nothing until the user decides about the draft.
 */
import { fill, h, isComposing } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/** The tallest that the field grows by script, as a part of the page's height. */
const TALLEST = 0.4;
const GROWS_BY_ITSELF = CSS.supports("field-sizing", "content");

/**
 * @typedef {object} Draft
 * @property {string | undefined} to the only recipient's fingerprint; undefined for everyone
 * @property {string} name of the recipient
 * @property {string} text
 * @property {string} [gone] why the recipient cannot be written to any more, as a sentence
 */

/** See the module. */
export class Composer {
  /**
   * @param {(text: string, to: string | undefined) => Promise<boolean>} send says whether the text was taken
   * @param {{ longest: () => number }} limits longest text in bytes
   */
  constructor(send, limits) {
    this.send = send;
    this.limits = limits;
    /** @type {Draft} */
    this.draft = { to: undefined, name: "", text: "" };
    /** By recipient. @type {Map<string | undefined, Draft>} */
    this.drafts = new Map([[undefined, this.draft]]);
    this.input = h("textarea", { rows: 1, autocomplete: "off", dir: "auto", enterKeyHint: "send" });
    // Some browsers send text to their makers to check its spelling.
    this.input.spellcheck = false;
    this.input.setAttribute("autocorrect", "off");
    this.problem = h("p", { class: "problem", role: "alert" });
    this.strip = h("div", { class: "only-to", role: "group", hidden: true });
    this.others = h("div", { class: "other-drafts", hidden: true });
    this.button = h("button", { type: "submit", class: "primary round", "aria-label": t("room.send") }, icon("send"));
    this.element = h(
      "form",
      { class: "composer" },
      h("div", { class: "column" }, this.problem, this.others, this.strip, h("div", { class: "row" }, this.input, this.button)),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("paste", (event) => this.pasted(event));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.altKey || isComposing(event)) return;
      // Without a keyboard Enter makes a new line: there is no Shift at hand.
      const byTouch = matchMedia("(pointer: coarse)").matches && !matchMedia("(any-pointer: fine)").matches;
      if (byTouch && !event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      if (!event.repeat) this.submit();
    });
    this.show();
  }

  /** The only recipient of what is being written, if there is one. */
  get to() {
    return this.draft.to;
  }

  /** Takes up the draft for one member, or that for everyone. @param {string | undefined} to @param {string} [name] */
  writeTo(to, name = "") {
    const draft = this.drafts.get(to) ?? { to, name, text: "" };
    this.drafts.set(to, draft);
    if (this.draft.to !== undefined && this.draft.text === "" && this.draft !== draft) this.drafts.delete(this.draft.to);
    this.draft = draft;
    this.input.value = draft.text;
    fill(this.problem);
    this.show();
    this.grow();
    this.input.focus();
  }

  /** A member cannot be written to any more. @param {string} member @param {string} why a sentence */
  recipientGone(member, why) {
    const draft = this.drafts.get(member);
    if (!draft) return;
    if (draft.text.trim() === "" && this.draft !== draft) this.drafts.delete(member);
    draft.gone = why;
    this.show();
  }

  /** The room is over: what was written can only be copied. @returns {Draft[]} */
  freeze() {
    this.input.readOnly = true;
    this.button.disabled = true;
    this.frozen = true;
    return [...this.drafts.values()].filter(({ text }) => text.trim() !== "");
  }

  show() {
    const { to, name, gone } = this.draft;
    const label = to === undefined ? t("room.write") : t("room.writeTo", { name });
    this.input.placeholder = label;
    this.input.setAttribute("aria-label", label);
    this.button.disabled = gone !== undefined || this.frozen === true;
    this.element.classList.toggle("to-one", to !== undefined);
    this.strip.hidden = to === undefined;
    this.strip.classList.toggle("gone", gone !== undefined);
    this.strip.setAttribute("role", gone === undefined ? "group" : "alert");
    if (gone !== undefined) {
      const move = h("button", { type: "button", onclick: () => this.moveToEveryone() }, t("draft.toEveryone"));
      const drop = h("button", { type: "button", class: "danger", onclick: () => this.discard() }, t("draft.discard"));
      fill(this.strip, icon("warning"), h("span", {}, `${gone} ${t("draft.notSent")}`), h("span", { class: "actions" }, move, drop));
    } else if (to !== undefined) {
      const stop = h("button", { type: "button", class: "quiet", onclick: () => this.writeTo(undefined) }, t("room.everyone"));
      fill(this.strip, icon("lock"), h("span", { class: "strip-name" }, label), stop);
    }
    const others = [...this.drafts.values()].filter((draft) => draft !== this.draft && draft.text.trim() !== "");
    this.others.hidden = others.length === 0;
    fill(
      this.others,
      ...others.map((draft) =>
        h(
          "button",
          { type: "button", class: `quiet${draft.gone ? " gone" : ""}`, onclick: () => this.writeTo(draft.to, draft.name) },
          icon(draft.to === undefined ? "people" : "lock"),
          h("span", {}, draft.to === undefined ? t("draft.everyone") : t("draft.for", { name: draft.name })),
        ),
      ),
    );
  }

  /** By the person's wish: the words of a draft whose recipient is gone become the draft for everyone, to be looked at and sent or not. */
  moveToEveryone() {
    const { to, text } = this.draft;
    const room = /** @type {Draft} */ (this.drafts.get(undefined));
    room.text = [room.text, text].filter((part) => part.trim() !== "").join("\n");
    this.drafts.delete(to);
    this.draft = room;
    this.writeTo(undefined);
  }

  discard() {
    this.drafts.delete(this.draft.to);
    this.draft = /** @type {Draft} */ (this.drafts.get(undefined));
    this.writeTo(undefined);
  }

  changed() {
    this.draft.text = this.input.value;
    if (this.problem.hasChildNodes()) fill(this.problem);
    this.grow();
  }

  /** A text beyond the limit would keep the page busy for seconds, to be refused in the end. @param {ClipboardEvent} event */
  pasted(event) {
    const more = event.clipboardData?.getData("text/plain") ?? "";
    if (event.clipboardData && event.clipboardData.files.length > 0 && more === "") {
      event.preventDefault();
      return this.complain(t("error.noFiles"));
    }
    if (this.input.value.length + more.length <= this.limits.longest()) return;
    event.preventDefault();
    this.complain(t("error.tooLongBy", { count: this.limits.longest() }));
  }

  async submit() {
    const { draft } = this;
    const text = tidy(this.input.value);
    if (text === "" || draft.gone !== undefined || this.frozen) return;
    fill(this.problem);
    // The field is empty at once: a second Enter sends nothing, and text that is typed in the meantime stays.
    draft.text = "";
    if (this.draft === draft) this.clear();
    if (!(await this.send(text, draft.to))) this.putBack(draft, text);
  }

  clear() {
    this.input.value = "";
    this.grow();
    this.input.focus();
  }

  /** What could not be sent stands before what was typed meanwhile, in the draft that it came from. @param {Draft} draft @param {string} text */
  putBack(draft, text) {
    draft.text = [text, draft.text].filter((part) => part !== "").join("\n");
    this.drafts.set(draft.to, draft);
    if (this.draft === draft) {
      this.input.value = draft.text;
      this.grow();
    }
    this.show();
  }

  /** @param {string} problem */
  complain(problem) {
    fill(this.problem, problem);
  }

  grow() {
    if (GROWS_BY_ITSELF) return;
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, innerHeight * TALLEST)}px`;
  }
}

/** Blank lines around a text say nothing; the indentation of its first line does. @param {string} text */
export const tidy = (text) => text.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
