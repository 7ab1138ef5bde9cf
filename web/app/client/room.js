/**
 * A room that one is in: the {@link Machine} of the sealed scheme, driven by a {@link Connection}.
 *
 * Frames → facts and answers → machine → commands → frames. All inputs of the machine wait in one queue, so that it processes the events of the room in
 * their order, however long the browser takes to decrypt them.
 */
import { OwnerChain } from "../sealed/chain.js";
import { sealCard } from "../sealed/card.js";
import { Identity } from "../sealed/identity.js";
import { linkToUrl } from "../sealed/link.js";
import { RoomSecret } from "../sealed/secret.js";
import { Clock } from "./clock.js";
import { Connection } from "./connection.js";
import { Leaves } from "./room/epochs.js";
import { Machine } from "./room/machine.js";
import { shownName } from "./room/members.js";
import { EntryError, RoomError } from "./room-errors.js";
import { MAX_TEXT_BYTES, Wishes } from "./room/wishes.js";

/** @typedef {import("./room/room-events.js").RoomEvent} RoomEvent */
/** @typedef {import("./room/room-events.js").Fact} Fact */
/** @typedef {import("../protocol/events.js").ServerEvent} ServerEvent */
/** @typedef {import("../protocol/session.js").Answer} Answer */
/** @typedef {import("../sealed/link.js").Link} Link */

/**
 * @typedef {object} MemberInfo a member for display
 * @property {string} fingerprint
 * @property {string} name the name to show, with the first group of the fingerprint if another member had it before
 * @property {boolean} verified whether the user has compared the fingerprint
 * @property {boolean} owner
 */

/**
 * @typedef {object} Handlers
 * @property {(event: RoomEvent) => void} event in order
 * @property {(state: import("./connection.js").LineState) => void} state
 */

/** The machine is woken at least this often, in milliseconds: its clock takes longer steps for sleep. */
const LONGEST_WAIT_MS = 10_000;
/** How long leaving waits for the relay, in milliseconds. */
const GOODBYE_MS = 1_500;

/**
 * @typedef {object} NewRoom
 * @property {string} roomName only members see it; may be empty
 * @property {string} name one's own
 * @property {number} [expiresInS] the room's life
 * @property {import("../protocol/codes.js").OwnerLeaves} ownerLeaves
 * @property {Link["pin"]} pin of the server, for links, where its certificate is not publicly trusted
 */

/**
 * Creates a room on the relay at `origin`.
 *
 * @param {string} origin
 * @param {NewRoom} wanted
 * @param {Handlers} handlers
 * @param {import("./connection.js").World} [world]
 */
export async function createRoom(origin, wanted, handlers, world) {
  const identity = await Identity.generate();
  const chain = new OwnerChain(identity.key);
  const secret = RoomSecret.generate(0);
  const { card, leaves } = await firstCard(identity, wanted.name, undefined, chain.root, secret);
  const { roomName, name, expiresInS, ownerLeaves, pin } = wanted;
  const start = { identity, name, roomName, roomId: "", chain, secret, keys: await secret.keys(), leaves, transfer: ownerLeaves === "transfer" };
  // The relay is told no names.
  const data = {
    ...{ name: "", username: "", client_room_id: "", card, owner_leaves: ownerLeaves },
    ...(expiresInS !== undefined && { expires_in_s: expiresInS }),
  };
  const room = await Room.enter(origin, { start, pin, cmd: "create-room", data }, handlers, world);
  if (expiresInS !== undefined) room.endsAt = Date.now() + expiresInS * 1000;
  return room;
}

/**
 * Joins the room that a link leads to; it must be on the relay at `origin`.
 *
 * @param {string} origin
 * @param {Link} link
 * @param {string} name one's own
 * @param {Handlers} handlers
 * @param {import("./connection.js").World} [world]
 */
