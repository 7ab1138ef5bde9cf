/**
 * Copies text, and reports honestly whether that worked.
 */
import { announce } from "./announce.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";

/** How long a button says that it has copied, in milliseconds. */
const SAID_MS = 4_000;

/** Puts text into the clipboard. @param {string} text @returns {Promise<boolean>} whether it is there */
export async function copyText(text) {
  try {
    // Missing in some browsers within other apps.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

/** @param {string} text */
function copyByCommand(text) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = h("textarea", { class: "unseen", readOnly: true, value: text, "aria-hidden": "true" });
  // Within the open dialog: what lies outside cannot be selected.
  ([...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body).append(field);
  field.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // It was not copied, then.
  }
  field.remove();
  focused?.focus();
  return done;
}

/**
 * A button that copies. Where copying is not allowed it says so and selects the text, to be copied by hand.
 *
 * @param {() => string} text
 * @param {{ label?: string, class?: string, select: () => void }} how select selects the text on the page
 */
export function copyButton(text, { label = t("invite.copy"), class: className = "", select }) {
  const said = h("span", { class: "copy-problem problem", role: "status" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let back;
  const button = h("button", { type: "button", class: className, onclick: () => copy() }, label);
  const copy = async () => {
    clearTimeout(back);
    fill(said);
    if (await copyText(text())) {
      fill(button, t("invite.copied"));
      announce(t("invite.copied"));
      back = setTimeout(() => fill(button, label), SAID_MS);
      return;
    }
    fill(button, label);
    select();
    fill(said, t("copy.byHand"));
  };
  return [button, said];
}

/** Selects all that an element shows. @param {Element} element */
export function selectContent(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
}
