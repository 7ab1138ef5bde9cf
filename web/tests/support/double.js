/**
 * A relay in memory with machines around it and a clock of its own. It behaves as the real one, unless a test makes it lie.
 */
import { readFileSync } from "node:fs";

import { Leaves } from "../../app/client/room/epochs.js";
import { Machine } from "../../app/client/room/machine.js";
import { Wishes } from "../../app/client/room/wishes.js";
import { fromBase64, randomBytes, toBase64 } from "../../app/sealed/bytes.js";
import { sealCard } from "../../app/sealed/card.js";
import { OwnerChain } from "../../app/sealed/chain.js";
import { Identity } from "../../app/sealed/identity.js";
import { RoomSecret } from "../../app/sealed/secret.js";

const { members } = JSON.parse(readFileSync(new URL("../../../tests/vectors/keys.json", import.meta.url), "utf8"));

/** Identities that are public, by name; any other name gets a fresh one. */
export async function identityOf(name) {
  const keys = members[name];
  if (!keys) return Identity.generate();
  return Identity.fromPkcs8(fromBase64(keys.ed25519_pkcs8), fromBase64(keys.ed25519_public));
}

export const NAMES = Object.keys(members);

/** Somebody with a machine. */
export class Person {
  constructor(relay, identity, name) {
    Object.assign(this, { relay, identity, name, userId: toBase64(randomBytes(24)), events: [], sent: [], commands: [] });
    this.leaves = new Leaves();
    this.skew = 0;
    this.away = false;
    this.missed = [];
  }

  start(start) {
    const settings = { frameBytes: 1_048_576, server: { host: "localhost", port: 1, pin: null }, ...this.relay.settings };
    const sink = {
      command: (id, cmd, data) => {
        this.commands.push({ cmd, data });
        this.relay.commands.push({ from: this, id, cmd, data });
      },
      event: (event) => this.events.push(event),
    };
    const leaves = this.leaves;
    this.machine = new Machine({ identity: this.identity, name: this.name, leaves, random: () => 0.5, ...start, settings }, sink);
    this.wish = new Wishes(this.machine);
  }

  get now() {
    return { mono: this.relay.now, wall: this.relay.now + this.skew };
  }

  get fingerprint() {
    return this.identity.fingerprint;
  }

  get listed() {
    return { userId: this.userId, card: this.card };
  }

  get alarms() {
    return this.events.filter((event) => event.type === "alarm").map((event) => event.alarm);
  }

  get heard() {
    return this.events.filter((event) => event.type === "message").map((event) => event.text);
  }

  all(type) {
    return this.events.filter((event) => event.type === type);
  }

  /** The relay says something to this person alone. */
  async told(fact) {
    await this.machine.handle(fact, this.now);
    await this.relay.settle();
  }

  async say(text, to, re) {
    const id = await this.wish.say(text, { to: to?.fingerprint, re }, this.now);
    await this.relay.settle();
    return id;
  }

  /** Wishes for something and lets it happen. */
  async wishes(wish, ...args) {
    const result = await this.wish[wish](...args, this.now);
    await this.relay.settle();
    return result;
  }

  async invite(kind = "one-time", options = {}) {
    let links;
    await this.wish.inviteBy({ kind, count: 1, ...options, made: (found) => (links = found ?? []) }, this.now);
    while (!links) await this.relay.settle();
    return links[0];
  }

  /** The machine sleeps: its connection is lost, the relay keeps what comes for it. */
  async sleep() {
    this.away = true;
    await this.machine.handle({ type: "away" }, this.now);
  }

  /** It wakes up; with `gap`, the messages that it missed are lost. */
  async wake({ gap = false } = {}) {
    const missed = this.missed.splice(0);
    const lost = gap && missed.some((fact) => fact.type === "message");
    for (const fact of missed) if (!gap || fact.type !== "message") await this.machine.handle(fact, this.now);
    if (lost) await this.machine.handle({ type: "gap" }, this.now);
    this.away = false;
    await this.machine.handle({ type: "live" }, this.now);
    await this.relay.settle();
  }

  ended() {
    return this.events.find((event) => event.type === "ended")?.ending;
  }
}

export class Relay {
  constructor(settings = {}) {
    this.settings = settings;
    this.now = 1_790_000_000_000;
    this.people = [];
    this.commands = [];
    /** What reaches a person: return nothing to swallow it, a list to say more. */
    this.deliver = (_to, fact) => [fact];
    /** What answers a command: return undefined to answer as usual, null for no answer at all. */
    this.answer = () => undefined;
    this.owner = "";
    this.version = 1;
  }