export async function joinRoom(origin, link, name, handlers, world) {
  const identity = await Identity.generate();
  const { chain, secret, certificate: invite, roomId, roomName, joinKey, pin } = link;
  const { card, leaves } = await firstCard(identity, name, invite, chain.root, secret);
  const start = { identity, name, roomName, roomId, chain, secret, keys: await secret.keys(), leaves, invite, transfer: false };
  const oneTime = invite.kind === "one-time";
  const key = oneTime ? { one_time_key: joinKey } : { forever_key: joinKey };
  const data = { room_id: roomId, ...key, username: "", card };
  return Room.enter(origin, { start, pin, cmd: oneTime ? "join-room-onetime" : "join-room-forever", data }, handlers, world);
}

/** Makes the card that one enters with, and its leaf. @param {Identity} identity @param {string} name @param {Link["certificate"] | undefined} invite @param {import("../sealed/bytes.js").Bytes} root @param {RoomSecret} secret */
async function firstCard(identity, name, invite, root, secret) {
  const leaves = new Leaves();
  const leaf = await leaves.next(0);
  leaves.inCard = leaf.generation;
  return { leaves, card: await sealCard(identity, { name, leaf, ...(invite && { invite }) }, root, secret) };
}

/**
 * @typedef {object} Entry
 * @property {Omit<import("./room/machine.js").Start, "settings">} start
 * @property {Link["pin"]} pin
 * @property {string} cmd
 * @property {object} data
 */

