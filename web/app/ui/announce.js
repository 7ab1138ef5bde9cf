/**
 * Announcements for screen readers, each of them once: politely, or at once for warnings.
 */
import { h } from "./dom.js";

/** How long an announcement stays in the page, in milliseconds: long enough to be noticed, too short to be met by reading. */
const STAYS_MS = 5_000;

const polite = h("div", { class: "unseen", "aria-live": "polite" });
const urgent = h("div", { class: "unseen", role: "alert" });

/** Puts the two places into the page. */
export function mountAnnouncer() {
  document.body.append(polite, urgent);
}

/** @param {string} text */
export function announce(text, isUrgent = false) {
  const said = h("p", {}, text);
  (isUrgent ? urgent : polite).append(said);
  setTimeout(() => said.remove(), STAYS_MS);
}
