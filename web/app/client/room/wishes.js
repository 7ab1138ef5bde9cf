/**
 * What the person wants: each wish is checked here, and has its effect in the machine. The others wait their turn behind it.
 */
import { utf8 } from "../../sealed/bytes.js";
import { bucket } from "../../sealed/padding.js";
import { SIGNATURE_BYTES } from "../../sealed/identity.js";
import { RoomError } from "../room-errors.js";
import { conversation } from "./heard.js";
import { isHandingOver, isRekeying, takeOffice } from "./owner.js";
import { beginRekey, removeLocally } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Now} Now */
/** @typedef {import("../../sealed/body.js").Body} Body */
/** Another message: whose, and which. @typedef {{ of: string, n: number }} Target */

/** How many messages wait to be sent at most. */
const MAX_QUEUED = 1024;
/** What a text has around it, in bytes: the JSON of a message, and a packet with its largest recipient. */
const AROUND_TEXT_BYTES = 1_024;
const AROUND_PACKET_BYTES = 3_072;
/** The longest text, in bytes. */
export const MAX_TEXT_BYTES = 65_536;

/** What the person wants of a machine. Each promise is over when the machine is at rest again. */
export class Wishes {
  /** @param {Machine} room */
  constructor(room) {
    this.room = room;
  }

  /** Says something to everyone, or to one member only, perhaps in reply. @param {string} text @param {{ to?: string | undefined, re?: Target | undefined }} where @param {Now} now @returns {Promise<number>} what "sent" and "not-sent" name it by */
  async say(text, { to, re }, now) {
    const found = re && this.reference(re, to);
    return this.speak({ type: "text", text, ...(found && { re: found }) }, to, now);
  }

  /** Changes words of one's own. @param {number} n @param {string} text @param {string | undefined} to @param {Now} now */
  async edit(n, text, to, now) {
    this.checkOwn(n, to);
    return this.speak({ type: "edit", n, text }, to, now);
  }

  /** Takes words of one's own back. @param {number} n @param {string | undefined} to @param {Now} now */
  async takeBack(n, to, now) {
    this.checkOwn(n, to);
    return this.speak({ type: "delete", n }, to, now);
  }

  /** Reacts to a message; an empty text takes the reaction back. @param {Target} target @param {string} text @param {string | undefined} to @param {Now} now */
  async react(target, text, to, now) {
    return this.speak({ type: "react", re: this.reference(target, to), text }, to, now);
  }

  /** Sets after how many seconds messages disappear, and whether there are typing and read marks. @param {number} gone @param {boolean} marks @param {Now} now */
  async setTimer(gone, marks, now) {
    await this.room.letTimePass(now);
    this.checkOwning();
    this.room.setSettings(gone, marks);
    return this.room.members.accepted.size > 0 ? this.speak({ type: "timer", gone, marks }, undefined, now) : 0;
  }

  /** Lets the others see that one types, or has read; nothing if the room does not allow it. @param {Extract<Body, { type: "typing" | "read" }>} body @param {Now} now */
  async mark(body, now) {
    const { room } = this;
    await room.letTimePass(now);
    if (room.phase !== "inside" || !room.marks || room.members.accepted.size === 0) return;
    room.outbox.queue.push({ errand: { type: "mark", body }, at: now.wall });
    await room.finish();
  }

  /** Makes invites. @param {import("./owner.js").Wanted} wanted @param {Now} now */
  async inviteBy(wanted, now) {
    await this.room.letTimePass(now);
    this.checkOwning();
    this.room.office.waiting.push(wanted);
    await this.room.finish();
  }

  /** Removes a member and changes the room secret, so that it reads nothing from here on. @param {string} member @param {Now} now */
  async remove(member, now) {
    await this.room.letTimePass(now);
    await this.takeOfficeIfOffered();
    this.checkOwning();
    const found = this.find(member);
    removeLocally(this.room, member);
    beginRekey(this.room, found);
    await this.room.finish();
  }

  /** Changes the room secret: all links made so far are dead. @param {Now} now */
  async rekey(now) {
    await this.room.letTimePass(now);
    this.checkOwning();
    beginRekey(this.room);
    await this.room.finish();
  }

  /** Hands the room over to a member. @param {string} to @param {Now} now */
  async handOverTo(to, now) {
    await this.room.letTimePass(now);
    this.checkOwning();
    if (isRekeying(this.room)) throw new RoomError("busy");
    this.find(to);
    this.room.outbox.queue.push({ errand: { type: "hand-over" }, to, at: now.wall });
    await this.room.finish();
  }

  /** Takes the office of an owner that the server says is gone. @param {Now} now */
  async takeOffice(now) {
    await this.room.letTimePass(now);
    this.checkInside();
    if (!(await takeOffice(this.room))) throw new RoomError("not-owner");
    await this.room.finish();
  }

  /** Notes that the user has compared a member's fingerprint, or takes it back. @param {string} member @param {boolean} verified */
  setVerified(member, verified) {
    this.find(member).verified = verified;
  }

  /** @param {string} member */
  find(member) {
    const found = this.room.members.get(member);
    if (!found) throw new RoomError("no-such-member");
    return found;
  }

  checkOwning() {
    this.checkInside();
    if (!this.room.isOwner) throw new RoomError("not-owner");
    if (isHandingOver(this.room)) throw new RoomError("busy");
  }

  checkInside() {
    if (this.room.phase !== "inside") throw new RoomError("not-inside");
  }

  // ---- within ----

  /** @param {Body} body @param {string | undefined} to @param {Now} now @returns {Promise<number>} */
  async speak(body, to, now) {
    const { room } = this;
    await room.letTimePass(now);
    this.checkInside();
    if (to !== undefined) this.find(to);
    else if (room.members.accepted.size === 0) throw new RoomError("alone");
    const text = "text" in body ? body.text : "";
    const padded = bucket(SIGNATURE_BYTES + AROUND_TEXT_BYTES + utf8(JSON.stringify(text)).length, 0);
    const fits = (padded / 3) * 4 + AROUND_PACKET_BYTES <= room.settings.frameBytes;
    const isEmpty = text === "" && (body.type === "text" || body.type === "edit");
    if (!fits || isEmpty || utf8(text).length > MAX_TEXT_BYTES) throw new RoomError("too-long");
    if (room.outbox.queue.length >= MAX_QUEUED) throw new RoomError("busy");
    const id = ++room.lastId;
    room.outbox.queue.push({ errand: { type: "say", id, body }, ...(to !== undefined && { to }), at: now.wall });
    await room.finish();
    return id;
  }

  /** @param {Target} target @param {string | undefined} to @returns {import("../../sealed/body.js").Reference} */
  reference({ of, n }, to) {
    const { heard, heardPrivately, identity } = this.room;
    const self = identity.fingerprint;
    const said = to === undefined ? heard.get(of, n) : heardPrivately.get(conversation(of, of === self ? to : self), n);
    if (said === undefined) throw new RoomError("no-such-message");
    return { of, n, said };
  }

  /** @param {number} n @param {string | undefined} to */
  checkOwn(n, to) {
    const self = this.room.identity.fingerprint;
    const line = this.room.lines.get(to === undefined ? self : conversation(self, to), n);
    if (line === undefined || line === "deleted") throw new RoomError("no-such-message");
  }

  async takeOfficeIfOffered() {
    if (this.room.office.offered) await takeOffice(this.room);
  }
}
