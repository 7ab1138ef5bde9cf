/**
 * One membership in a sealed room, as a state machine without I/O.
 *
 * It takes what the relay says (`handle`), how the relay answered (`answer`), what the user wants (the methods under "wishes") and the passing of time
 * (`tick`); it gives commands for the relay and events for the user. Cryptography in browsers is asynchronous, so calls return promises, and
 * whoever drives the machine makes one call after the other.
 *
 * create / join → entry command → created / joined → "entered"
 * user-joined → admit → "member-joined" | alarm              nothing is sealed to whoever was not accepted
 * message → receive: who? epoch? open, verify, count → "message" | alarm
 * say → outbox → send-messages → sent → "sent"
 * remove → rekey: remove-member, reset-room-keys → answers → send-messages(secret), set-card → "rekeyed"
 *
 * Times are unix milliseconds.
 */
import { fingerprintOf } from "../../sealed/fingerprint.js";
import { SIGNATURE_BYTES } from "../../sealed/identity.js";
import { bucket } from "../../sealed/padding.js";
import { utf8 } from "../../sealed/bytes.js";
import { viewOf } from "../../sealed/view.js";
import { caughtUp, enter, joinLive, reconcile } from "./admit.js";
import { Held, Listing } from "./held.js";
import { Members, shownName } from "./members.js";
import { Outbox, packetAnswered, pump } from "./outbox.js";
import { askForKeys, expireProof, handOverAnswered, isHandingOver, isRekeying, keyAnswered, nameOwner, Office, supplyHeirs } from "./owner.js";
import { receive } from "./receive.js";
import { beginRekey, cardAnswered, Epochs, finishRekey, rekeyAnswered, removeLocally, setCard } from "./rekey.js";
import { Views } from "./views.js";

/** @typedef {import("../../protocol/events.js").Listed} Listed */
/** @typedef {import("../../protocol/session.js").Answer} Answer */
/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./members.js").Member} Member */

/**
 * Something that the relay says.
 *
 * @typedef {{ type: "created", roomId: string, userId: string }
 *   | { type: "joined", userId: string, ownerId: string, users: Listed[] }
 *   | { type: "user-joined", user: Listed }
 *   | { type: "user-left", userId: string, reason: import("../../protocol/codes.js").LeaveReason }
 *   | { type: "owner-changed", ownerId: string }
 *   | { type: "message", userId: string, content: string, shared: string | null }
 *   | { type: "members", ownerId: string, users: Listed[], here: string[] }
 *   | { type: "gap" }
 *   | { type: "closed", reason: string }} Fact
 */

/**
 * Why the membership is over.
 *
 * @typedef {"left" | "removed" | "lost" | "restarted" | "refused" | "protocol" | "closed" | "owner-left" | "expired"} Ending
 */

/**
 * Something for the user.
 *
 * @typedef {{ type: "entered" }
 *   | { type: "member-joined", member: string, live: boolean }
 *   | { type: "not-here-yet", userId: string }
 *   | { type: "member-left", member: string, name: string, reason: import("../../protocol/codes.js").LeaveReason }
 *   | { type: "message", from: string, text: string, at: number, private: boolean }
 *   | { type: "unsupported", from: string, name: string }
 *   | { type: "sent", id: number, held: string[] }
 *   | { type: "not-sent", id: number, reason: "alone" | "recipient-gone" | "refused" }
 *   | { type: "owner-changed", owner: string }
 *   | { type: "hand-over-failed", to: string }
 *   | { type: "rekeyed", epoch: number }
 *   | { type: "rekey-undelivered", members: string[] }
 *   | { type: "gap" }
 *   | { type: "alarm", alarm: Alarm }
 *   | { type: "ended", ending: Ending }} RoomEvent
 */

/**
 * @typedef {object} Settings
 * @property {number} resumeWindowMs how long a dropped member may take to return
 * @property {number} frameBytes the longest frame that the relay takes
 * @property {{ host: string, port: number, pin: import("../../sealed/bytes.js").Bytes | null }} server where links lead
 */

