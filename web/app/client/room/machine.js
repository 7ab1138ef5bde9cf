/**
 * One membership in a sealed room, as a state machine without I/O.
 *
 * It takes what the relay says (`handle`), how the relay answered (`answer`), what the user wants (see `Wishes`) and the passing of time (`tick`); it
 * gives commands for the relay and events for the user. Cryptography in browsers is asynchronous, so calls return promises, and whoever drives the machine
 * makes one call after the other.
 *
 * create / join → entry command → created / joined → "entered"
 * user-joined → admit → "member-joined" | alarm              nothing is sealed to whoever was not accepted
 * message → receive: who? epoch? hand, chain, signature, count → after → believe → "message" | alarm
 * say → outbox → send-messages → sent → "sent"
 * remove → rekey: remove-member, reset-room-keys → answers → send-messages(secret), set-card → "rekeyed"
 * away … live                                                 time stands still, nothing is sent
 *
 * Waits are in connected time: milliseconds in which there was a connection and the replay was over.
 */
import { fingerprintOf } from "../../sealed/fingerprint.js";
import { viewOf } from "../../sealed/view.js";
import { caughtUp, enter, joinLive, reconcile } from "./admit.js";
import { releaseWaiting } from "./after.js";
import { Lines } from "./believe.js";
import { Epochs, Leaves } from "./epochs.js";
import { heal, Healing } from "./healing.js";
import { Confirmations, conversation, Heard } from "./heard.js";
import { Held, Listing } from "./held.js";
import { Members, shownName } from "./members.js";
import { Outbox, packetAnswered, pump } from "./outbox.js";
import { askForKeys, handOverAnswered, isHandingOver, keyAnswered, nameOwner, Office, ownerLeft, supplyHeirs, watchHandOver } from "./owner.js";
import { receive } from "./receive.js";
import { cardAnswered, finishRekey, rekeyAnswered, renewLeaf } from "./rekey.js";
import { nextDeadline, timePassed } from "./timers.js";
import { Views } from "./views.js";

/** @typedef {import("../../protocol/events.js").Listed} Listed */
/** @typedef {import("../../protocol/session.js").Answer} Answer */
/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("./room-events.js").RoomEvent} RoomEvent */
/** @typedef {import("./room-events.js").Fact} Fact */
/** @typedef {import("./room-events.js").Ending} Ending */

/** The time of a call: milliseconds of a clock that only goes on, and unix milliseconds by the wall. @typedef {{ mono: number, wall: number }} Now */

/**
 * @typedef {object} Settings
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
 * @property {import("../../sealed/secret.js").EpochKeys} keys
 * @property {Leaves} leaves with the leaf of the card that one enters with
 * @property {import("../../sealed/certificate.js").Certificate} [invite]
 * @property {boolean} transfer
 * @property {Settings} settings
 * @property {() => number} [random] from 0 to 1, for pauses; the tests choose it
 */

/** Where commands and events go. @typedef {{ command: (id: number, cmd: string, data: object) => void, event: (event: RoomEvent) => void }} Sink */

