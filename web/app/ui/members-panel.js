/**
 * The list of members: beside the messages on wide screens, over them on phones. A row stays the same element as long as its member is in the room, so
 * that joins and leaves do not move the focus.
 */
import { words } from "../client/index.js";
import { opened } from "./back.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { tone } from "./message-view.js";

/** @typedef {import("../client/room.js").MemberInfo & { isMe: boolean }} Listed */

/** From so many members on there is a search field. */
const SEARCH_FROM = 12;
/** So many rows are in the page; others are found by searching. */
const SHOWN = 100;

/** See the module. */
export class MembersPanel {
  /**
   * @param {import("../client/room.js").Room} room
   * @param {{ openMember: (fingerprint: string) => void, openMe: () => void, invite: () => void }} act
   */
  constructor(room, act) {
    this.room = room;
    this.act = act;
    /** @type {Map<string, { mark: string, row: HTMLElement }>} */
    this.rows = new Map();
    this.heading = h("h2", { id: "members-heading", tabIndex: -1 });
    this.search = h("input", { type: "search", "aria-label": t("members.search"), placeholder: t("members.search"), spellcheck: false, oninput: () => this.list() });
    this.rowList = h("ul", { role: "list" });
    this.hint = h("p", { class: "hint", role: "status" });
    this.lists = h("div", { class: "member-lists", tabIndex: 0, role: "region", "aria-labelledby": "members-heading", translate: false }, this.rowList, this.hint);
    const close = h("button", { type: "button", class: "quiet round only-narrow", "aria-label": t("app.close"), onclick: () => this.open(false) });
    close.append(icon("close"));
    this.inviteButton = h("button", { type: "button", class: "wide", onclick: act.invite }, icon("invite"), t("room.invite"));
    this.element = h(
      "aside",
      { class: "members", "aria-labelledby": "members-heading" },
      h("div", { class: "panel-head" }, this.heading, close),
      this.search,
      this.lists,
      this.inviteButton,
    );
    this.update();
  }

  /** Shows or hides the panel on phones. @param {boolean} wanted */
  open(wanted) {
    const { classList } = this.element;
    if (classList.contains("open") === wanted) return;
    classList.toggle("open", wanted);
    this.shut?.();
    this.shut = undefined;
    if (!wanted) return;
    this.shut = opened(() => this.open(false));
    this.heading.focus();
  }

  /** Somebody came, went or was verified: shown at the next frame, once for all that happens until then. */
  changed() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.update();
    });
  }

  update() {
    const { name, fingerprint, owner } = this.room;
    const byName = new Intl.Collator(document.documentElement.lang);
    const others = this.room.members.map((member) => ({ ...member, isMe: false })).sort((a, b) => byName.compare(a.name, b.name));
    /** @type {Listed[]} */
    this.all = [{ name, fingerprint, verified: false, owner: fingerprint === owner, isMe: true }, ...others];
    fill(this.heading, t("room.membersCount", { count: this.all.length }));
    this.search.hidden = this.all.length < SEARCH_FROM;
    this.inviteButton.hidden = !this.room.isOwner;
    this.list();
  }

  list() {
    const wanted = this.search.hidden ? "" : this.search.value.trim().toLocaleLowerCase();
    const found = (this.all ?? []).filter((member) => member.name.toLocaleLowerCase().includes(wanted));
    const shown = found.slice(0, SHOWN);
    const kept = new Set(shown.map(({ fingerprint }) => fingerprint));
    for (const [fingerprint, { row }] of this.rows) {
      if (kept.has(fingerprint)) continue;
      this.leaveRow(row);
      this.rows.delete(fingerprint);
    }
    for (const [i, member] of shown.entries()) {
      const row = this.rowOf(member);
      if (this.rowList.children[i] !== row) this.rowList.insertBefore(row, this.rowList.children[i] ?? null);
    }
    const more = found.length - shown.length;
    fill(this.hint, found.length === 0 ? t("members.nobody") : more > 0 ? t("members.more", { count: more }) : "");
  }

  /** The focus of a row that goes moves to its neighbour. @param {HTMLElement} row */
  leaveRow(row) {
    const hadFocus = row.contains(document.activeElement);
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    if (hadFocus) /** @type {HTMLElement} */ (next?.querySelector("button") ?? this.heading).focus();
  }

  /** @param {Listed} member */
  rowOf(member) {
    const { fingerprint, name, verified, owner } = member;
    const mark = JSON.stringify([name, verified, owner, this.room.mismatched.has(fingerprint)]);
    const known = this.rows.get(fingerprint);
    if (known?.mark === mark) return known.row;
    const row = known?.row ?? h("li", {}, h("button", { type: "button", class: "member", onclick: () => this.openRow(member) }));
    fill(/** @type {Element} */ (row.firstElementChild), ...this.content(member));
    this.rows.set(fingerprint, { mark, row });
    return row;
  }

  /** @param {Listed} member */
  openRow({ fingerprint, isMe }) {
    if (isMe) this.act.openMe();
    else this.act.openMember(fingerprint);
  }

  /** @param {Listed} member */
  content({ name, fingerprint, verified, owner, isMe }) {
    const [first] = new Intl.Segmenter().segment(name);
    const differs = this.room.mismatched.has(fingerprint);
    const marks = [owner && t("members.owner"), isMe && t("members.you"), verified && t("members.verified"), differs && t("members.mismatch")];
    const text = marks.filter((mark) => mark).join(" · ");
    return [
      h("span", { class: `avatar tone-${tone(fingerprint)}`, "aria-hidden": "true" }, first?.segment.toLocaleUpperCase()),
      h(
        "span",
        { class: "member-text" },
        h("span", { class: "name" }, h("bdi", { class: "clipped" }, name), verified && icon("shield"), differs && icon("warning")),
        h("span", { class: differs ? "problem" : "hint" }, text || words(fingerprint).slice(0, 3).join(" ") + " …"),
      ),
    ];
  }
}