/**
 * @typedef {object} Start
 * @property {import("../../sealed/identity.js").Identity} identity
 * @property {string} name
 * @property {string} roomName
 * @property {string} roomId empty in a room that is being created
 * @property {import("../../sealed/chain.js").OwnerChain} chain
 * @property {import("../../sealed/secret.js").RoomSecret} secret
 * @property {import("../../sealed/certificate.js").Certificate} [invite]
 * @property {boolean} transfer
 * @property {Settings} settings
 */

/** Where commands and events go. @typedef {{ command: (id: number, cmd: string, data: object) => void, event: (event: RoomEvent) => void }} Sink */

/** How many messages wait to be sent at most. */
const MAX_QUEUED = 1024;
/** What a text has around it, in bytes: the JSON of a message, and a packet with its largest recipient. */
const AROUND_TEXT_BYTES = 512;
const AROUND_PACKET_BYTES = 1_536;

/** A wish that cannot be had. */
export class RoomError extends Error {
  /** @param {"not-inside" | "not-owner" | "alone" | "no-such-member" | "too-long" | "busy" | "no-key"} id */
  constructor(id) {
    super(id);
    this.name = "RoomError";
    this.id = id;
  }
}

/** See the module. */
export class Machine {
  /** @param {Start} start @param {Sink} sink */
  constructor(start, sink) {
    // Fixed from the start.
    this.identity = start.identity;
    this.name = start.name;
    this.roomName = start.roomName;
    this.settings = start.settings;
    this.invite = start.invite;
    this.sink = sink;
    // By the relay's word.
    /** @type {"entering" | "inside" | "over"} */
    this.phase = "entering";
    this.roomId = start.roomId;
    this.userId = "";
    this.relayOwner = "";
    // Proved by keys and signatures.
    this.chain = start.chain;
    this.owner = "";
    this.epochs = new Epochs(start.secret);
    this.members = new Members();
    this.members.spend(start.invite, start.identity.fingerprint);
    this.views = new Views();
    this.viewVersion = -1;
    // On its way in and out.
    this.held = new Held();
    /** @type {Fact[]} */
    this.replay = [];
    this.listing = new Listing();
    this.outbox = new Outbox();
    this.office = new Office();
    this.office.transfer = start.transfer;
    this.card = { asked: 0, due: /** @type {number | undefined} */ (undefined) };
    this.lastId = 0;
  }

  /** Takes something that the relay says. @param {Fact} fact @param {number} now */
  async handle(fact, now) {
    await this.letTimePass(now);
    await this.take(fact, now);
    await this.finish(now);
  }

  /** Takes the relay's answer to a command. @param {number} id @param {Answer} answer @param {number} now */
  async answer(id, answer, now) {
    await this.letTimePass(now);
    if (this.phase === "inside") await this.takeAnswer(id, answer, now);
    await this.finish(now);
  }

  /** Lets time pass. @param {number} now */
  async tick(now) {
    await this.letTimePass(now);
    await this.finish(now);
  }

  /** When {@link tick} has something to do; earlier calls do no harm. @returns {number | undefined} */
  get nextDeadline() {
    if (this.phase !== "inside") return undefined;
    const { epochs, views, held, listing, outbox, office, card } = this;
    const all = [epochs, views, held, listing, outbox].flatMap(({ deadlines }) => deadlines);
    const more = [office.rekey?.deadline, office.proof, card.due].filter((at) => at !== undefined);
    const first = Math.min(...all, ...more);
    return first === Infinity ? undefined : first;
  }

  // ---- wishes ----

