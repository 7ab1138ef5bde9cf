/**
 * The first screen: open a room, or join one.
 */
import { createRoom, serverPin } from "../client/index.js";
import { tidyName } from "../sealed/name.js";
import { field, fill, h, select } from "./dom.js";
import { explain } from "./errors.js";
import { t } from "./i18n.js";
import { icon, rose } from "./icons.js";
import { scanCode } from "./scan.js";

/**
 * @typedef {object} Go
 * @property {import("../client/room.js").Handlers} handlers of the room to be
 * @property {(room: import("../client/index.js").Room, staysWithoutOwner: boolean | undefined) => void} entered
 * @property {(link: string) => Promise<void>} look at an invite
 * @property {() => void} start
 */

/** @param {Go} go @param {string} [message] why one is here again */
export function startScreen(go, message) {
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
  );
}

/** @param {Go} go */
function createCard(go) {
  const roomName = h("input", { maxLength: 64, autocomplete: "off", dir: "auto" });
  const name = h("input", { maxLength: 64, required: true, autocomplete: "off", dir: "auto" });
  const lives = /** @type {const} */ (["none", "3600", "86400", "604800"]);
  const life = select(lives.map((s) => [s, t(`create.life.${s}`)]), "none");
  const stay = select([["close", t("create.stay.close")], ["transfer", t("create.stay.transfer")]], "close");
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
      const pin = await serverPin(location.origin).catch(() => null);
      const wanted = { roomName: tidyName(roomName.value), name: tidyName(name.value), ownerLeaves, pin };
      const expiresInS = life.value === "none" ? undefined : Number(life.value);
      const room = await createRoom(location.origin, { ...wanted, ...(expiresInS && { expiresInS }) }, go.handlers);
      go.entered(room, ownerLeaves === "transfer");
    },
  });
}

/** @param {Go} go */
function joinCard(go) {
  const link = h("input", { type: "url", required: true, autocomplete: "off", spellcheck: false, inputMode: "url" });
  const card = formCard({
    title: t("join.title"),
    fields: [field(t("join.paste"), link, t("join.pasteHint"))],
    submit: t("join.look"),
    working: t("join.look"),
    act: () => go.look(link.value),
  });
  const scan = async () => {
    const text = await scanCode();
    if (text === null) return;
    link.value = text;
    card.requestSubmit();
  };
  card.append(h("button", { type: "button", class: "wide", onclick: scan }, icon("camera"), t("join.scan")));
  return card;
}

/**
 * A form that says what it is doing and what went wrong.
 *
 * @param {{ title: string, fields: (Node | string)[], submit: string, working: string, act: () => Promise<void> }} what
 */
export function formCard({ title, fields, submit, working, act }) {
  const button = h("button", { type: "submit", class: "primary wide" }, submit);
  const problem = h("p", { class: "problem", role: "alert" });
  const form = h("form", { class: "card" }, h("h2", {}, title), ...fields, problem, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(problem);
    fill(button, working);
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      fill(problem, explain(error));
    } finally {
      fill(button, submit);
      button.disabled = false;
    }
  });
  return form;
}
