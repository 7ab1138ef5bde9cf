/**
 * The room: members, messages, events and warnings.
 */
import { AlarmBanner } from "./alarm-banner.js";
import { alarmText } from "./alarm-text.js";
import { isWatched, setRoomName, somethingHappened } from "./attention.js";
import { Composer } from "./composer.js";
import { h } from "./dom.js";
import { farewell } from "./farewell.js";
import { listOf, phrase, t } from "./i18n.js";
import { icon } from "./icons.js";
import { openInvite } from "./invite-dialog.js";
import { Invites } from "./invites.js";
import { openMe, openMember } from "./member-dialog.js";
import { MembersPanel } from "./members-panel.js";
import { newsOf } from "./news.js";
import { OwnMessages } from "./own-messages.js";
import { openLeave, openMenu, openOffice } from "./room-menu.js";
import { RoomStatus } from "./room-status.js";
import { SearchBar } from "./search-bar.js";
import { Timeline } from "./timeline.js";
import { welcome } from "./welcome.js";

/** @typedef {import("../client/room.js").Room} Room */
/** @typedef {import("../client/room/room-events.js").RoomEvent} RoomEvent */

/** See the module. */
export class RoomScreen {
  /**
   * @param {Room} room
   * @param {{ panic: () => void }} about
   */
  constructor(room, about) {
    this.room = room;
    this.about = { ...about, problem: (/** @type {string} */ text) => this.composer.complain(text), leaving: () => (this.isLeaving = true) };
    /** Whether this person ends it: nothing has to be explained then. */
    this.isLeaving = false;
    this.timeline = new Timeline(isWatched);
    this.composer = new Composer((text, to) => this.own.say(text, to), { longest: () => room.longestText });
    this.own = new OwnMessages(room, this.timeline, { nameOf: (member) => this.nameOf(member), problem: this.about.problem });
    this.invites = new Invites(room);
    this.alarms = new AlarmBanner((count) => this.status.warn(count));
    this.search = new SearchBar(this.timeline, () => this.composer.input.focus());
    this.panel = new MembersPanel(room, {
      openMember: (fingerprint) => this.openMember(fingerprint),
      openMe: () => openMe(room),
      invite: () => this.invite(),
    });
    this.status = new RoomStatus(room, (text) => this.timeline.note(text));
    const name = room.roomName || t("app.untitled");
    setRoomName(name);
    this.people = h("button", { type: "button", class: "quiet round only-narrow", onclick: () => this.panel.open(true) }, icon("people"));
    this.inviteButton = this.button("invite", t("room.invite"), () => this.invite());
    this.buttons = h(
      "div",
      { class: "head-buttons" },
      this.inviteButton,
      this.people,
      this.button("search", t("search.open"), () => this.search.open()),
      this.button("more", t("room.menu"), () => openMenu(room, this.about)),
      this.button("leave", t("room.leave"), () => openLeave(room, this.about)),
    );
    this.top = h("div", { class: "room-top" }, this.alarms.element, this.search.element);
    this.element = h(
      "main",
      { class: "room" },
      h(
        "header",
        { class: "room-head" },
        h("div", { class: "room-title" }, h("h1", { dir: "auto", translate: false }, name), this.status.element),
        this.buttons,
      ),
      this.top,
      this.timeline.element,
      this.composer.element,
      this.panel.element,
    );
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.composer.input.addEventListener("input", () => room.aboutToSpeak());
    for (const what of ["dragover", "drop"]) this.element.addEventListener(what, (event) => this.dropped(/** @type {DragEvent} */ (event)));
    if (room.notice) this.timeline.note(phrase("room.notice", { text: room.notice }));
    if (room.members.length === 0 && room.isOwner) this.welcome();
    else this.hint = this.timeline.note(t("room.empty"));
    this.peopleChanged();
  }

  welcome() {
    this.greeting = welcome(this.invites, { more: () => this.invite() });
    this.timeline.before.append(this.greeting);
  }

  /** @param {string} picture @param {string} label @param {() => void} onclick */
  button(picture, label, onclick) {
    return h("button", { type: "button", class: "quiet round", "aria-label": label, title: label, onclick }, icon(picture));
  }

  invite() {
    if (this.greeting) this.greeting.hidden = true;
    const closed = () => {
      if (this.greeting) this.greeting.hidden = false;
    };
    openInvite(this.invites, { say: (text) => this.timeline.note(text), closed });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key.toLowerCase() !== "f" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    // A second time asks for the browser's own search.
    if (document.activeElement === this.search.input) return;
    event.preventDefault();
    this.search.open();
  }

  /** Files cannot be sent yet: dropping one must not open it instead of the room. @param {DragEvent} event */
  dropped(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
    if (event.type === "drop") this.composer.complain(t("error.noFiles"));
  }

  /** @param {import("../client/connection.js").LineState} state */
  connection(state) {
    this.status.line(state);
    this.element.classList.toggle("away", state === "away" || state === "connecting");
    this.element.classList.toggle("doubtful", state === "doubtful");
  }