  /** Says something to everyone, or to one member only. @param {string} text @param {string | undefined} to @param {number} now @returns {Promise<number>} what "sent" and "not-sent" name it by */
  async say(text, to, now) {
    this.checkInside();
    if (to !== undefined) this.find(to);
    else if (this.members.accepted.size === 0) throw new RoomError("alone");
    const padded = bucket(SIGNATURE_BYTES + AROUND_TEXT_BYTES + utf8(JSON.stringify(text)).length, 0);
    if ((padded / 3) * 4 + AROUND_PACKET_BYTES > this.settings.frameBytes) throw new RoomError("too-long");
    if (this.outbox.queue.length >= MAX_QUEUED) throw new RoomError("busy");
    const id = ++this.lastId;
    this.outbox.queue.push({ errand: { type: "text", id, text }, ...(to !== undefined && { to }), at: now });
    await this.finish(now);
    return id;
  }

  /** Makes invites. @param {import("./owner.js").Wanted} wanted @param {number} now */
  async inviteBy(wanted, now) {
    this.checkOwning();
    this.office.waiting.push(wanted);
    await this.finish(now);
  }

  /** Removes a member and changes the room secret, so that it reads nothing from here on. @param {string} member @param {number} now */
  async remove(member, now) {
    this.checkOwning();
    this.checkFree(isHandingOver(this));
    const found = this.find(member);
    removeLocally(this, member);
    beginRekey(this, found, now);
    await this.finish(now);
  }

  /** Changes the room secret: all links made so far are dead. @param {number} now */
  async rekey(now) {
    this.checkOwning();
    this.checkFree(isHandingOver(this));
    beginRekey(this, undefined, now);
    await this.finish(now);
  }

  /** Hands the room over to a member. @param {string} to @param {number} now */
  async handOverTo(to, now) {
    this.checkOwning();
    this.checkFree(isHandingOver(this) || isRekeying(this));
    this.find(to);
    this.outbox.queue.push({ errand: { type: "succession", handOver: true }, to, at: now });
    await this.finish(now);
  }

  /** Notes that the user has compared a member's fingerprint, or takes it back. @param {string} member @param {boolean} verified */
  setVerified(member, verified) {
    this.find(member).verified = verified;
  }

  /** @param {string} member */
  find(member) {
    const found = this.members.get(member);
    if (!found) throw new RoomError("no-such-member");
    return found;
  }

  /** Whether this client can invite, remove and so on: it owns the room by the chain and by the relay's word. */
  get governs() {
    return this.owner === this.identity.fingerprint && this.relayOwner === this.userId;
  }

  checkInside() {
    if (this.phase !== "inside") throw new RoomError("not-inside");
  }

  checkOwning() {
    this.checkInside();
    if (!this.governs) throw new RoomError("not-owner");
  }

  /** @param {boolean} busy with what must be finished first */
  checkFree(busy) {
    if (busy) throw new RoomError("busy");
  }

  // ---- within ----

  /** @param {Fact} fact @param {number} now */
  async take(fact, now) {
    if (this.phase === "over") return;
    if (fact.type === "closed") {
      const known = fact.reason === "owner-left" || fact.reason === "expired" ? fact.reason : "closed";
      return this.end(known);
    }
    if (this.phase === "entering") {
      if (fact.type !== "created" && fact.type !== "joined") return;
      this.phase = "inside";
      this.userId = fact.userId;
      await this.setChain(this.chain);
      if (fact.type === "joined") return enter(this, fact.ownerId, fact.users, now);
      this.roomId = fact.roomId;
      this.relayOwner = fact.userId;
      return this.event({ type: "entered" });
    }
    switch (fact.type) {
      case "user-joined":
        return joinLive(this, fact.user, now);
      case "user-left":
        return this.left(fact.userId, fact.reason);
      case "owner-changed":
        return this.nameOwner(fact.ownerId, now);
      case "members":
        return caughtUp(this, fact, now);
      case "message":
        return receive(this, fact, now);
      case "gap":
        return this.event({ type: "gap" });
      default:
        // Entry is answered once; a repeated answer says nothing new.
        return undefined;
    }
  }

