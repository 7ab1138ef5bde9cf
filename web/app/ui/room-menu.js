/**
 * The menu of rare actions: one's own fingerprint, notifications, the look, leaving, closing, the panic button.
 */
import { canNotify, setNotifying, setSounding, settings, showNameInTitle } from "./attention.js";
import { openDialog } from "./dialog.js";
import { field, h, isolated, newId } from "./dom.js";
import { explain } from "./errors.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { themeChoice } from "./looks.js";
import { openMe } from "./member-dialog.js";

/** @typedef {import("../client/room.js").Room} Room */

/** @param {Room} room @param {{ panic: () => void, problem: (text: string) => void, leaving: () => void }} about */
export function openMenu(room, about) {
  openDialog(t("menu.title"), (close) => {
    const { notifies, sounds, showsName } = settings();
    const hasKeyboard = !matchMedia("(pointer: coarse)").matches || matchMedia("(any-pointer: fine)").matches;
    return [
      h(
        "div",
        { class: "actions stacked" },
        h("button", { type: "button", onclick: () => (close(), openMe(room)) }, icon("shield"), t("menu.me")),
        canNotify() && check(t("menu.notify"), notifies, async (box) => (box.checked = await setNotifying(box.checked)), t("menu.notifyHint")),
        check(t("menu.sound"), sounds, (box) => setSounding(box.checked)),
        check(t("menu.roomTitle"), showsName, (box) => showNameInTitle(box.checked), t("menu.roomTitleHint")),
        field(t("look.theme"), themeChoice()),
        room.mayTakeOffice &&
          h("button", { type: "button", onclick: () => (close(), openOffice(room, t("office.title"), about.problem)) }, icon("shield"), t("office.take")),
        h("button", { type: "button", onclick: () => (close(), openLeave(room, about)) }, icon("leave"), t("room.leave")),
        h("button", { type: "button", class: "danger", onclick: about.panic }, icon("close"), t("menu.panic")),
        h("p", { class: "hint" }, hasKeyboard ? t("menu.panicHint") : t("menu.panicHintTouch")),
      ),
    ];
  });
}

/** Asks the heir of an owner that is gone whether to take over. @param {Room} room @param {string} words what the server says @param {(problem: string) => void} problem */
export function openOffice(room, words, problem) {
  openDialog(t("office.title"), (close) => [
    h("p", {}, ...isolated(words)),
    h(
      "div",
      { class: "actions stacked" },
      h("button", { type: "button", autofocus: true, onclick: close }, t("office.wait")),
      h("button", { type: "button", onclick: () => (close(), room.takeOffice().catch((error) => problem(explain(error)))) }, t("office.take")),
    ),
  ]);
}

/** @param {string} label @param {boolean} checked @param {(box: HTMLInputElement) => void} onchange @param {string} [hint] */
function check(label, checked, onchange, hint) {
  const box = h("input", { type: "checkbox", checked, id: newId("field"), onchange: () => onchange(box) });
  return h("div", { class: "check" }, box, h("label", { for: box.id }, label, hint && h("span", { class: "hint" }, hint)));
}

/** @param {Room} room @param {{ problem: (text: string) => void, leaving: () => void }} about */
export function openLeave(room, { problem, leaving }) {
  /** @param {() => Promise<void>} act */
  const go = (act) => (leaving(), act().catch((error) => problem(explain(error))));
  const isAlone = room.members.length === 0;
  const goesOn = room.isOwner && room.staysWithoutOwner && !isAlone;
  const text = !room.isOwner ? t("leave.member") : isAlone ? t("leave.alone") : goesOn ? t("leave.ownerStay") : t("leave.ownerClose");
  const leave = () => go(() => room.leave());
  const closeRoom = () => go(() => room.close());
  openDialog(t("leave.title"), (close) => [
    h("p", {}, text),
    h("p", { class: "hint" }, t("leave.traces")),
    h(
      "div",
      { class: "actions stacked" },
      h("button", { type: "button", autofocus: true, onclick: close }, t("app.cancel")),
      (!room.isOwner || goesOn) && h("button", { type: "button", class: goesOn ? "" : "danger", onclick: () => (close(), leave()) }, t("leave.submit")),
      room.isOwner && h("button", { type: "button", class: "danger", onclick: () => (close(), closeRoom()) }, t("leave.close")),
    ),
  ]);
}
