/**
 * Makes invite links of all kinds, shows their state, and revokes them.
 */
import { confirmThat, openDialog } from "./dialog.js";
import { field, fill, h, isolated, select } from "./dom.js";
import { explain } from "./errors.js";
import { dateAndTime, phrase, t } from "./i18n.js";
import { handingOut } from "./invite-view.js";
import { stateOf } from "./invites.js";

/** @typedef {import("./invites.js").Invites} Invites */
/** @typedef {import("./invites.js").Made} Made */

const MOST_AT_ONCE = 20;

/** @param {Invites} invites @param {{ say: (text: string) => void, closed: () => void }} act */
export function openInvite(invites, { say, closed }) {
  const { room } = invites;
  const kind = select([["one-time", t("invite.oneTime")], ["forever", t("invite.forever")]], "one-time");
  const life = select(/** @type {const} */ (["600", "3600", "86400", "604800", "0"]).map((s) => [s, t(`invite.expires.${s}`)]), "86400");
  const count = h("input", { type: "number", min: "1", max: String(MOST_AT_ONCE), value: "1", inputMode: "numeric", required: true });
  const label = h("input", { maxLength: 64, autocomplete: "off", dir: "auto" });
  const countField = field(t("invite.count"), count);
  kind.addEventListener("change", () => (countField.hidden = kind.value === "forever"));
  const problem = h("p", { class: "problem", role: "alert" });
  const list = h("ol", { class: "links" });
  const old = h("ol", { class: "links" });
  const oldSummary = h("summary");
  const oldBox = h("details", { class: "old-links" }, oldSummary, old);
  const submit = h("button", { type: "submit", class: "primary wide" }, t("invite.make"));
  const form = h(
    "form",
    { class: "invite-form" },
    field(t("invite.kind"), kind),
    field(t("invite.expires"), life),
    field(t("invite.label"), label, t("invite.labelHint")),
    countField,
    problem,
    submit,
  );
  /** The link that is shown with its code. @type {Made | undefined} */
  let shown;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    fill(problem);
    try {
      const isForever = kind.value === "forever";
      const wanted = { count: isForever ? 1 : Number(count.value), expiresInS: Number(life.value) || undefined, label: label.value.trim() };
      [shown] = await invites.make(isForever ? "forever" : "one-time", wanted);
      label.value = "";
      show();
      list.querySelector("button")?.focus({ preventScroll: true });
      list.querySelector("li")?.scrollIntoView({ block: "start" });
    } catch (error) {
      fill(problem, explain(error));
    } finally {
      submit.disabled = false;
    }
  });
  const reset = async () => {
    try {
      await room.rekey();
      invites.allWithdrawn();
      say(t("invite.resetDone"));
    } catch (error) {
      fill(problem, explain(error));
    }
  };
  const resetButton = h("button", { type: "button", class: "danger", onclick: () => confirmThat(t("invite.resetSure"), t("invite.reset"), reset) }, t("invite.reset"));
  const resetBox = h("div", { class: "reset" }, resetButton, h("p", { class: "hint" }, t("invite.resetHint")));
  const act = {
    toggle: (/** @type {Made} */ link) => {
      shown = shown === link ? undefined : link;
      show();
    },
    withdraw: (/** @type {Made} */ link) => invites.withdraw(link).catch((error) => fill(problem, explain(error))),
  };
  /** The rows by their links: a row stays the same element, so that it keeps the focus. @type {Map<Made, { mark: string, row: HTMLElement }>} */
  const rows = new Map();
  const show = () => {
    const now = Date.now();
    /** @type {HTMLElement[]} */
    const live = [];
    /** @type {HTMLElement[]} */
    const dead = [];
    for (const link of invites.made) {
      const state = stateOf(link, now);
      const isShown = shown === link && state === "waiting";
      const mark = `${state} ${isShown}`;
      const known = rows.get(link);
      const row = known?.mark === mark ? known.row : rowOf(link, state, isShown, act);
      rows.set(link, { mark, row });
      (state === "waiting" || state === "used" ? live : dead).push(row);
    }
    order(list, live);
    order(old, dead);
    list.hidden = live.length === 0;
    oldBox.hidden = dead.length === 0;
    fill(oldSummary, t("invite.old", { count: dead.length }));
    resetBox.hidden = invites.made.every((link) => link.withdrawn);
  };
  show();
  const again = setInterval(show, 10_000);
  invites.watchers.add(show);
  const onclose = () => {
    clearInterval(again);
    invites.watchers.delete(show);
    closed();
  };
  openDialog(t("invite.title"), () => [form, list, oldBox, resetBox], { onclose });
}

/** Puts rows into a list in their order, and moves none that is in its place. @param {HTMLElement} list @param {HTMLElement[]} rows */
function order(list, rows) {
  for (const child of [...list.children]) if (!rows.includes(/** @type {HTMLElement} */ (child))) child.remove();
  for (const [i, row] of rows.entries()) if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
}

/** @param {Made} link @param {import("./invites.js").InviteState} state @param {boolean} isShown @param {{ toggle: (link: Made) => void, withdraw: (link: Made) => void }} act */
function rowOf(link, state, isShown, act) {
  const { url, kind, expiry, label, number, usedBy } = link;
  const isLive = state === "waiting";
  const what = kind === "forever" ? t("invite.forever") : t("invite.oneTime");
  const until = expiry !== 0 && isLive ? t("invite.until", { date: dateAndTime(expiry * 1000) }) : "";
  const word = state === "used" ? phrase("invite.state.used", { name: usedBy }) : t(`invite.state.${state}`);
  return h(
    "li",
    { class: `link ${state}` },
    h(
      "div",
      { class: "link-head" },
      h("h3", {}, h("bdi", {}, label || t("invite.number", { number }))),
      h("span", { class: `tag ${state}` }, ...isolated(word)),
    ),
    isLive && h("p", { class: "hint" }, [what, until].filter(Boolean).join(" · ")),
    isShown && h("p", { class: "hint" }, t("invite.secret")),
    ...(isShown ? handingOut(url) : []),
    isLive &&
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", "aria-expanded": String(isShown), onclick: () => act.toggle(link) }, isShown ? t("invite.hide") : t("invite.show")),
        h("button", { type: "button", class: "quiet", onclick: () => act.withdraw(link) }, t("invite.revoke")),
      ),
  );
}
