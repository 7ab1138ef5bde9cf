/**
 * The relay in memory of the scripts in tests/vectors/room, with machines around it. User ids are the names that the scripts use. What comes about is
 * worked off in the order in which it came about.
 */
import { Leaves } from "../../app/client/room/epochs.js";
import { Machine } from "../../app/client/room/machine.js";
import { Wishes } from "../../app/client/room/wishes.js";
import { sealCard } from "../../app/sealed/card.js";
import { OwnerChain } from "../../app/sealed/chain.js";
import { Identity } from "../../app/sealed/identity.js";
import { linkToUrl, parseLink } from "../../app/sealed/link.js";
import { RoomSecret } from "../../app/sealed/secret.js";
import { commandLine, eventLine } from "./script-lines.js";

const START = 1_790_000_000_000;
const WHAT = { message: "messages", "user-joined": "joins", "user-left": "leaves", "owner-changed": "owner" };

export class World {
  constructor(transfer, frameBytes) {
    Object.assign(this, { transfer, frameBytes, mono: 0, owner: "alice", order: ["alice"], version: 1, work: [], nextKey: 0 });
    Object.assign(this, { keys: new Map(), rules: [], pile: [], swallowed: new Set(), refusals: [], loseAnswers: 0, shown: new Map() });
    this.clients = new Map();
    this.links = new Map();
  }

  static async create(transfer, frameBytes) {
    const world = new World(transfer, frameBytes);
    const identity = await Identity.generate();
    const secret = RoomSecret.generate(0);
    const chain = new OwnerChain(identity.key);
    await world.add("alice", "alice", identity, { roomName: "tea", roomId: "", chain, secret, transfer });
    await world.fact("alice", { type: "created", roomId: "the-room", userId: "alice", version: 1 });
    world.clear();
    return world;
  }

  get now() {
    return { mono: this.mono, wall: START + this.mono };
  }

  /** A client that nobody was told of. */
  async add(id, name, identity, start) {
    const leaves = new Leaves();
    const leaf = await leaves.next(0);
    leaves.inCard = 0;
    const card = await sealCard(identity, { name, leaf, ...(start.invite && { invite: start.invite }) }, start.chain.root, start.secret);
    const client = { cards: [card], lines: [], commands: [], joined: this.version, away: false, held: [], identity };
    this.clients.set(id, client);
    const settings = { frameBytes: this.frameBytes, server: { host: "localhost", port: 5656, pin: null } };
    client.machine = new Machine(
      { identity, name, leaves, keys: await start.secret.keys(), ...start, settings },
      {
        command: (command, cmd, data) => this.carryOut(id, command, cmd, data),
        event: (event) => client.lines.push(eventLine(this, event)),
      },
    );
    client.wish = new Wishes(client.machine);
  }

  async link(owner, kind, expiresInS) {
    const { wish } = this.client(owner);
    const made = new Promise((resolve) => {
      this.making = wish.inviteBy({ kind, count: 1, ...(expiresInS !== undefined && { expiresInS }), made: resolve }, this.now);
    });
    await this.making;
    await this.workOff();
    return linkToUrl((await made)[0]);
  }

  /** Joins by the relay's rules, or with its help. */
  async join(id, name, url, stolen) {
    const { chain, secret, certificate: invite, roomId, roomName, joinKey } = await parseLink(url);
    if (!stolen && !this.keys.has(joinKey)) throw new Error(`the relay refused ${id}`);
    if (this.keys.get(joinKey) === "one-time") this.keys.delete(joinKey);
    const users = this.order.map((other) => this.listed(other));
    this.version += 1;
    const { version } = this;
    await this.add(id, name, await Identity.generate(), { roomName, roomId, chain, secret, invite, transfer: false });
    const user = { userId: id, card: this.client(id).cards[0] };
    this.queueAll(id, { type: "user-joined", user, version });
    this.order.push(id);
    this.queue(id, id, { type: "joined", userId: id, ownerId: this.owner, users, version });
    await this.workOff();
  }

  listed(id) {
    const { cards } = this.client(id);
    return { userId: id, card: cards[this.shown.get(id) ?? cards.length - 1] };
  }

  client(id) {
    const client = this.clients.get(id);
    if (!client) throw new Error(`no ${id}`);
    return client;
  }

  print(id) {
    return this.client(id).identity.fingerprint;
  }

  idOf(fingerprint) {
    return [...this.clients].find(([, { identity }]) => identity.fingerprint === fingerprint)?.[0] ?? fingerprint;
  }

  /** Gives a client a fact, past the interference. */
  async fact(id, fact) {
    this.work.push({ id, fact });
    await this.workOff();
  }

  queue(id, from, fact) {
    const what = WHAT[fact.type];
    const fits = (rule) =>
      what !== undefined &&
      (rule.what === what || rule.what === "all") &&
      (rule.from === undefined || rule.from === from) &&
      (rule.to === undefined || rule.to === id);
    const rule = this.rules.find(fits);
    if (rule) {
      if (rule.keep && fact.type === "message") this.pile.push({ id, fact });
      return;
    }
    const client = this.client(id);
    if (client.away) client.held.push(fact);
    else this.work.push({ id, fact });
  }

