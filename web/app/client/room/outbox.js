/**
 * Messages that go out: one at a time, so that the fate of one is known before the next number is used.
 *
 * A message gets its number when its turn comes, not when it is written. Its core never changes; at each sending it takes the next place in the chain
 * and a new extra. If the relay never takes it, a `void` takes the number.
 */
import { counts, KINDS } from "../../sealed/body.js";
import { sealHand, sealPrivateKey } from "../../sealed/hand.js";
import { sealPrivate, sealRoom } from "../../sealed/message.js";
import { writeCore, writePlain } from "../../sealed/plain.js";
import { randomBytes } from "../../sealed/bytes.js";
import { SenderChain, STATE_BYTES, step } from "../../sealed/ratchet.js";
import { saidHash } from "../../sealed/said.js";
import { viewOf } from "../../sealed/view.js";
import { bodyOf } from "./errands.js";
import { conversation } from "./heard.js";
import { rekeySent } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("./errands.js").Errand} Errand */

/** How often a refused packet is sent again. */
const MAX_TRIES = 8;
/** The first pause before trying again, in milliseconds of connected time; doubles up to the second. */
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
/** What a packet has around its strings, in bytes, and around each recipient. */
const PACKET_BYTES = 512;
const RECIPIENT_BYTES = 48;
/** A chain is renewed when it is as old as this, or as a second for each member. */
const CHAIN_MS = 600_000;
const CHAIN_MS_PER_MEMBER = 1_000;
/** The largest generation. */
const LAST_GENERATION = 2 ** 32 - 1;

/** Something that waits for its turn; `to` is the only recipient, if private. @typedef {{ errand: Errand, to?: string, at: number }} Queued */

/** One's own chain, and the members that have it, with the leaf that it was handed to. @typedef {{ epoch: number, chain: SenderChain, since: number, audience: Map<string, number> }} Sender */

/**
 * @typedef {object} Flight a message under way
 * @property {Errand} errand
 * @property {string} [to]
 * @property {number} n
 * @property {number} at
 * @property {import("../../sealed/body.js").Body} body
 * @property {import("../../sealed/bytes.js").Bytes} core
 * @property {string[]} recipients those who were accepted when the core was made
 * @property {Sender} [sender] a rekey goes out in the epoch that it ends, even when it is repeated
 * @property {Map<number, { names: string[], hands: Map<string, number>, rest: boolean }>} waiting
 * @property {string[]} again
 * @property {string[]} refused
 * @property {Set<string>} absent user ids
 * @property {Set<string>} held user ids
 * @property {boolean} arrived whether somebody may have it
 * @property {number} tries
 * @property {number | undefined} pause
 * @property {number | undefined} retryAt
 */

/** What goes out. */
export class Outbox {
  constructor() {
    /** @type {Queued[]} */
    this.queue = [];
    /** @type {Flight | undefined} */
    this.flight = undefined;
    /** The number of the last room message. */
    this.said = 0;
    /** @type {Sender | undefined} */
    this.sender = undefined;
    this.generation = -1;
    /** When something last went to the room. */
    this.spokeAt = 0;
  }

  get deadlines() {
    return this.flight?.retryAt === undefined ? [] : [this.flight.retryAt];
  }

  /** @param {number} id */
  awaits(id) {
    return this.flight?.waiting.has(id) ?? false;
  }

  /** Whether an errand of this type waits or is under way. @param {Errand["type"]} type */
  holds(type) {
    return this.flight?.errand.type === type || this.queue.some(({ errand }) => errand.type === type);
  }

  wipe() {
    this.sender?.chain.wipe();
    this.sender = undefined;
    this.queue = [];
    this.flight = undefined;
  }
}

/** Sends what is due: the message under way again, or the next ones. @param {Machine} room */
export async function pump(room) {
  const { outbox } = room;
  const { flight } = outbox;
  if (flight?.retryAt !== undefined && flight.retryAt <= room.time) {
    flight.retryAt = undefined;
    await transmit(room, flight, flight.again.splice(0));
  }
  while (!outbox.flight && room.maySend) {
    const queued = outbox.queue[0];
    if (!queued || isWaitingForList(room, queued)) return;
    outbox.queue.shift();
    await launch(room, queued);
  }
}

