/**
 * The start of a new room: its code, to scan, copy or share at once. It disappears when the first guest joins.
 */
import { fill, h } from "./dom.js";
import { explain } from "./errors.js";
import { t } from "./i18n.js";
import { handingOut, placeholder } from "./invite-view.js";

const A_DAY_S = 86_400;

/** @param {import("./invites.js").Invites} invites @param {{ more: () => void }} act */
export function welcome(invites, { more }) {
  const place = h("div", { class: "welcome-link", "aria-busy": "true" }, ...placeholder());
  const element = h(
    "section",
    { class: "card welcome", "aria-label": t("welcome.title") },
    h("h2", {}, t("welcome.title")),
    h("p", { class: "hint" }, t("welcome.hint")),
    place,
    h("button", { type: "button", class: "quiet", onclick: more }, t("welcome.more")),
  );
  const make = async () => {
    try {
      const [link] = await invites.make("one-time", { expiresInS: A_DAY_S });
      fill(place, ...handingOut(link.url));
    } catch (error) {
      fill(place, h("p", { class: "problem" }, explain(error)));
    }
    place.removeAttribute("aria-busy");
  };
  make();
  return element;
}
