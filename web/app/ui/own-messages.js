/**
 * The state of the user's own messages: sending, sent, kept for members who are away, not delivered. The user can retry, copy or delete a failed one.
 */
import { announce } from "./announce.js";
import { explain } from "./errors.js";
import { listOf, t } from "./i18n.js";

/** @typedef {import("../client/room/room-events.js").RoomEvent} RoomEvent */
/** @typedef {import("./message-view.js").Message} Message */

/** See the module. */
export class OwnMessages {
  /**
   * @param {import("../client/room.js").Room} room
   * @param {import("./timeline.js").Timeline} timeline
   * @param {{ nameOf: (member: string) => string, problem: (text: string) => void }} act
   */
  constructor(room, timeline, { nameOf, problem }) {
    this.room = room;
    this.timeline = timeline;
    this.nameOf = nameOf;
    this.problem = problem;
    /** On their way, by their numbers. @type {Map<number, { message: Message, to: string | undefined }>} */
    this.underway = new Map();
    /** What was told of messages whose number was not known yet. @type {Map<number, RoomEvent>} */
    this.early = new Map();
    /** The members for which the relay keeps a message, and those that left without it. @type {Map<Message, { waiting: Set<string>, lost: Set<string> }>} */
    this.kept = new Map();
  }

  /** @param {string} text @param {string | undefined} to @returns {Promise<boolean>} whether it was taken */
  async say(text, to) {
    try {
      const id = await this.room.say(text, to);
      const only = to === undefined ? "" : t("room.privateTo", { name: this.nameOf(to) });
      const { name, fingerprint } = this.room;
      const message = this.timeline.say({ name, fingerprint, verified: false, text, written: Date.now(), mine: true, only });
      this.timeline.become(message, { word: t("room.sending") });
      this.underway.set(id, { message, to });
      const early = this.early.get(id);
      this.early.delete(id);
      if (early?.type === "sent" || early?.type === "not-sent") this.becameOf(early);
      return true;
    } catch (error) {
      this.problem(explain(error));
      return false;
    }
  }

  /** @param {Extract<RoomEvent, { type: "sent" | "not-sent" }>} event */
  becameOf(event) {
    const mine = this.underway.get(event.id);
    if (!mine) {
      this.early.set(event.id, event);
      return;
    }
    this.underway.delete(event.id);
    if (event.type === "not-sent") return this.failed(mine.message, mine.to, event.reason);
    if (event.held.length > 0) this.kept.set(mine.message, { waiting: new Set(event.held), lost: new Set() });
    this.show(mine.message);
  }

  /** @param {Message} message @param {string | undefined} to @param {"alone" | "recipient-gone" | "refused"} reason */
  failed(message, to, reason) {
    const word = reason === "recipient-gone" ? t("room.recipientGone") : t("room.notSent");
    // The same recipient as before: to try again never reaches more people.
    const again = async () => {
      if (await this.say(message.text, to)) this.timeline.take(message);
    };
    const actions = [
      { label: t("message.retry"), act: () => void again() },
      { label: t("message.delete"), act: () => this.timeline.take(message) },
    ];
    this.timeline.become(message, { word, problem: true, actions });
    announce(word, true);
  }

  /** A member is gone: what was kept for it will not be delivered. @param {string} member @param {string} name as it was */
  memberLeft(member, name) {
    for (const [message, { waiting, lost }] of this.kept) {
      if (!waiting.delete(member)) continue;
      lost.add(name);
      this.show(message);
    }
  }

  /** A member is back: the relay gives it what was kept. @param {string} member */
  memberBack(member) {
    for (const [message, { waiting }] of this.kept) {
      if (waiting.delete(member)) this.show(message);
    }
  }

  /** @param {Message} message */
  show(message) {
    const kept = this.kept.get(message);
    if (!kept) return this.timeline.become(message, { word: t("room.sent"), done: true });
    const { waiting, lost } = kept;
    const words = [];
    if (lost.size > 0) words.push(t("room.notDelivered", { names: listOf([...lost]) }));
    if (waiting.size > 0) words.push(t("room.held", { names: listOf([...waiting].map((member) => this.nameOf(member))) }));
    if (waiting.size === 0) this.kept.delete(message);
    if (words.length === 0) this.timeline.become(message, { word: t("room.delivered"), done: true });
    else this.timeline.become(message, { word: words.join(" · "), problem: lost.size > 0 });
  }
}
