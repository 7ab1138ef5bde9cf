/**
 * What is seldom needed: one's own fingerprint, notifications, leaving, closing, the panic button.
 */
import { canNotify, isNotifying, setNotifying } from "./attention.js";
import { openDialog } from "./dialog.js";
import { h, newId } from "./dom.js";
import { explain } from "./errors.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { openMe } from "./member-dialog.js";

/** @typedef {import("../client/index.js").Room} Room */

/** @param {Room} room @param {{ staysWithoutOwner: boolean | undefined, panic: () => void, problem: (text: string) => void }} about */
export function openMenu(room, about) {
  openDialog(t("menu.title"), (close) => {
    const box = h("input", { type: "checkbox", checked: isNotifying(), id: newId("field"), onchange: () => notify() });
    const notify = async () => (box.checked = await setNotifying(box.checked));
    return [
      h(
        "div",
        { class: "actions stacked" },
        h("button", { type: "button", onclick: () => (close(), openMe(room)) }, icon("check"), t("menu.me")),
        canNotify() &&
          h("div", { class: "check" }, box, h("label", { for: box.id }, t("menu.notify"), h("span", { class: "hint" }, t("menu.notifyHint")))),
        h("button", { type: "button", onclick: () => (close(), openLeave(room, about)) }, icon("leave"), t("room.leave")),
        h("button", { type: "button", class: "danger", onclick: about.panic }, icon("close"), t("menu.panic")),
        h("p", { class: "hint" }, t("menu.panicHint")),
      ),
    ];
  });
}

/** @param {Room} room @param {{ staysWithoutOwner: boolean | undefined, problem: (text: string) => void }} about */
export function openLeave(room, { staysWithoutOwner, problem }) {
  /** @param {() => Promise<void>} act */
  const go = (act) => act().catch((error) => problem(explain(error)));
  const ownerText = staysWithoutOwner ? t("leave.ownerStay") : t("leave.ownerClose");
  openDialog(t("leave.title"), (close) => [
    h("p", {}, room.isOwner ? ownerText : t("leave.member")),
    h(
      "div",
      { class: "actions stacked" },
      h("button", { type: "button", class: "primary", onclick: () => (close(), go(() => room.leave())) }, t("leave.submit")),
      room.isOwner && h("button", { type: "button", class: "danger", onclick: () => (close(), go(() => room.close())) }, t("leave.close")),
      h("button", { type: "button", class: "quiet", onclick: close }, t("app.cancel")),
    ),
  ]);
}
