/**
 * Making invite links and handing them out: by copying, as a code, through the device's share sheet. And taking them back.
 */
import { openDialog } from "./dialog.js";
import { field, fill, h, select } from "./dom.js";
import { explain } from "./errors.js";
import { dateAndTime, t } from "./i18n.js";
import { drawCode } from "./qr.js";

/** @typedef {{ url: string, joinKey: string, expiry: number, revoked: boolean }} Made */
/** @typedef {import("../client/index.js").Room} Room */

/** What was made in a room, as long as the room lasts. @type {WeakMap<Room, Made[]>} */
const made = new WeakMap();
const MOST_AT_ONCE = 20;

/** @param {Room} room @param {(text: string) => void} say */
export function openInvite(room, say) {
  const links = made.get(room) ?? [];
  made.set(room, links);
  const kind = select([["one-time", t("invite.oneTime")], ["forever", t("invite.forever")]], "one-time");
  const life = select(/** @type {const} */ (["600", "3600", "86400", "604800", "0"]).map((s) => [s, t(`invite.expires.${s}`)]), "86400");
  const count = h("input", { type: "number", min: "1", max: String(MOST_AT_ONCE), value: "1", inputMode: "numeric", required: true });
  const countField = field(t("invite.count"), count);
  kind.addEventListener("change", () => (countField.hidden = kind.value === "forever"));
  const problem = h("p", { class: "problem", role: "alert" });
  const list = h("ol", { class: "links" });
  const submit = h("button", { type: "submit", class: "primary wide" }, t("invite.make"));
  const form = h("form", { class: "invite-form" }, field(t("invite.kind"), kind), field(t("invite.expires"), life), countField, problem, submit);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    fill(problem);
    try {
      const options = { count: kind.value === "forever" ? 1 : Number(count.value), expiresInS: Number(life.value) || undefined };
      const fresh = await room.invite(kind.value === "forever" ? "forever" : "one-time", options);
      // The permanent link is the same until it is reset.
      for (const link of fresh) links.unshift({ ...link, revoked: false });
      show(true);
    } catch (error) {
      fill(problem, explain(error));
    } finally {
      submit.disabled = false;
    }
  });
  const reset = async () => {
    try {
      await room.rekey();
      for (const link of links) link.revoked = true;
      show(false);
      say(t("invite.resetDone"));
    } catch (error) {
      fill(problem, explain(error));
    }
  };
  const resetBox = h(
    "div",
    { class: "reset" },
    h("button", { type: "button", class: "danger", onclick: reset }, t("invite.reset")),
    h("p", { class: "hint" }, t("invite.resetHint")),
  );
  /** @param {boolean} fresh */
  const show = (fresh) => {
    const rows = links.map((link, i) => row(room, link, links.length - i, fresh && i === 0, problem));
    fill(list, ...rows);
    list.hidden = links.length === 0;
    resetBox.hidden = links.every((link) => link.revoked);
    if (fresh) list.querySelector("button")?.focus();
  };
  show(false);
  openDialog(t("invite.title"), () => [form, list, resetBox]);
}

/** @param {Room} room @param {Made} link @param {number} number @param {boolean} open @param {HTMLElement} problem */
function row(room, link, number, open, problem) {
  const { url, joinKey, expiry } = link;
  const code = h("div", { class: "code-frame", hidden: !open || link.revoked });
  const drawIt = () => code.childElementCount || code.append(drawCode(url, t("invite.code")));
  if (!code.hidden) drawIt();
  const copied = h("span", { class: "unseen", role: "status" });
  const copy = h("button", { type: "button", class: "primary", onclick: () => copyLink() }, t("invite.copy"));
  const copyLink = async () => {
    await navigator.clipboard.writeText(url).catch(() => text.select());
    fill(copy, t("invite.copied"));
    fill(copied, t("invite.copied"));
  };
  const text = h("input", { class: "link-text", readOnly: true, value: url, "aria-label": t("invite.ready"), onfocus: () => text.select() });
  const toggle = h("button", { type: "button", "aria-expanded": String(!code.hidden), onclick: () => showCode() }, t("invite.show"));
  const showCode = () => {
    drawIt();
    code.hidden = !code.hidden;
    toggle.setAttribute("aria-expanded", String(!code.hidden));
  };
  const share = () => navigator.share({ title: "Subrosa", url }).catch(() => {});
  const revoke = async () => {
    const done = await room.revoke(joinKey).catch((error) => (fill(problem, explain(error)), false));
    link.revoked = true;
    if (done !== undefined) item.replaceWith(row(room, link, number, false, problem));
  };
  const state = link.revoked ? t("invite.revoked") : expiry ? t("join.expires", { date: dateAndTime(expiry * 1000) }) : "";
  const item = h(
    "li",
    { class: link.revoked ? "revoked" : "" },
    h("h3", {}, t("invite.number", { number })),
    !link.revoked && h("p", { class: "hint" }, t("invite.secret")),
    !link.revoked && text,
    code,
    state !== "" && h("p", { class: "hint" }, state),
    !link.revoked &&
      h(
        "div",
        { class: "actions" },
        copy,
        toggle,
        "share" in navigator && h("button", { type: "button", onclick: share }, t("invite.share")),
        h("button", { type: "button", class: "quiet", onclick: revoke }, t("invite.revoke")),
        copied,
      ),
  );
  return item;
}