/** Before something is sealed to leaves, they must be new: a leaf that its member has wiped opens nothing. @param {Machine} room @param {Queued} queued */
function isWaitingForList(room, { errand, to }) {
  const { listing, members } = room;
  // An asker's note brought its leaf, or its card is of an epoch that is over.
  const needsLeaves = to === undefined ? needsChain(room, errand.type === "void") : errand.type !== "hand-secret";
  if (!needsLeaves || members.accepted.size === 0 || listing.isFresh(room.time) || listing.failed) return false;
  if (listing.asked === 0) listing.wantNow(room.time);
  return true;
}

/** Whether one's chain is not to be used any more. @param {Machine} room @param {boolean} isVoid age alone renews no chain for a `void` */
function needsChain({ outbox: { sender }, epochs, members, time }, isVoid) {
  if (!sender || sender.epoch !== epochs.current.epoch || sender.chain.isUsedUp) return true;
  if ([...sender.audience.keys()].some((member) => !members.get(member))) return true;
  const age = Math.max(CHAIN_MS, CHAIN_MS_PER_MEMBER * members.accepted.size);
  return !isVoid && time - sender.since >= age;
}

/** One's chain for the next room message: the present one, or a fresh one that nobody has. @param {Machine} room @param {boolean} isVoid */
function senderFor(room, isVoid) {
  const { outbox, epochs, time } = room;
  if (needsChain(room, isVoid)) {
    if (outbox.generation >= LAST_GENERATION) throw new RangeError("no generation is left");
    outbox.sender?.chain.wipe();
    outbox.generation += 1;
    outbox.sender = { epoch: epochs.current.epoch, chain: new SenderChain(outbox.generation), since: time, audience: new Map() };
  }
  return /** @type {Sender} */ (outbox.sender);
}

/** @param {Machine} room @param {Queued} queued */
async function launch(room, { errand, to, at }) {
  const { members, outbox } = room;
  const partner = to === undefined ? undefined : members.get(to);
  const recipients = to === undefined ? [...members.accepted.keys()] : partner ? [to] : [];
  if (recipients.length === 0) {
    if ("id" in errand) room.event({ type: "not-sent", id: errand.id, reason: to === undefined ? "alone" : "recipient-gone" });
    if (errand.type === "rekey") await rekeySent(room, errand);
    if (errand.type === "hand-over" && to !== undefined) room.event({ type: "hand-over-failed", to });
    return;
  }
  const body = await bodyOf(room, errand, partner);
  if (!body) return;
  const last = partner ? partner.told : outbox.said;
  const n = counts(body) ? last + 1 : last;
  const core = writeCore({ n, at, body, ...(to !== undefined && { to }), ...room.settingsOf(errand, body, to) });
  if (partner) partner.told = n;
  else outbox.said = n;
  /** @type {Flight} */
  const flight = {
    ...{ errand, ...(to !== undefined && { to }), n, at, body, core, recipients },
    ...{ waiting: new Map(), again: [], refused: [], absent: new Set(), held: new Set(), arrived: false, tries: 0, pause: undefined, retryAt: undefined },
  };
  outbox.flight = flight;
  if (counts(body)) {
    await remember(room, core, n, to);
    room.spoken(errand, n, to);
  }
  if (!partner && counts(body)) {
    if (KINDS[body.type]?.confirmed) room.tellSilent(room.confirmations.said(n, recipients, room.time));
  }
  await transmit(room, flight, recipients);
  if (errand.type === "rekey") await rekeySent(room, errand);
}

/** Keeps the hash of what one said. @param {Machine} room @param {import("../../sealed/bytes.js").Bytes} core @param {number} n @param {string | undefined} to */
async function remember(room, core, n, to) {
  const self = room.identity.fingerprint;
  const said = await saidHash(self, core);
  if (to === undefined) room.heard.add(self, n, said);
  else room.heardPrivately.add(conversation(self, to), n, said);
}

/** Seals a message to those recipients who are still members and hands it to the relay. @param {Machine} room @param {Flight} flight @param {string[]} names */
async function transmit(room, flight, names) {
  const recipients = names.flatMap((name) => room.members.get(name) ?? []);
  if (recipients.length > 0) {
    if (flight.to !== undefined) await transmitPrivate(room, flight, recipients[0]);
    else await transmitRoom(room, flight, recipients, flight.tries > 0);
  }
  await settle(room, flight);
}