/** A membership. It lives as long as this object; nothing of it is kept anywhere else. */
export class Room {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {Promise<unknown>} */
    this.queue = Promise.resolve();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** When the room's time is up, in unix milliseconds of this device's clock, as far as known. @type {number | undefined} */
    this.endsAt = undefined;
    /** Members whose scanned code was that of somebody else. @type {Set<string>} */
    this.mismatched = new Set();
    /** @type {Connection} */
    this.connection = /** @type {any} */ (undefined);
    /** @type {Machine} */
    this.machine = /** @type {any} */ (undefined);
    /** @type {Wishes} */
    this.wishes = /** @type {any} */ (undefined);
    this.clock = new Clock();
    this.isAway = false;
  }

  /**
   * @param {string} origin
   * @param {Entry} entry
   * @param {Handlers} handlers
   * @param {import("./connection.js").World} [world]
   * @returns {Promise<Room>}
   */
  static enter(origin, entry, handlers, world) {
    const room = new Room(handlers);
    return new Promise((resolve, reject) => {
      /** @param {string} code */
      const fail = (code) => {
        // The first reason counts: closing gives another.
        reject(new EntryError(code));
        room.connection.close();
      };
      room.connection = new Connection(
        origin,
        {
          event: (event) => room.take(event),
          state: (state) => {
            if (state === "live" && !room.machine) room.start(origin, entry, resolve, fail);
            else room.connected(state === "away" || state === "connecting");
            handlers.state(state);
          },
          ended: (end) => (room.machine && room.machine.phase !== "entering" ? room.cutOff(end) : fail(end)),
        },
        world,
      );
    });
  }

  /** @param {string} origin @param {Entry} entry @param {(room: Room) => void} entered @param {(code: string) => void} fail */
  start(origin, { start, pin, cmd, data }, entered, fail) {
    const { limits } = this.connection;
    if (!limits) return;
    const { hostname, port } = new URL(origin);
    const settings = {
      frameBytes: limits.frame_bytes,
      server: { host: hostname, port: Number(port || 443), pin },
    };
    this.machine = new Machine(
      { ...start, settings },
      { command: (id, cmd, data) => this.send(id, cmd, data), event: (event) => this.told(event) },
    );
    this.wishes = new Wishes(this.machine);
    this.connection.request(cmd, data, (answer) => {
      if (answer.cmd === "error") return fail(answer.code);
      if (answer.cmd !== "create-room" && answer.cmd !== "joined") return fail(answer.cmd === "uncertain" ? "session-lost" : "protocol");
      const { roomId, userId, version } = answer;
      if (answer.cmd === "joined") this.handle({ type: "joined", userId, ownerId: answer.ownerId, users: answer.users, version });
      else this.handle({ type: "created", roomId, userId, version });
      this.run(async () => entered(this));
    });
  }

  // ---- what one can do ----

  /**
   * Says something to everyone, or to one member only, perhaps in reply.
   *
   * @param {string} text
   * @param {string} [to] a fingerprint
   * @param {import("./room/wishes.js").Target} [re]
   * @returns {Promise<number>} what "sent" and "not-sent" name it by
   */
  say(text, to, re) {
    return this.run(() => this.wishes.say(text, { to, re }, this.clock.now()));
  }

  /** Takes the office of an owner that the server says is gone. */
  takeOffice() {
    return this.run(() => this.wishes.takeOffice(this.clock.now()));
  }

  /**
   * Makes invite links.
   *
   * @param {import("../sealed/certificate.js").InviteKind} kind
   * @param {{ count?: number, expiresInS?: number }} [options] count is for one-time links
   * @returns {Promise<{ url: string, joinKey: string, id: string, expiry: number }[]>} id is that of the invite's certificate
   */
  async invite(kind, { count = 1, expiresInS } = {}) {
    /** @type {Promise<Link[] | null>} */
    const made = new Promise((resolve, reject) => {
      const wanted = { kind, count, ...(expiresInS !== undefined && { expiresInS }), made: resolve };
      this.run(() => this.wishes.inviteBy(wanted, this.clock.now())).catch(reject);
    });
    const links = await made;
    if (!links) throw new RoomError("no-key");
    return links.map((link) => ({ url: linkToUrl(link), joinKey: link.joinKey, id: link.certificate.id, expiry: link.certificate.expiry }));
  }

  /** Makes one link worthless, by the relay's word. @param {string} joinKey @returns {Promise<boolean>} whether it still worked */
  async revoke(joinKey) {
    return (await this.ask("revoke-key", { key: joinKey })).cmd === "done";
  }

  /** Makes all links worthless for good, by changing the room secret. */
  rekey() {
    return this.run(() => this.wishes.rekey(this.clock.now()));
  }

  /** @param {string} member */
  remove(member) {
    return this.run(() => this.wishes.remove(member, this.clock.now()));
  }

  /** @param {string} member */
  handOverTo(member) {
    return this.run(() => this.wishes.handOverTo(member, this.clock.now()));
  }

  /** @param {string} member @param {boolean} verified */
  setVerified(member, verified) {
    this.wishes.setVerified(member, verified);
  }

  /** Leaves for good. */
  async leave() {
    await this.depart("leave-room");
  }

  /** Closes the room for everyone. */
  async close() {
    this.wishes.checkOwning();
    await this.depart("close-room");
  }

  /** Leaves without waiting for anything: the page is going away. */
  abandon() {
    if (this.machine.phase !== "over") this.connection.request("leave-room", { room_id: this.machine.roomId }, () => {});
    this.machine.end("left");
    this.stop();
  }

  // ---- what one can see ----

  get fingerprint() {
    return this.machine.identity.fingerprint;
  }

  get name() {
    return this.machine.name;
  }

  get roomName() {
    return this.machine.roomName;
  }

  /** The owner's fingerprint. */
  get owner() {
    return this.machine.owner;
  }

  /** Whether one can invite, remove and so on. */
  get isOwner() {
    return this.machine.governs;
  }

  /** Whether one may take the office of an owner that is gone. */
  get mayTakeOffice() {
    return this.machine.office.offered;
  }

  /** Whether the room goes on when its owner leaves; known to its owner. */
  get staysWithoutOwner() {
    return this.machine.office.transfer;
  }

  /** The longest text of a message, in bytes, about. */
  get longestText() {
    return Math.min(Math.floor((this.machine.settings.frameBytes * 3) / 4) - 4_096, MAX_TEXT_BYTES);
  }

  /** The id of the one-time invite by which a member came; empty if unknown. @param {string} fingerprint */
  inviteOf(fingerprint) {
    return [...this.machine.members.spent].find(([, user]) => user === fingerprint)?.[0] ?? "";
  }

  /** A word of the server's host to its users; may be empty. */
  get notice() {
    return this.connection.notice;
  }

  /** The others, in the order of joining. @returns {MemberInfo[]} */
  get members() {
    return [...this.machine.members.accepted.keys()].flatMap((fingerprint) => this.member(fingerprint) ?? []);
  }

  /** @param {string} fingerprint @returns {MemberInfo | undefined} */
  member(fingerprint) {
    const member = this.machine.members.get(fingerprint);
    if (!member) return undefined;
    return { fingerprint, name: shownName(member), verified: member.verified, owner: fingerprint === this.owner };
  }

  // ---- within ----

  /** Somebody is about to say something: looks whether the connection lives. */
  aboutToSpeak() {
    this.connection.use();
  }

  /** Waits for its turn. @template T @param {() => Promise<T>} act @returns {Promise<T>} */
  run(act) {
    const done = this.queue.then(act);
    this.queue = done.catch(() => {}).then(() => this.setTimer());
    return done;
  }

  /** The connection was lost, or all that was missed has been replayed. @param {boolean} away */
  connected(away) {
    if (!this.machine || this.machine.phase === "entering" || away === this.isAway) return;
    this.isAway = away;
    this.handle({ type: away ? "away" : "live" });
  }

  /** @param {Fact} fact */
  handle(fact) {
    this.run(() => this.machine.handle(fact, this.clock.now())).catch((error) => this.failed(error));
  }

  /** A fault of our own: better no room than one in an unknown state. @param {unknown} error */
  failed(error) {
    console.error(error);
    this.machine.end("lost");
  }

  setTimer() {
    clearTimeout(this.timer);
    const wait = this.machine?.nextDeadline;
    if (wait === undefined) return;
    const tick = () => this.run(() => this.machine.tick(this.clock.now())).catch((error) => this.failed(error));
    this.timer = setTimeout(tick, Math.min(wait, LONGEST_WAIT_MS));
  }

  /** @param {number} id @param {string} cmd @param {object} data */
  send(id, cmd, data) {
    this.connection.request(cmd, data, (answer) => {
      this.run(() => this.machine.answer(id, answer, this.clock.now())).catch((error) => this.failed(error));
    });
  }

  /** @param {string} cmd @param {object} data @returns {Promise<Answer>} */
  ask(cmd, data) {
    return new Promise((resolve) => this.connection.request(cmd, { room_id: this.machine.roomId, ...data }, resolve));
  }

  /** @param {RoomEvent} event */
  told(event) {
    if (event.type === "ended") this.stop();
    this.handlers.event(event);
  }

  /** An event of the relay that answers nothing. @param {ServerEvent} event */
  take(event) {
    const { machine } = this;
    if (!machine || ("roomId" in event && machine.roomId !== "" && event.roomId !== machine.roomId)) return;
    switch (event.cmd) {
      case "user-joined":
        return this.handle({ type: "user-joined", user: event.user, version: event.version });
      case "user-left":
        return this.handle({ type: "user-left", userId: event.userId, reason: event.reason, version: event.version });
      case "owner-changed":
        return this.handle({ type: "owner-changed", ownerId: event.ownerId, version: event.version });
      case "members":
        return this.handle({ type: "members", ownerId: event.ownerId, users: event.users, here: event.here, version: event.version });
      case "send-message":
        return this.handle({ type: "message", userId: event.userId, content: event.content, shared: event.shared });
      case "room-closed":
        return this.handle({ type: "closed", reason: event.reason });
      case "gap":
        return this.handle({ type: "gap" });
      default:
        return undefined;
    }
  }

  /** @param {"leave-room" | "close-room"} cmd */
  async depart(cmd) {
    const timeout = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
    await Promise.race([this.ask(cmd, {}), timeout]);
    this.machine.end(cmd === "leave-room" ? "left" : "closed");
  }

  /** The session is over, and the membership with it. @param {import("./connection.js").End} end */
  cutOff(end) {
    const why = end === "restarted" || end === "refused" || end === "removed" ? end : end === "protocol" || end === "version" ? "protocol" : "lost";
    this.run(async () => this.machine.end(why)).catch(() => {});
  }

  stop() {
    clearTimeout(this.timer);
    // What the machine still wants to say in this turn goes out first.
    queueMicrotask(() => this.connection.close());
  }
}