  async create(identityName, { name = identityName, transfer = false } = {}) {
    const identity = await identityOf(identityName);
    const person = new Person(this, identity, name);
    const secret = RoomSecret.generate(0);
    const chain = new OwnerChain(identity.key);
    person.card = await sealCard(identity, { name, leaf: await person.leaves.next(0) }, chain.root, secret);
    person.leaves.inCard = 0;
    person.start({ roomName: "tea", roomId: "", chain, secret, keys: await secret.keys(), transfer });
    person.version = 1;
    this.people.push(person);
    this.owner = person.userId;
    await person.told({ type: "created", roomId: "room", userId: person.userId, version: 1 });
    return person;
  }

  /** Makes somebody who holds a link, without letting them in. */
  async holder(link, identityName, name = identityName) {
    const identity = await identityOf(identityName);
    const person = new Person(this, identity, name);
    const secret = new RoomSecret(link.secret.epoch, link.secret.bytes.slice());
    const { chain, certificate: invite, roomId, roomName } = link;
    person.card = await sealCard(identity, { name, leaf: await person.leaves.next(0), invite }, chain.root, secret);
    person.leaves.inCard = 0;
    person.start({ roomName, roomId, chain, secret, keys: await secret.keys(), invite, transfer: false });
    return person;
  }

  async admit(person, { ownerId = this.owner } = {}) {
    const before = [...this.people];
    this.people.push(person);
    const version = ++this.version;
    person.version = version;
    const users = before.map(({ listed }) => listed);
    await person.machine.handle({ type: "joined", userId: person.userId, ownerId, users, version }, person.now);
    for (const other of before) await this.tell(other, { type: "user-joined", user: person.listed, version });
    await this.settle();
    return person;
  }

  async join(link, identityName, name) {
    return this.admit(await this.holder(link, identityName, name));
  }

  async tell(person, fact) {
    for (const one of this.deliver(person, fact) ?? []) {
      if (person.away) person.missed.push(one);
      else await person.machine.handle(one, person.now);
    }
  }

  /** Carries out commands until there are none. */
  async settle() {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const command = this.commands.shift();
      if (!command) return;
      await this.carryOut(command);
    }
  }

  /** Lets time pass for all, in steps. */
  async wait(ms, step = 1_000) {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(this.now + step, end);
      for (const person of this.people) if (!person.away) await person.machine.tick(person.now);
      await this.settle();
    }
  }

  find(userId) {
    return this.people.find((person) => person.userId === userId);
  }

  async leave(userId, reason) {
    const gone = this.find(userId);
    this.people = this.people.filter((person) => person !== gone);
    const fact = { type: "user-left", userId, reason, version: ++this.version };
    if (gone && reason !== "left") await this.tell(gone, fact);
    for (const person of this.people) await this.tell(person, fact);
  }

  async carryOut({ from, id, cmd, data }) {
    if (!this.people.includes(from)) return;
    const changed = this.answer(from, cmd, data);
    const answer = changed === undefined ? await this.usual(from, cmd, data) : changed;
    if (answer) await from.machine.answer(id, answer, from.now);
  }

  async usual(from, cmd, data) {
    switch (cmd) {
      case "send-messages":
        return this.send(from, data);
      case "room-key-onetime":
      case "room-key-forever":
        return { cmd: "room-key", keys: Array.from({ length: data.count ?? 1 }, () => toBase64(randomBytes(24))) };
      case "set-card":
        from.card = data.card;
        break;
      case "list-members":
        return { cmd: "list-members", ownerId: this.owner, users: this.people.filter((p) => p !== from).map((p) => p.listed) };
      case "remove-member":
        await this.leave(data.user_id, "removed");
        break;
      case "transfer-owner":
        await this.nameOwner(data.user_id);
        break;
      case "leave-room":
        await this.leave(from.userId, "left");
        break;
    }
    return { cmd: "done" };
  }

  async send(from, { shared, to, rest, keep = true }) {
    const answer = { cmd: "sent", reached: [], held: [], absent: [], rest: 0 };
    const named = new Map(to.map(({ to_user_id, content }) => [to_user_id, content ?? ""]));
    const others = rest === undefined ? [] : this.people.filter((p) => p !== from && p.version <= rest && !named.has(p.userId));
    from.sent.push({ shared, to, rest, keep });
    for (const [userId, content] of [...named, ...others.map((p) => [p.userId, ""])]) {
      const person = this.find(userId);
      if (!person || (person.away && !keep)) {
        if (named.has(userId)) answer.absent.push(userId);
        continue;
      }
      if (person.away) answer.held.push(userId);
      else if (named.has(userId)) answer.reached.push(userId);
      else answer.rest += 1;
      await this.tell(person, { type: "message", userId: from.userId, content, shared });
    }
    return answer;
  }

  async nameOwner(userId) {
    this.owner = userId;
    for (const person of this.people) await this.tell(person, { type: "owner-changed", ownerId: userId, version: this.version });
  }
}