/** @param {Machine} room @param {Flight} flight @param {Member} recipient */
async function transmitPrivate(room, flight, recipient) {
  const { identity, epochs, chain } = room;
  const wanted = flight.errand.type === "hand-secret" ? flight.errand.epoch : Math.min(recipient.epoch, epochs.current.epoch);
  const keys = epochs.keys.get(wanted) ?? epochs.present;
  const state = randomBytes(STATE_BYTES);
  const leaf = { fingerprint: recipient.fingerprint, ...recipient.leaf };
  const content = await sealPrivateKey(identity.fingerprint, leaf, { root: chain.root, keys, state });
  const { keys: messageKeys } = await step(state);
  state.fill(0);
  const plain = writePlain(flight.core, await extraOf(room, flight), flight.errand.type === "piece" ? flight.errand.bytes : undefined);
  const where = { root: chain.root, epoch: keys.epoch, to: recipient.fingerprint, keys: messageKeys };
  const shared = await sealPrivate(identity, plain, where);
  send(room, flight, { shared, to: [{ to_user_id: recipient.userId, content }] }, { names: [recipient.fingerprint], hands: new Map(), rest: false });
}

/** @param {Machine} room @param {Flight} flight @param {Member[]} recipients @param {boolean} again */
async function transmitRoom(room, flight, recipients, again) {
  const { identity, epochs, chain, settings } = room;
  const sender = flight.sender ?? senderFor(room, flight.body.type === "void");
  if (flight.errand.type === "rekey") flight.sender = sender;
  const keys = epochs.keys.get(sender.epoch) ?? epochs.present;
  const ticket = await sender.chain.take();
  const place = { generation: sender.chain.generation, index: ticket.index };
  const plain = writePlain(flight.core, await extraOf(room, flight), flight.errand.type === "piece" ? flight.errand.bytes : undefined);
  const shared = await sealRoom(identity, plain, { root: chain.root, epoch: sender.epoch, ...place, keys: ticket.keys });
  const needy = recipients.filter(({ fingerprint }) => !sender.audience.has(fingerprint));
  const hands = new Map();
  await Promise.all(
    needy.map(async ({ fingerprint, leaf, toldFrom }) => {
      const hand = { root: chain.root, keys, place, state: ticket.state, said: toldFrom };
      // A member whose leaf is no key gets no hand, and says so by a note.
      const content = await sealHand(identity, { fingerprint, ...leaf }, hand).catch(() => undefined);
      if (content !== undefined) hands.set(fingerprint, content);
    }),
  );
  ticket.state.fill(0);
  const entries = recipients.map(({ userId, fingerprint, leaf }) => ({ userId, fingerprint, leaf, content: hands.get(fingerprint) }));
  const named = again ? entries : entries.filter(({ content }) => content !== undefined);
  const packets = splitUp(again || named.length > 0 ? named : [], shared.length, settings.frameBytes);
  // One packet leaves the others to the relay; several, or a repetition, name everybody.
  const rest = !again && packets.length <= 1;
  const all = rest ? [named] : packets.length > 1 && !again ? splitUp(entries, shared.length, settings.frameBytes) : packets;
  const quiet = !counts(flight.body) ? { keep: false } : {};
  for (const part of all) {
    const to = part.map(({ userId, content }) => ({ to_user_id: userId, ...(content !== undefined && { content }) }));
    const given = part.filter(({ content }) => content !== undefined);
    const names = rest ? recipients.map(({ fingerprint }) => fingerprint) : part.map(({ fingerprint }) => fingerprint);
    const waiting = { names, hands: new Map(given.map(({ fingerprint, leaf }) => [fingerprint, leaf.generation])), rest };
    send(room, flight, { shared, to, ...(rest && { rest: room.version }), ...quiet }, waiting);
  }
  room.outbox.spokeAt = room.time;
  room.confirmDue = undefined;
}

/** @template {{ userId: string, content: string | undefined }} E @param {E[]} entries @param {number} shared @param {number} frameBytes @returns {E[][]} */
function splitUp(entries, shared, frameBytes) {
  /** @type {E[][]} */
  const packets = [];
  let size = Infinity;
  for (const entry of entries) {
    const bytes = (entry.content?.length ?? 0) + entry.userId.length + RECIPIENT_BYTES;
    if (size + bytes > frameBytes) {
      packets.push([]);
      size = PACKET_BYTES + shared;
    }
    size += bytes;
    packets[packets.length - 1].push(entry);
  }
  return packets;
}

