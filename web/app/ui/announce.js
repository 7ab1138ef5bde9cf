/**
 * What screen readers are told beside the messages: politely, or at once when it is a warning.
 */
import { h } from "./dom.js";

const polite = h("div", { class: "unseen", role: "status" });
const urgent = h("div", { class: "unseen", role: "alert" });

/** Puts the two places into the page. */
export function mountAnnouncer() {
  document.body.append(polite, urgent);
}

/** @param {string} text */
export function announce(text, isUrgent = false) {
  (isUrgent ? urgent : polite).textContent = text;
}