  /** @param {number} id @param {Answer} answer @param {number} now */
  async takeAnswer(id, answer, now) {
    const { outbox, office, card, listing, members } = this;
    if (outbox.awaits(id)) return packetAnswered(this, id, answer, now);
    if (office.rekey?.waiting.has(id)) return rekeyAnswered(this, id, answer, now);
    if (card.asked === id) return cardAnswered(this, answer, now);
    if (office.invites.has(id)) return keyAnswered(this, id, answer, now);
    if (office.handOver?.id === id) return handOverAnswered(this, answer, now);
    if (listing.asked !== id) return undefined;
    listing.asked = 0;
    if (answer.cmd === "list-members") {
      await reconcile(this, answer.users, now);
      if (answer.ownerId !== this.relayOwner) await this.nameOwner(answer.ownerId, now);
    }
    if (members.notHere.size > 0) listing.want(now);
    return undefined;
  }

  /** @param {string} userId @param {import("../../protocol/codes.js").LeaveReason} reason */
  left(userId, reason) {
    if (userId === this.userId) return this.end(reason);
    const { members } = this;
    this.held.forget(userId);
    for (const known of [members.notHere, members.refused, members.dropped]) known.delete(userId);
    const fingerprint = members.byUserId(userId)?.fingerprint;
    const member = fingerprint === undefined ? undefined : members.drop(fingerprint, reason === "removed");
    if (member) this.event({ type: "member-left", member: member.fingerprint, name: shownName(member), reason });
  }

  /** @param {string} ownerId @param {number} now */
  nameOwner(ownerId, now) {
    return nameOwner(this, ownerId, now);
  }

  /** @param {import("../../sealed/chain.js").OwnerChain} chain */
  async setChain(chain) {
    this.chain = chain;
    this.owner = await fingerprintOf(chain.owner);
    this.viewVersion = -1;
  }

  /** Who is in the room, by what this client has accepted. @param {number} now */
  async updateView(now) {
    if (this.viewVersion === this.members.version) return;
    this.viewVersion = this.members.version;
    const view = await viewOf(this.owner, [this.identity.fingerprint, ...this.members.accepted.keys()]);
    this.views.change(view, now);
  }

  /** @param {number} now */
  async letTimePass(now) {
    if (this.phase !== "inside") return;
    this.epochs.expire(now);
    for (const alarm of this.views.expire(now)) this.alarm(alarm);
    expireProof(this, now);
    if (this.card.due !== undefined && this.card.due <= now) await setCard(this);
    for (const who of this.held.expire(now)) this.alarm({ kind: "newer-secret-in-use", who });
  }

  /** Does what follows from whatever has changed. @param {number} now */
  async finish(now) {
    while (this.phase === "inside") {
      await this.updateView(now);
      finishRekey(this, now);
      supplyHeirs(this, now);
      await pump(this, now);
      askForKeys(this);
      if (this.listing.takeDue(now)) this.listing.asked = this.command("list-members", {});
      const fact = this.replay.shift();
      if (!fact) break;
      await this.take(fact, now);
    }
  }

  /** @param {string} cmd @param {object} data */
  command(cmd, data) {
    const id = ++this.lastId;
    this.sink.command(id, cmd, { room_id: this.roomId, ...data });
    return id;
  }

  /** @param {RoomEvent} event */
  event(event) {
    this.sink.event(event);
  }

  /** @param {Alarm} alarm */
  alarm(alarm) {
    this.event({ type: "alarm", alarm });
  }

  /** Ends the membership and wipes its secrets. @param {Ending} ending */
  end(ending) {
    if (this.phase === "over") return;
    this.phase = "over";
    this.replay = [];
    this.outbox = new Outbox();
    this.epochs.wipe();
    for (const wanted of [...this.office.waiting, ...this.office.invites.values()]) wanted.made(null);
    this.event({ type: "ended", ending });
  }
}
