/**
 * The first screen: open a room, or join one.
 */
import { serverPin } from "../client/server-pin.js";
import { tidyName } from "../sealed/name.js";
import { field, h, select } from "./dom.js";
import { formCard } from "./form.js";
import { t } from "./i18n.js";
import { icon, rose } from "./icons.js";
import { languageChoice, themeChoice } from "./looks.js";
import { scanCode } from "./scan.js";

/**
 * @typedef {object} Go
 * @property {import("../client/room.js").Handlers} handlers of the room to be
 * @property {(room: import("../client/index.js").Room) => Promise<void>} entered
 * @property {(text: string) => Promise<void>} look at an invite, in whatever text it is
 * @property {(message?: string) => void} start
 */

/** @param {Go} go @param {string} [message] why one is here again */
export function startScreen(go, message) {
  const again = () => go.start(message);
  return h(
    "main",
    { class: "start" },
    h(
      "header",
      { class: "brand" },
      rose(),
      h("h1", {}, "Subrosa"),
      h("p", { class: "tagline" }, t("app.tagline")),
      message && h("p", { class: "farewell", role: "status" }, message),
    ),
    h("div", { class: "cards" }, createCard(go), joinCard(go)),
    h("p", { class: "promise" }, icon("lock"), h("span", {}, t("app.promise"))),
    h("footer", { class: "looks" }, field(t("look.language"), languageChoice(again)), field(t("look.theme"), themeChoice())),
  );
}

/** @param {Go} go */
function createCard(go) {
  const roomName = h("input", { maxLength: 64, autocomplete: "off", spellcheck: false, dir: "auto" });
  const name = h("input", { maxLength: 64, required: true, autocomplete: "off", spellcheck: false, dir: "auto" });
  const lives = /** @type {const} */ (["none", "3600", "86400", "604800"]);
  const life = select(lives.map((s) => [s, t(`create.life.${s}`)]), "none");
  const stay = select([["transfer", t("create.stay.transfer")], ["close", t("create.stay.close")]], "transfer");
  return formCard({
    title: t("create.title"),
    fields: [
      field(t("create.room"), roomName, t("create.roomHint")),
      field(t("create.name"), name),
      field(t("create.life"), life),
      field(t("create.stay"), stay),
    ],
    submit: t("create.submit"),
    working: t("create.working"),
    act: async () => {
      /** @type {import("../protocol/codes.js").OwnerLeaves} */
      const ownerLeaves = stay.value === "transfer" ? "transfer" : "close";
      const { createRoom } = await import("../client/index.js");
      const pin = await serverPin(location.origin).catch(() => null);
      const wanted = { roomName: tidyName(roomName.value), name: tidyName(name.value), ownerLeaves, pin };
      const expiresInS = life.value === "none" ? undefined : Number(life.value);
      await go.entered(await createRoom(location.origin, { ...wanted, ...(expiresInS && { expiresInS }) }, go.handlers));
    },
  });
}

/** @param {Go} go */
function joinCard(go) {
  const link = h("textarea", { rows: 2, class: "paste", required: true, autocomplete: "off", spellcheck: false, translate: false });
  link.setAttribute("autocorrect", "off");
  link.setAttribute("autocapitalize", "off");
  const card = formCard({
    title: t("join.title"),
    fields: [field(t("join.paste"), link, t("join.pasteHint"))],
    submit: t("join.look"),
    working: t("join.look"),
    act: () => go.look(link.value),
  });
  link.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    card.requestSubmit();
  });
  const scan = async () => {
    const text = await scanCode(t("error.camera.invite"));
    if (text === null) return;
    link.value = text;
    card.requestSubmit();
  };
  card.append(h("button", { type: "button", class: "wide", onclick: scan }, icon("camera"), t("join.scan")));
  return card;
}