/** What goes beside the core: the view, which in a rekey is the one after it, and what one has heard. @param {Machine} room @param {Flight} flight */
async function extraOf(room, { errand }) {
  const prepared = errand.type === "rekey" ? errand.prepared : undefined;
  const view = prepared ? await viewOf(room.owner, await prepared.secret.keys(), prepared.members) : room.views.current;
  return { view, after: room.heard.after(room.identity.fingerprint) };
}

/** @param {Machine} room @param {Flight} flight @param {object} data @param {{ names: string[], hands: Map<string, number>, rest: boolean }} waiting */
function send(room, flight, data, waiting) {
  flight.waiting.set(room.command("send-messages", data), waiting);
}

/** The relay has answered one packet of the message under way. @param {Machine} room @param {number} id @param {Answer} answer */
export async function packetAnswered(room, id, answer) {
  const { flight, sender } = room.outbox;
  const packet = flight?.waiting.get(id);
  if (!flight || !packet) return;
  flight.waiting.delete(id);
  if (answer.cmd === "sent") {
    for (const user of answer.absent) flight.absent.add(user);
    for (const user of answer.held) flight.held.add(user);
    if (packet.names.some((name) => !answer.absent.includes(room.members.get(name)?.userId ?? ""))) flight.arrived = true;
    const reached = new Set([...answer.reached, ...answer.held]);
    for (const [member, leaf] of packet.hands) {
      if (reached.has(room.members.get(member)?.userId ?? "")) (flight.sender ?? sender)?.audience.set(member, leaf);
    }
  } else if (answer.cmd === "uncertain") {
    flight.arrived = true;
    flight.pause ??= 0;
    flight.again.push(...packet.names);
  } else if (answer.cmd === "error" && answer.retry) {
    flight.pause = Math.max(flight.pause ?? 0, Math.min(PAUSE_MS * 2 ** flight.tries, LONGEST_PAUSE_MS));
    flight.again.push(...packet.names);
  } else if (answer.cmd === "error") {
    flight.refused.push(...packet.names);
  }
  await settle(room, flight);
}

/** Goes on once every packet is answered. @param {Machine} room @param {Flight} flight */
async function settle(room, flight) {
  if (flight.waiting.size > 0) return;
  if (flight.again.length > 0) {
    const pause = flight.pause ?? PAUSE_MS;
    flight.pause = undefined;
    flight.tries += 1;
    if (flight.tries <= MAX_TRIES && counts(flight.body)) {
      flight.retryAt = room.time + pause;
      return;
    }
    flight.refused.push(...flight.again.splice(0));
  }
  room.outbox.flight = undefined;
  flight.refused = flight.refused.filter((member) => room.members.get(member));
  if (flight.refused.length === 0) delivered(room, flight);
  else await undelivered(room, flight);
}

/** @param {Machine} room @param {Flight} flight */
function delivered(room, { errand, to, n, absent, held }) {
  if (errand.type === "rekey") room.epochs.answered(room.time);
  if ("id" in errand) {
    const waiting = [...held].flatMap((user) => room.members.byUserId(user)?.fingerprint ?? []);
    room.event({ type: "sent", id: errand.id, n, held: waiting });
  } else if (errand.type === "hand-over" && to !== undefined) {
    const heir = room.members.get(to);
    if (heir && !absent.has(heir.userId) && !held.has(heir.userId)) {
      room.office.handOver = { id: room.command("transfer-owner", { user_id: heir.userId }), to, until: undefined };
    } else {
      room.event({ type: "hand-over-failed", to });
    }
  }
}

/** @param {Machine} room @param {Flight} flight */
async function undelivered(room, flight) {
  const { errand, to, n, at, refused, body } = flight;
  if (errand.type === "rekey") return room.event({ type: "rekey-undelivered", members: refused });
  if (errand.type === "hand-over" && to !== undefined) room.event({ type: "hand-over-failed", to });
  if ("id" in errand) room.event({ type: "not-sent", id: errand.id, reason: "refused" });
  // Who has the message would take another under its number for a lie.
  if (errand.type === "void" || !counts(body) || flight.arrived) return;
  const core = writeCore({ n, at, body: { type: "void" }, ...(to !== undefined && { to }) });
  const emptied = { ...flight, errand: { type: /** @type {const} */ ("void") }, body: { type: /** @type {const} */ ("void") }, core };
  room.outbox.flight = { ...emptied, refused: [], tries: 1 };
  await remember(room, core, n, to);
  await transmit(room, room.outbox.flight, refused);
}
