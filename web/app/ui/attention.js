/**
 * Telling a person who looks elsewhere: unread messages in the title, and notifications that say nothing of what was written.
 */
import { t } from "./i18n.js";

let unread = 0;
let title = "Subrosa";
let notifies = false;

/** @param {string} name what the page is about */
export function setTitle(name) {
  title = name ? `${name} · Subrosa` : "Subrosa";
  show();
}

function show() {
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
}

/** Forgets everything. */
export function resetAttention() {
  unread = 0;
  notifies = false;
  setTitle("");
}

/** Something was said. */
export function somethingWasSaid() {
  if (document.visibilityState === "visible" && document.hasFocus()) return;
  unread += 1;
  show();
  if (!notifies) return;
  try {
    new Notification("Subrosa", { body: t("notify.message"), tag: "subrosa", silent: false });
  } catch {
    // Some phones allow pages no notifications of this kind.
    notifies = false;
  }
}

const seen = () => {
  if (document.visibilityState !== "visible") return;
  unread = 0;
  show();
};
addEventListener("focus", seen);
document.addEventListener("visibilitychange", seen);

export const canNotify = () => "Notification" in globalThis && Notification.permission !== "denied";
export const isNotifying = () => notifies;

/** @param {boolean} wanted @returns {Promise<boolean>} what holds now */
export async function setNotifying(wanted) {
  notifies = wanted && canNotify() && (await Notification.requestPermission()) === "granted";
  return notifies;
}
