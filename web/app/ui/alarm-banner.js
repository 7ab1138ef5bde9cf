/**
 * Warnings. They stay above the conversation until the user confirms them, and they say what to do.
 */
import { adviceFor, alarmText } from "./alarm-text.js";
import { fill, h, isolated } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/** @typedef {import("../client/room/alarms.js").Alarm} Alarm */

/** So many different warnings are shown at a time. */
const SHOWN = 3;

/** See the module. */
export class AlarmBanner {
  /** @param {(count: number) => void} changed how many warnings are open */
  constructor(changed) {
    this.changed = changed;
    /** What is open, by its text. @type {Map<string, { item: HTMLElement, times: HTMLElement, count: number }>} */
    this.open = new Map();
    // Screen readers announce additions to this list only.
    this.list = h("div", { class: "alarm-list", role: "alert", "aria-atomic": "false" });
    this.more = h("p", { class: "advice", hidden: true });
    this.button = h("button", { type: "button", onclick: () => this.acknowledge() }, t("alarm.acknowledge"));
    this.element = h("section", { class: "alarm-banner", "aria-label": t("alarm.title"), hidden: true }, this.list, this.more, this.button);
  }

  /** @param {Alarm} alarm @param {string} owner the present owner's name */
  raise(alarm, owner) {
    this.add(alarmText(alarm, owner), adviceFor(alarm));
  }

  /** @param {string} text @param {string} advice */
  add(text, advice) {
    const known = this.open.get(text);
    if (known) {
      known.count += 1;
      fill(known.times, ` (${known.count}×)`);
      return;
    }
    const times = h("span");
    const words = h("p", {}, h("strong", {}, t("alarm.title")), " ", ...isolated(text), times);
    const item = h("div", { class: "alarm" }, icon("warning"), h("div", {}, words, h("p", { class: "advice" }, ...isolated(advice))));
    this.open.set(text, { item, times, count: 1 });
    this.list.prepend(item);
    this.show();
  }

  acknowledge() {
    this.open.clear();
    fill(this.list);
    this.show();
  }

  show() {
    this.element.hidden = this.open.size === 0;
    for (const [i, item] of [...this.list.children].entries()) /** @type {HTMLElement} */ (item).hidden = i >= SHOWN;
    this.more.hidden = this.open.size <= SHOWN;
    fill(this.more, t("alarm.more", { count: this.open.size - SHOWN }));
    this.changed(this.open.size);
  }
}
