/**
 * An invite for the guest: the code to scan, the link to copy, the device's share sheet.
 */
import { copyButton } from "./copy.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { drawCode } from "./qr.js";

/** @param {string} url */
export function handingOut(url) {
  const text = h("input", { class: "link-text", readOnly: true, value: url, "aria-label": t("invite.ready"), translate: false, onfocus: () => text.select() });
  const select = () => (text.focus(), text.select());
  const [copy, said] = copyButton(() => url, { class: "primary", select });
  const share = () => navigator.share({ title: "Subrosa", url }).catch(() => {});
  return [
    h("div", { class: "code-frame" }, drawCode(url, t("invite.code"))),
    text,
    h(
      "div",
      { class: "actions center" },
      copy,
      "share" in navigator && h("button", { type: "button", onclick: share }, icon("share"), t("invite.share")),
    ),
    said,
  ];
}

/** What takes the same place until the link is there, so that nothing moves. */
export const placeholder = () => [
  h("div", { class: "code-frame" }, h("div", { class: "code" })),
  h("input", { class: "link-text", disabled: true, "aria-hidden": "true", value: "…" }),
  h("div", { class: "actions center" }, h("button", { type: "button", class: "primary", disabled: true }, t("invite.copy"))),
  h("span", { class: "copy-problem problem" }),
];