  /** @param {RoomEvent} event */
  tell(event) {
    const { timeline } = this;
    switch (event.type) {
      case "message":
        return this.heard(event);
      case "sent":
      case "not-sent":
        return this.own.becameOf(event);
      case "member-joined":
        return this.joined(event);
      case "member-left":
        return this.left(event);
      case "not-here-yet":
        return timeline.coming(t("event.notHereYet"));
      case "owner-changed":
        timeline.note(this.newOwner(event.owner, event.right));
        return this.peopleChanged();
      case "hand-over-failed":
        timeline.note(phrase("event.handOverFailed", { name: this.nameOf(event.to) }));
        return undefined;
      case "rekeyed":
        return timeline.coming(t("event.rekeyed"));
      case "rekey-undelivered":
        return this.warn(phrase("event.rekeyUndelivered", { names: listOf(event.members.map((member) => this.nameOf(member))) }), t("advice.undelivered"));
      case "unsupported":
        timeline.note(phrase("room.unsupported", { name: this.nameOf(event.from) }));
        return undefined;
      case "gap":
        return this.warn(t("event.gap"), t("advice.messages"));
      case "alarm": {
        const owner = this.nameOf(this.room.owner);
        timeline.warn(alarmText(event.alarm, owner));
        this.alarms.raise(event.alarm, owner);
        return somethingHappened("alarm");
      }
      default: {
        const news = newsOf(event, this.room.fingerprint, (member) => this.nameOf(member), this.nameOf(this.room.owner));
        if (event.type === "owner-gone" && this.room.mayTakeOffice && news) openOffice(this.room, news.text, this.about.problem);
        if (news?.warns) return this.warn(news.text, t("advice.messages"));
        if (news) timeline.note(news.text);
        return undefined;
      }
    }
  }

  /** @param {string} owner @param {"hand-over" | "heir"} right */
  newOwner(owner, right) {
    const name = this.nameOf(owner);
    if (owner === this.room.fingerprint) return t("event.ownerMe");
    return right === "heir" ? phrase("event.ownerHeir", { name }) : phrase("event.owner", { name });
  }

  /** @param {string} text @param {string} advice */
  warn(text, advice) {
    this.timeline.warn(text);
    this.alarms.add(text, advice);
  }

  /** @param {Extract<RoomEvent, { type: "member-joined" }>} event */
  joined({ member, live }) {
    const name = this.nameOf(member);
    const used = this.invites.used(this.room.inviteOf(member), name);
    this.greeting?.remove();
    this.greeting = undefined;
    if (live) {
      // Others' guests come unannounced: in a large room nobody wants to hear of each.
      const isGuest = used !== undefined || this.room.members.length === 1;
      this.timeline.coming(phrase("event.joined", { name }), isGuest);
      if (isGuest) somethingHappened("joined");
    }
    this.peopleChanged();
  }

  /** @param {Extract<RoomEvent, { type: "member-left" }>} event */
  left({ member, name, reason }) {
    this.composer.recipientGone(member, t(`event.${reason}`, { name }));
    this.own.memberLeft(member, name);
    this.timeline.coming(phrase(`event.${reason}`, { name }));
    this.peopleChanged();
  }

  /** @param {Extract<RoomEvent, { type: "message" }>} event */
  heard({ from, text, at, private: isPrivate, early }) {
    const name = this.nameOf(from);
    const only = [isPrivate && t("room.private"), early && t("room.early")].filter(Boolean).join(", ");
    const verified = this.room.member(from)?.verified ?? false;
    this.dropHint();
    this.timeline.say({ name, fingerprint: from, verified, text, written: at, mine: false, only });
    somethingHappened("message");
  }

  dropHint() {
    if (this.hint) this.timeline.take(this.hint);
    this.hint = undefined;
  }

  /** @param {string} fingerprint */
  nameOf(fingerprint) {
    if (fingerprint === this.room.fingerprint) return this.room.name;
    return this.room.member(fingerprint)?.name ?? t("alarm.unknown");
  }

  /** @param {string} fingerprint */
  openMember(fingerprint) {
    openMember(this.room, fingerprint, {
      changed: () => {
        this.panel.changed();
        this.timeline.verified(fingerprint, this.room.member(fingerprint)?.verified ?? false);
      },
      tell: (to, name) => (this.panel.open(false), this.composer.writeTo(to, name)),
      problem: (text) => this.composer.complain(text),
    });
  }

  peopleChanged() {
    const label = t("room.membersCount", { count: this.room.machine.members.accepted.size + 1 });
    this.people.setAttribute("aria-label", label);
    this.people.title = label;
    this.inviteButton.hidden = !this.room.isOwner;
    this.panel.changed();
  }

  /** Called once the room is on the page. */
  shown() {
    this.composer.input.focus({ preventScroll: true });
  }

  /**
   * The room is over: what was said stays to be read for a moment, and then wipes itself.
   *
   * @param {string} why
   * @param {() => void} wipe
   */
  freeze(why, wipe) {
    this.panel.open(false);
    this.element.classList.add("frozen");
    this.buttons.remove();
    this.greeting?.remove();
    this.status.stop();
    const drafts = this.composer.freeze();
    const bar = farewell(why, drafts, wipe);
    this.top.prepend(bar.element);
    this.panel.element.inert = true;
    bar.focus();
    return bar.stop;
  }
}
