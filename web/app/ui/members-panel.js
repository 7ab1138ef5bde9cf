/**
 * Who is here. Beside the messages where there is room, over them on phones.
 */
import { words } from "../client/index.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { tone } from "./timeline.js";

/** From so many members on there is a search field. */
const SEARCH_FROM = 12;
/** Members of a block that the browser skips while it is out of sight. */
const BLOCK = 50;

/** See the module. */
export class MembersPanel {
  /**
   * @param {import("../client/index.js").Room} room
   * @param {{ openMember: (fingerprint: string) => void, openMe: () => void, invite: () => void }} act
   */
  constructor(room, act) {
    this.room = room;
    this.act = act;
    this.heading = h("h2", { id: "members-heading", tabIndex: -1 });
    this.search = h("input", { type: "search", "aria-label": t("members.search"), placeholder: t("members.search"), oninput: () => this.list() });
    this.lists = h("div", { class: "member-lists", tabIndex: 0, role: "region", "aria-labelledby": "members-heading" });
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
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.open(false);
    });
    this.update();
  }

  /** Shows or hides the panel on phones. @param {boolean} wanted */
  open(wanted) {
    this.element.classList.toggle("open", wanted);
    if (wanted) this.heading.focus();
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
    this.all = this.room.members;
    fill(this.heading, t("room.membersCount", { count: this.all.length + 1 }));
    this.search.hidden = this.all.length < SEARCH_FROM;
    this.inviteButton.hidden = !this.room.isOwner;
    this.list();
  }

  list() {
    const wanted = this.search.value.trim().toLocaleLowerCase();
    const { name, fingerprint, owner } = this.room;
    const me = { name, fingerprint, verified: false, owner: fingerprint === owner };
    const rows = [
      this.row(me, t("members.you"), this.act.openMe),
      ...(this.all ?? [])
        .filter((member) => member.name.toLocaleLowerCase().includes(wanted))
        .map((member) => this.row(member, "", () => this.act.openMember(member.fingerprint))),
    ];
    const blocks = [];
    for (let i = 0; i < rows.length; i += BLOCK) {
      blocks.push(h("ul", { class: rows.length > BLOCK ? "full" : "", role: "list" }, ...rows.slice(i, i + BLOCK)));
    }
    fill(this.lists, ...blocks);
  }

  /** @param {import("../client/room.js").MemberInfo} member @param {string} mark @param {() => void} open */
  row({ name, fingerprint, verified, owner }, mark, open) {
    const [first] = new Intl.Segmenter().segment(name);
    const marks = [owner && t("members.owner"), mark, verified && t("members.verified")].filter((text) => text).join(" · ");
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "member", onclick: open },
        h("span", { class: `avatar tone-${tone(fingerprint)}`, "aria-hidden": "true" }, first?.segment.toLocaleUpperCase()),
        h(
          "span",
          { class: "member-text" },
          h("span", { class: "name" }, name, verified && icon("check")),
          h("span", { class: "hint" }, marks || words(fingerprint).slice(0, 3).join(" ") + " …"),
        ),
      ),
    );
  }
}