/** A member that spoke so lately will soon hand its chain on again. */
const SPEAKER_MS = 600_000;

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
    this.random = start.random ?? Math.random;
    this.leafSpread = this.random();
    this.sink = sink;
    // Time.
    this.time = 0;
    this.wall = 0;
    /** @type {number | undefined} */
    this.mono = undefined;
    this.connected = true;
    this.resyncing = false;
    // By the relay's word.
    /** @type {"entering" | "inside" | "over"} */
    this.phase = "entering";
    this.roomId = start.roomId;
    this.userId = "";
    this.relayOwner = "";
    this.version = 1;
    // Proved by keys and signatures.
    this.chain = start.chain;
    this.owner = "";
    this.epochs = new Epochs(start.secret, start.keys);
    this.leaves = start.leaves;
    this.members = new Members({ name: start.name, fingerprint: start.identity.fingerprint });
    this.members.spend(start.invite, start.identity.fingerprint);
    /** @type {import("./errands.js").Proved | undefined} */
    this.proved = undefined;
    this.views = new Views();
    this.viewVersion = -1;
    this.heard = new Heard();
    this.heardPrivately = new Heard();
    this.confirmations = new Confirmations();
    this.lines = new Lines();
    /** The room's settings by the owner's word: after how many seconds messages disappear, and whether there are typing and read marks. */
    this.gone = 0;
    this.marks = false;
    /** When the owner was last heard, and how far its clock is from connected time, at least. @type {number | undefined} */
    this.ownerHeard = undefined;
    /** @type {number | undefined} */
    this.ownerAhead = undefined;
    this.ownerSilent = false;
    // On its way in and out.
    this.held = new Held();
    /** @type {Fact[]} */
    this.replay = [];
    /** @type {import("./after.js").Waiting[]} */
    this.waiting = [];
    this.listing = new Listing();
    this.outbox = new Outbox();
    this.healing = new Healing();
    this.office = new Office();
    this.office.transfer = start.transfer;
    /** To whom one has handed the room, until that one proves it. @type {string | undefined} */
    this.handedOver = undefined;
    this.card = { asked: 0, due: /** @type {number | undefined} */ (undefined), leaf: 0, epoch: start.secret.epoch };
    /** Members of whom the user was told in this epoch that they lack the secret. @type {Set<string>} */
    this.told = new Set();
    /** Since when nothing of a member opens. @type {Map<string, number>} */
    this.failing = new Map();
    /** @type {number | undefined} */
    this.confirmDue = undefined;
    this.confirmedAt = -Infinity;
    this.lastId = 0;
  }

  /** Takes something that the relay says, or that the connection does. @param {Fact} fact @param {Now} now */
  async handle(fact, now) {
    await this.letTimePass(now);
    await this.take(fact);
    await this.finish();
  }

  /** Takes the relay's answer to a command. @param {number} id @param {Answer} answer @param {Now} now */
  async answer(id, answer, now) {
    await this.letTimePass(now);
    if (this.phase === "inside") await this.takeAnswer(id, answer);
    await this.finish();
  }

  /** Lets time pass. @param {Now} now */
  async tick(now) {
    await this.letTimePass(now);
    await this.finish();
  }

  /** In how many milliseconds {@link tick} has something to do, from the last call on; earlier calls do no harm. @returns {number | undefined} */
  get nextDeadline() {
    return nextDeadline(this);
  }

  /** Whether this member owns the room by the chain, and has not handed it over. */
  get isOwner() {
    return this.owner === this.identity.fingerprint && this.handedOver === undefined;
  }

  /** Whether this client can invite, remove and so on. */
  get governs() {
    return this.isOwner && !isHandingOver(this);
  }

  /** This member, as alarms name it. @returns {import("./alarms.js").Who} */
  get self() {
    return { userId: this.userId, fingerprint: this.identity.fingerprint, name: this.name };
  }

  /** Whether messages may go out. */
  get maySend() {
    return this.connected && !this.resyncing;
  }

  /** Whether one will soon hand one's chain on again. */
  get spokeLately() {
    return this.outbox.sender !== undefined && this.time - this.outbox.spokeAt < SPEAKER_MS;
  }

  /** The owner's clock, as far as it is known here: it is not behind this. @returns {number | undefined} */
  get ownerClock() {
    return this.ownerAhead === undefined ? undefined : this.ownerAhead + this.time;
  }

  // ---- within ----

  /** @param {Fact} fact */
  async take(fact) {
    if (this.phase === "over") return;
    if (fact.type === "closed") {
      const known = fact.reason === "owner-left" || fact.reason === "expired" ? fact.reason : "closed";
      return this.end(known);
    }
    if ("version" in fact && fact.version !== undefined) this.version = Math.max(this.version, fact.version);
    if (this.phase === "entering") {
      if (fact.type !== "created" && fact.type !== "joined") return;
      this.phase = "inside";
      this.userId = fact.userId;
      await this.setOwner(this.chain);
      if (fact.type === "joined") return enter(this, fact.ownerId, fact.users);
      this.roomId = fact.roomId;
      this.relayOwner = fact.userId;
      return this.event({ type: "entered" });
    }
    switch (fact.type) {
      case "user-joined":
        return joinLive(this, fact.user);
      case "members":
        return caughtUp(this, fact);
      case "user-left":
        return this.left(fact.userId, fact.reason);
      case "owner-changed":
        return this.nameOwner(fact.ownerId);
      case "message":
        return receive(this, fact);
      case "gap":
        this.resyncing = true;
        return this.event({ type: "gap" });
      case "away":
        this.connected = false;
        return this.listing.disconnected();
      case "live":
        this.connected = true;
        this.healing.resumed(this.time);
        // Members that joined meanwhile are judged before anything is said: else one's view would lack them.
        if (this.members.notHere.size > 0) this.resyncing = true;
        if (this.resyncing) this.listing.wantNow(this.time);
        return undefined;
      default:
        // Entry is answered once; a repeated answer says nothing new.
        return undefined;
    }
  }

  /** @param {number} id @param {Answer} answer */
  async takeAnswer(id, answer) {
    const { outbox, office, card, listing, members } = this;
    if (outbox.awaits(id)) return packetAnswered(this, id, answer);
    if (office.rekey?.waiting.has(id)) return rekeyAnswered(this, id, answer);
    if (card.asked === id) return cardAnswered(this, answer);
    if (office.invites.has(id)) return keyAnswered(this, id, answer);
    if (office.handOver?.id === id) return handOverAnswered(this, answer);
    if (listing.asked !== id) return undefined;
    listing.asked = 0;
    this.resyncing = false;
    listing.failed = answer.cmd !== "list-members";
    if (answer.cmd === "list-members") {
      listing.came = this.time;
      await reconcile(this, answer.users);
      if (answer.ownerId !== this.relayOwner) await this.nameOwner(answer.ownerId);
    }
    if (members.notHere.size > 0) listing.want(this.time);
    return undefined;
  }

  /** @param {string} userId @param {import("../../protocol/codes.js").LeaveReason} reason */
  async left(userId, reason) {
    if (userId === this.userId) {
      if (this.isOwner && reason === "lost") this.alarm({ kind: "treated-as-gone", who: this.self });
      return this.end(reason);
    }
    const { members } = this;
    this.held.forget(userId);
    for (const known of [members.notHere, members.refused, members.dropped]) known.delete(userId);
    const fingerprint = members.byUserId(userId)?.fingerprint;
    const member = fingerprint === undefined ? undefined : members.drop(fingerprint, reason === "removed");
    if (!member) return undefined;
    this.event({ type: "member-left", member: member.fingerprint, name: shownName(member), reason });
    this.forget(member.fingerprint);
    if (this.spokeLately) this.listing.wantNow(this.time);
    return member.fingerprint === this.owner ? ownerLeft(this) : undefined;
  }

  /** Drops what is kept about somebody who is gone. @param {string} fingerprint */
  forget(fingerprint) {
    for (const part of [this.views, this.healing, this.confirmations, this.heard]) part.forget(fingerprint);
    this.failing.delete(fingerprint);
    this.waiting = this.waiting.filter(({ member }) => member !== fingerprint);
  }

  /** @param {string} ownerId */
  nameOwner(ownerId) {
    return nameOwner(this, ownerId);
  }

  /** @param {import("../../sealed/chain.js").OwnerChain} chain */
  async setOwner(chain) {
    const before = this.owner;
    const link = chain.links.at(-1);
    this.chain = chain;
    this.owner = await fingerprintOf(chain.owner);
    this.viewVersion = -1;
    this.handedOver = undefined;
    this.ownerHeard = undefined;
    this.ownerAhead = undefined;
    this.office.supplied.clear();
    this.office.proof = undefined;
    this.office.handOver = undefined;
    this.office.receipts = undefined;
    if (before !== "" && link) this.event({ type: "owner-changed", owner: this.owner, right: link.kind });
  }

  /** The owner has said something. @param {number} at by its clock */
  ownerSpoke(at) {
    this.ownerHeard = this.time;
    this.ownerAhead = Math.max(this.ownerAhead ?? -Infinity, at - this.time);
    this.ownerSilent = false;
  }

  /** The owner sets how the room is. @param {number} gone @param {boolean} marks */
  setSettings(gone, marks) {
    if (gone === this.gone && marks === this.marks) return;
    Object.assign(this, { gone, marks });
    this.event({ type: "settings", gone, marks });
  }

  /** What a core says besides its body. @param {import("./errands.js").Errand} errand @param {import("../../sealed/body.js").Body} body @param {string | undefined} to */
  settingsOf(errand, body, to) {
    const vanishes = this.gone > 0 && ["text", "edit", "file"].includes(body.type);
    const rules = this.isOwner && to === undefined && errand.type !== "rekey";
    return { ...(vanishes && { gone: this.gone }), ...(rules && { timer: this.gone, ...(this.marks && { marks: true }) }) };
  }

  /** One's own message got its number. @param {import("./errands.js").Errand} errand @param {number} n @param {string | undefined} to */
  spoken(errand, n, to) {
    if (errand.type !== "say") return;
    const author = to === undefined ? this.identity.fingerprint : conversation(this.identity.fingerprint, to);
    if (errand.body.type === "text") this.lines.set(author, n, "text");
    if (errand.body.type === "delete") this.lines.set(author, errand.body.n, "deleted");
  }

  /** @param {string[]} members who have confirmed nothing for too long */
  tellSilent(members) {
    if (members.length > 0) this.event({ type: "unconfirmed", members });
  }

  /** Who is in the room, by what this client has accepted. */
  async updateView() {
    if (this.viewVersion === this.members.version) return;
    this.viewVersion = this.members.version;
    const view = await viewOf(this.owner, this.epochs.present, [this.identity.fingerprint, ...this.members.accepted.keys()]);
    this.views.change(view, this.time);
  }

  /** @param {Now} now */
  async letTimePass({ mono, wall }) {
    if (this.connected && this.mono !== undefined) this.time += Math.max(0, mono - this.mono);
    this.mono = mono;
    this.wall = wall;
    if (this.phase === "inside" && this.connected) await timePassed(this);
  }

  /** Does what follows from whatever has changed. */
  async finish() {
    while (this.phase === "inside") {
      await this.updateView();
      if (this.connected) {
        finishRekey(this);
        supplyHeirs(this);
        watchHandOver(this);
        if (!this.resyncing) await heal(this);
        await renewLeaf(this);
        await releaseWaiting(this);
        await pump(this);
        askForKeys(this);
        if (this.listing.takeDue(this.time)) this.listing.asked = this.command("list-members", {});
      }
      const fact = this.replay.shift();
      if (!fact) break;
      await this.take(fact);
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
    this.epochs.wipe();
    this.outbox.wipe();
    for (const { chain } of this.members.accepted.values()) chain?.state.fill(0);
    this.leaves.all = [];
    this.event({ type: "ended", ending });
  }
}