  queueAll(from, fact) {
    for (const other of this.order) this.queue(other, from, fact);
  }

  async workOff() {
    for (;;) {
      const work = this.work.shift();
      if (!work) return;
      const { machine } = this.client(work.id);
      if (work.fact) await machine.handle(work.fact, this.now);
      else await machine.answer(work.command, work.answer, this.now);
    }
  }

  carryOut(id, command, cmd, data) {
    this.client(id).commands.push(commandLine(cmd, data));
    if (this.swallowed.has(cmd)) return;
    this.work.push({ id, command, answer: this.answerTo(id, cmd, data) });
  }

  answerTo(id, cmd, data) {
    const denied = { cmd: "error", code: "denied", retry: false };
    if (!this.order.includes(id)) return denied;
    switch (cmd) {
      case "send-messages":
        return this.send(id, data);
      case "set-card":
        this.client(id).cards.push(data.card);
        return { cmd: "done" };
      case "list-members":
        return { cmd, ownerId: this.owner, users: this.order.map((member) => this.listed(member)), version: this.version };
      case "leave-room":
        this.leave(id, "left");
        return { cmd: "done" };
    }
    if (this.owner !== id) return denied;
    switch (cmd) {
      case "room-key-onetime":
      case "room-key-forever": {
        const key = `key-${++this.nextKey}`;
        this.keys.set(key, cmd === "room-key-onetime" ? "one-time" : "forever");
        return { cmd: "room-key", keys: [key] };
      }
      case "reset-room-keys":
        this.keys.clear();
        break;
      case "remove-member":
        this.leave(data.user_id, "removed");
        break;
      case "transfer-owner":
        this.nameOwner(data.user_id);
        break;
      case "close-room":
        this.queueAll("", { type: "closed", reason: "closed" });
        break;
      default:
        throw new Error(cmd);
    }
    return { cmd: "done" };
  }

  send(id, { to, shared, rest, keep = true }) {
    const refusal = this.refusals.shift();
    if (refusal) return refusal;
    const answer = { cmd: "sent", reached: [], held: [], absent: [], rest: 0 };
    const named = to.map(({ to_user_id }) => to_user_id);
    const isRest = (member) => member !== id && !named.includes(member) && this.client(member).joined <= rest;
    const others = rest === undefined ? [] : this.order.filter(isRest);
    for (const [member, content] of [...to.map((part) => [part.to_user_id, part.content]), ...others.map((member) => [member])]) {
      const away = this.order.includes(member) && this.client(member).away;
      if (!this.order.includes(member) || (away && !keep)) {
        answer.absent.push(member);
        continue;
      }
      this.queue(member, id, { type: "message", userId: id, content: content ?? "", shared });
      if (away) answer.held.push(member);
      else if (named.includes(member)) answer.reached.push(member);
      else answer.rest += 1;
    }
    if (this.loseAnswers === 0) return answer;
    this.loseAnswers -= 1;
    return { cmd: "uncertain" };
  }

  leave(id, reason) {
    if (!this.order.includes(id)) return;
    this.version += 1;
    const fact = { type: "user-left", userId: id, reason, version: this.version };
    if (reason !== "left") this.queue(id, id, fact);
    this.order = this.order.filter((member) => member !== id);
    this.queueAll(id, fact);
    if (this.owner !== id) return;
    if (this.order.length > 0 && this.transfer) this.nameOwner(this.order[0]);
    else this.queueAll("", { type: "closed", reason: "owner-left" });
  }

  nameOwner(id) {
    this.owner = id;
    this.queueAll(id, { type: "owner-changed", ownerId: id, version: this.version });
  }

  /** Lets time pass, each deadline at its moment. */
  async pass(ms) {
    const end = this.mono + ms;
    let stuck = 0;
    for (;;) {
      const due = this.order.flatMap((id) => {
        const { machine, away } = this.client(id);
        const wait = machine.nextDeadline;
        return away || wait === undefined ? [] : [machine.mono + wait];
      });
      const next = Math.min(...due);
      stuck = next <= this.mono ? stuck + 1 : 0;
      if (stuck > 100) throw new Error("a deadline that never passes");
      this.mono = next <= end ? Math.max(next, this.mono) : end;
      for (const id of [...this.order]) {
        await this.client(id).machine.tick(this.now);
        await this.workOff();
      }
      if (next > end) return;
    }
  }

  clear() {
    for (const client of this.clients.values()) Object.assign(client, { lines: [], commands: [] });
  }

  /** The lines of a client since the last call. */
  lines(id) {
    return this.client(id).lines.splice(0);
  }

  alarms(id) {
    return this.lines(id).filter((line) => line.startsWith("alarm "));
  }
}
