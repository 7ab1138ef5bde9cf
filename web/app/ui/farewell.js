/**
 * The end of a room: the reason, the drafts that the user can copy, and the time until the page wipes itself.
 */
import { copyButton } from "./copy.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";

const WIPES_AFTER_S = 60;

/**
 * @param {string} why
 * @param {import("./composer.js").Draft[]} drafts that were not sent
 * @param {() => void} wipe
 */
export function farewell(why, drafts, wipe) {
  const end = Date.now() + WIPES_AFTER_S * 1000;
  const left = h("p", { class: "hint" });
  const show = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    fill(left, t("ended.wipesIn", { count: Math.max(0, seconds) }));
    if (seconds <= 0) done();
  };
  const timer = setInterval(show, 250);
  const stop = () => clearInterval(timer);
  const done = () => (stop(), wipe());
  show();
  const copies = drafts.flatMap(({ text, to, name }) => {
    const shown = h("textarea", { readOnly: true, rows: 2, value: text, "aria-label": to === undefined ? t("draft.everyone") : t("draft.for", { name }) });
    const label = to === undefined ? t("draft.copy") : t("draft.copyFor", { name });
    return [shown, h("div", { class: "actions" }, ...copyButton(() => text, { label, select: () => (shown.focus(), shown.select()) }))];
  });
  const button = h("button", { type: "button", class: "primary", onclick: done }, t("ended.wipe"));
  const heading = h("h2", { class: "farewell", tabIndex: -1 }, why);
  const element = h("section", { class: "end-bar", "aria-label": t("room.over") }, heading, ...copies, h("div", { class: "actions" }, button, left));
  return { element, stop, focus: () => heading.focus() };
}
