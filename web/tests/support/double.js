/**
 * A relay in memory with machines around it and a clock of its own. It behaves as the real one, unless a test makes it lie.
 */
import { readFileSync } from "node:fs";

import { fromBase64, randomBytes, toBase64 } from "../../app/sealed/bytes.js";
import { sealCard } from "../../app/sealed/card.js";
import { OwnerChain } from "../../app/sealed/chain.js";
import { Identity } from "../../app/sealed/identity.js";
import { RoomSecret } from "../../app/sealed/secret.js";
import { Machine } from "../../app/client/room/machine.js";

const { members } = JSON.parse(readFileSync(new URL("../../../tests/vectors/keys.json", import.meta.url), "utf8"));

/** Identities that are public, by name: making fresh ones would take most of the tests' time. */
export async function identityOf(name) {
  const keys = members[name];
  const rsaPkcs8 = Uint8Array.from(atob(keys.rsa_pkcs8_pem.replace(/-----[^-]+-----|\s/g, "")), (c) => c.charCodeAt(0));
  const pkcs1 = fromBase64(keys.rsa_public_pkcs1_der);
  return Identity.fromPkcs8({ rsaPkcs8, ed25519Pkcs8: fromBase64(keys.ed25519_pkcs8), pkcs1, key: fromBase64(keys.ed25519_public) });
}

export const NAMES = Object.keys(members);

class Person {
  constructor(relay, identity, name) {
    Object.assign(this, { relay, identity, name, userId: toBase64(randomBytes(24)), events: [], sent: [] });
  }

  start(start) {
    const settings = { resumeWindowMs: 60_000, frameBytes: 1_048_576, server: { host: "localhost", port: 1, pin: null } };
    const sink = {
      command: (id, cmd, data) => this.relay.commands.push({ from: this, id, cmd, data }),
      event: (event) => this.events.push(event),
    };
    this.machine = new Machine({ identity: this.identity, name: this.name, ...start, settings }, sink);
  }

  get listed() {
    return { userId: this.userId, publicKeyPem: this.identity.pem, card: this.card };
  }

  get alarms() {
    return this.events.filter((event) => event.type === "alarm").map((event) => event.alarm);
  }

  get heard() {
    return this.events.filter((event) => event.type === "message").map((event) => event.text);
  }

  /** The relay says something to this person alone. */
  async told(fact) {
    await this.machine.handle(fact, this.relay.now);
    await this.relay.settle();
  }

  async say(text, to) {
    const id = await this.machine.say(text, to?.identity.fingerprint, this.relay.now);
    await this.relay.settle();
    return id;
  }

  async invite(kind = "one-time", options = {}) {
    const made = new Promise((resolve) => {
      this.machine.inviteBy({ kind, count: 1, ...options, made: resolve }, this.relay.now);
    });
    // The command comes out of the machine in a later turn of the event loop.
    let links;
    made.then((found) => (links = found ?? []));
    while (!links) await this.relay.settle();
    return links[0];
  }

  ended() {
    return this.events.find((event) => event.type === "ended")?.ending;
  }
}

export class Relay {
  constructor() {
    this.now = 1_790_000_000_000;
    this.people = [];
    this.commands = [];
    /** What reaches a person: return nothing to swallow it, a list to say more. */
    this.deliver = (_to, fact) => [fact];
    /** What answers a command: return undefined to answer as usual. */
    this.answer = () => undefined;
    this.owner = "";
  }

  async create(identityName, { name = identityName, transfer = false } = {}) {
    const identity = await identityOf(identityName);
    const person = new Person(this, identity, name);
    const secret = RoomSecret.generate(0);
    const chain = new OwnerChain(identity.key);
    person.card = await sealCard(identity, name, undefined, chain.root, secret);
    person.start({ roomName: "tea", roomId: "", chain, secret, transfer });
    this.people.push(person);
    this.owner = person.userId;
    await person.told({ type: "created", roomId: "room", userId: person.userId });
    return person;
  }

  /** Makes somebody who holds a link, without letting them in. */
  async holder(link, identityName, name = identityName) {
    const identity = await identityOf(identityName);
    const person = new Person(this, identity, name);
    person.card = await sealCard(identity, name, link.certificate, link.chain.root, link.secret);
    const secret = new RoomSecret(link.secret.epoch, link.secret.bytes.slice());
    person.start({ roomName: link.roomName, roomId: link.roomId, chain: link.chain, secret, invite: link.certificate, transfer: false });
    return person;
  }

  async admit(person, { ownerId = this.owner } = {}) {
    const before = [...this.people];
    this.people.push(person);
    await person.machine.handle({ type: "joined", userId: person.userId, ownerId, users: before.map(({ listed }) => listed) }, this.now);
    for (const other of before) await this.tell(other, { type: "user-joined", user: person.listed });
    await this.settle();
    return person;
  }

  async join(link, identityName, name) {
    return this.admit(await this.holder(link, identityName, name));
  }

  async tell(person, fact) {
    for (const one of this.deliver(person, fact) ?? []) await person.machine.handle(one, this.now);
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
  async wait(ms) {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(this.now + 1_000, end);
      for (const { machine } of this.people) await machine.tick(this.now);
      await this.settle();
    }
  }

  find(userId) {
    return this.people.find((person) => person.userId === userId);
  }

  async leave(userId, reason) {
    const gone = this.find(userId);
    this.people = this.people.filter((person) => person !== gone);
    const fact = { type: "user-left", userId, reason };
    if (gone && reason === "removed") await this.tell(gone, fact);
    for (const person of this.people) await this.tell(person, fact);
  }

  async carryOut({ from, id, cmd, data }) {
    const answer = this.answer(from, cmd, data) ?? (await this.usual(from, cmd, data));
    await from.machine.answer(id, answer, this.now);
  }

  async usual(from, cmd, data) {
    switch (cmd) {
      case "send-messages": {
        const reached = [];
        const absent = [];
        for (const { to_user_id, content } of data.to) {
          from.sent.push({ to: to_user_id, content, shared: data.shared });
          const to = this.find(to_user_id);
          (to ? reached : absent).push(to_user_id);
          if (to) await this.tell(to, { type: "message", userId: from.userId, content, shared: data.shared });
        }
        return { cmd: "sent", reached, held: [], absent };
      }
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

  async nameOwner(userId) {
    this.owner = userId;
    for (const person of this.people) await this.tell(person, { type: "owner-changed", ownerId: userId });
  }
}
