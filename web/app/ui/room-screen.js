/**
 * The room: who is here, what is said, what happens, and what to be warned of.
 */
import { alarmText } from "./alarm-text.js";
import { announce } from "./announce.js";
import { setTitle, somethingWasSaid } from "./attention.js";
import { Composer } from "./composer.js";
import { fill, h } from "./dom.js";
import { explain } from "./errors.js";
import { listOf, t } from "./i18n.js";
import { icon } from "./icons.js";
import { openInvite } from "./invite-dialog.js";
import { openMe, openMember } from "./member-dialog.js";
import { MembersPanel } from "./members-panel.js";
import { openLeave, openMenu } from "./room-menu.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../client/index.js").Room} Room */
/** @typedef {import("../client/room/machine.js").RoomEvent} RoomEvent */

/** See the module. */
export class RoomScreen {
  /**
   * @param {Room} room
   * @param {{ staysWithoutOwner: boolean | undefined, panic: () => void }} about
   */
  constructor(room, about) {
    this.room = room;
    this.about = { ...about, problem: (/** @type {string} */ text) => this.composer.complain(text) };
    this.timeline = new Timeline();
    this.composer = new Composer((text, to) => this.say(text, to));
    /** What has become of one's own messages, by their numbers. @type {Map<number, (word: string, isProblem?: boolean) => void>} */
    this.mine = new Map();
    /** What was told of messages whose number was not known yet. @type {Map<number, RoomEvent>} */
    this.early = new Map();
    const invite = () => openInvite(room, (text) => this.timeline.note(text));
    this.panel = new MembersPanel(room, { openMember: (fingerprint) => this.openMember(fingerprint), openMe: () => openMe(room), invite });
    const name = room.roomName || t("app.untitled");
    setTitle(name);
    this.status = h("p", { class: "status", role: "status" }, t("room.live"));
    this.people = h("button", { type: "button", class: "quiet round only-narrow", onclick: () => this.panel.open(true) }, icon("people"));
    this.inviteButton = h("button", { type: "button", class: "quiet round", "aria-label": t("room.invite"), onclick: invite }, icon("invite"));
    this.element = h(
      "main",
      { class: "room" },
      h(
        "header",
        { class: "room-head" },
        h("div", { class: "room-title" }, h("h1", { dir: "auto" }, name), this.status),
        this.inviteButton,
        this.people,
        this.button("more", t("room.menu"), () => openMenu(room, this.about)),
        this.button("leave", t("room.leave"), () => openLeave(room, this.about)),
      ),
      this.timeline.element,
      this.composer.element,
      this.panel.element,
    );
    if (room.notice) this.timeline.note(t("room.notice", { text: room.notice }));
    this.timeline.note(room.members.length === 0 && room.isOwner ? t("room.emptyOwner") : t("room.empty"));
    this.peopleChanged();
  }

  /** @param {string} picture @param {string} label @param {() => void} onclick */
  button(picture, label, onclick) {
    return h("button", { type: "button", class: "quiet round", "aria-label": label, onclick }, icon(picture));
  }

  /** @param {"connecting" | "live" | "away"} state */
  connection(state) {
    const text = t(`room.${state}`);
    if (this.status.textContent === text) return;
    fill(this.status, text);
    this.element.classList.toggle("away", state !== "live");
  }

  /** @param {RoomEvent} event */
  tell(event) {
    const { timeline } = this;
    switch (event.type) {
      case "message":
        return this.heard(event);
      case "sent":
      case "not-sent":
        return this.becameOf(event);
      case "member-joined":
        if (event.live) timeline.note(t("event.joined", { name: this.nameOf(event.member) }));
        return this.peopleChanged();
      case "member-left":
        if (this.composer.to === event.member) this.composer.writeTo(undefined);
        timeline.note(t(`event.${event.reason}`, { name: event.name }));
        return this.peopleChanged();
      case "not-here-yet":
        return timeline.note(t("event.notHereYet"));
      case "owner-changed":
        timeline.note(event.owner === this.room.fingerprint ? t("event.ownerMe") : t("event.owner", { name: this.nameOf(event.owner) }));
        return this.peopleChanged();
      case "hand-over-failed":
        return timeline.note(t("event.handOverFailed", { name: this.nameOf(event.to) }));
      case "rekeyed":
        return timeline.note(t("event.rekeyed"));
      case "rekey-undelivered":
        return timeline.warn(t("event.rekeyUndelivered", { names: listOf(event.members.map((member) => this.nameOf(member))) }));
      case "unsupported":
        return timeline.note(t("room.unsupported", { name: this.nameOf(event.from) }));
      case "gap":
        return timeline.warn(t("event.gap"));
      case "alarm": {
        const text = alarmText(event.alarm);
        timeline.warn(text);
        return announce(`${t("alarm.title")}: ${text}`, true);
      }
      default:
        return undefined;
    }
  }

  /** @param {Extract<RoomEvent, { type: "message" }>} event */
  heard({ from, text, at, private: isPrivate }) {
    // Clocks differ: what comes now was not written later than now.
    const shown = Math.min(at, Date.now());
    const only = isPrivate ? { only: t("room.private") } : {};
    this.timeline.say({ name: this.nameOf(from), fingerprint: from, text, at: shown, mine: false, ...only });
    somethingWasSaid();
  }

  /** @param {string} text @param {string | undefined} to */
  async say(text, to) {
    try {
      const id = await this.room.say(text, to);
      const only = to === undefined ? {} : { only: t("room.privateTo", { name: this.nameOf(to) }) };
      const { name, fingerprint } = this.room;
      const show = this.timeline.say({ name, fingerprint, text, at: Date.now(), mine: true, ...only });
      show(t("room.sending"));
      this.mine.set(id, show);
      const early = this.early.get(id);
      this.early.delete(id);
      if (early) this.tell(early);
      return true;
    } catch (error) {
      this.composer.complain(explain(error));
      return false;
    }
  }

  /** @param {Extract<RoomEvent, { type: "sent" | "not-sent" }>} event */
  becameOf(event) {
    const show = this.mine.get(event.id);
    if (!show) {
      this.early.set(event.id, event);
      return;
    }
    this.mine.delete(event.id);
    if (event.type === "not-sent") show(t("room.notSent"), true);
    else if (event.held.length > 0) show(t("room.held", { names: listOf(event.held.map((member) => this.nameOf(member))) }));
    else show(t("room.sent"));
  }

  /** @param {string} fingerprint */
  nameOf(fingerprint) {
    if (fingerprint === this.room.fingerprint) return this.room.name;
    return this.room.member(fingerprint)?.name ?? t("alarm.unknown");
  }

  /** @param {string} fingerprint */
  openMember(fingerprint) {
    openMember(this.room, fingerprint, {
      changed: () => this.panel.changed(),
      tell: (to, name) => (this.panel.open(false), this.composer.writeTo(to, name)),
      problem: (text) => this.composer.complain(text),
    });
  }

  peopleChanged() {
    const label = t("room.membersCount", { count: this.room.machine.members.accepted.size + 1 });
    this.people.setAttribute("aria-label", label);
    this.inviteButton.hidden = !this.room.isOwner;
    this.panel.changed();
  }

  /** Called once the room is on the page. */
  shown() {
    this.composer.input.focus({ preventScroll: true });
  }
}
