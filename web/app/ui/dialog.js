/**
 * Dialogs, with one look and one behaviour for all. The browser keeps the focus inside and returns it; Back closes them.
 */
import { opened } from "./back.js";
import { h, newId } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";

/**
 * Opens a dialog. `build` gets a function that closes it.
 *
 * @param {string} title
 * @param {(close: () => void) => (Node | string | null | false)[]} build
 * @param {{ onclose?: () => void }} [options]
 */
export function openDialog(title, build, { onclose } = {}) {
  const id = newId("title");
  const dialog = h("dialog", { "aria-labelledby": id });
  const close = () => dialog.close();
  dialog.append(
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id, tabIndex: -1, dir: "auto" }, title),
      h("button", { type: "button", class: "quiet round", "aria-label": t("app.close"), onclick: close }, icon("close")),
    ),
    h("div", { class: "dialog-body" }, ...build(close).filter((child) => child !== null && child !== false)),
  );
  const closed = opened(close);
  dialog.addEventListener("close", () => {
    closed();
    dialog.remove();
    onclose?.();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close };
}

/** Closes whatever is open. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/**
 * Asks before something that cannot be taken back. Cancel comes first and has the focus.
 *
 * @param {string} question
 * @param {string} yes
 * @param {() => void} act
 */
export function confirmThat(question, yes, act) {
  openDialog(yes, (close) => [
    h("p", {}, question),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", autofocus: true, onclick: close }, t("app.cancel")),
      h("button", { type: "button", class: "danger", onclick: () => (close(), act()) }, yes),
    ),
  ]);
}
