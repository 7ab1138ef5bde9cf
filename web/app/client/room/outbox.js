/**
 * Messages that go out: one at a time, so that a refused one can be sent again before the next number is used.
 *
 * A message gets its number, view, epoch and recipients when its turn comes, not when it is written. It keeps number and bytes until the relay has
 * taken it for every recipient; if the relay never does, a `void` message takes the number.
 */
import { plainToJson } from "../../sealed/plain.js";
import { sealMessage, signPlain } from "../../sealed/message.js";
import { RoomSecret } from "../../sealed/secret.js";
import { adopt } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("../../sealed/plain.js").Body} Body */

/** How often a refused packet is sent again. */
const MAX_TRIES = 8;
/** The first pause before trying again, in milliseconds; doubles up to the second. */
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
/** What a packet has around its strings, in bytes, and around each recipient. */
const PACKET_BYTES = 512;
const RECIPIENT_BYTES = 48;

/**
 * What is to be said.
 *
 * @typedef {{ type: "text", id: number, text: string }
 *   | { type: "rekey", removed: string[] }
 *   | { type: "succession", handOver: boolean }} Errand
 */

/** Something that waits for its turn; `to` is the only recipient, if private. @typedef {{ errand: Errand, to?: string, at: number }} Queued */

/**
 * @typedef {object} Flight a message under way
 * @property {Errand | { type: "void" }} kind
 * @property {string} [to]
 * @property {number} n
 * @property {number} at
 * @property {import("../../sealed/bytes.js").Bytes} signed
 * @property {number} [epoch] a rekey goes out in the epoch that it ends, even when it is repeated
 * @property {Map<number, string[]>} waiting
 * @property {string[]} again
 * @property {string[]} refused
 * @property {Set<string>} absent user ids
 * @property {Set<string>} held user ids
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
  }

  get deadlines() {
    return this.flight?.retryAt === undefined ? [] : [this.flight.retryAt];
  }

  /** @param {number} id */
  awaits(id) {
    return this.flight?.waiting.has(id) ?? false;
  }

  get isHandingOver() {
    const errands = [this.flight?.kind, ...this.queue.map(({ errand }) => errand)];
    return errands.some((errand) => errand?.type === "succession" && errand.handOver);
  }

  get rekeyIsQueued() {
    return this.queue.some(({ errand }) => errand.type === "rekey");
  }
}

/** Sends what is due: the message under way again, or the next ones. @param {Machine} room @param {number} now */
export async function pump(room, now) {
  const { outbox } = room;
  const { flight } = outbox;
  if (flight?.retryAt !== undefined && flight.retryAt <= now) {
    flight.retryAt = undefined;
    await transmit(room, flight, flight.again.splice(0), now);
  }
  while (!outbox.flight) {
    const queued = outbox.queue.shift();
    if (!queued) return;
    await launch(room, queued, now);
  }
}

/** @param {Machine} room @param {Queued} queued @param {number} now */
async function launch(room, { errand, to, at }, now) {
  const { members, outbox } = room;
  const heir = to === undefined ? undefined : members.get(to);
  const recipients = to === undefined ? [...members.accepted.keys()] : heir ? [to] : [];
  if (recipients.length === 0) {
    if (errand.type === "text") room.event({ type: "not-sent", id: errand.id, reason: to === undefined ? "alone" : "recipient-gone" });
    else if (errand.type === "rekey") await adopt(room, nextSecret(room), now);
    else if (errand.handOver && to !== undefined) room.event({ type: "hand-over-failed", to });
    return;
  }
  const n = 1 + (heir ? heir.told : outbox.said);
  /** @type {Body} */
  let body;
  if (errand.type === "text") {
    body = { type: "text", text: errand.text };
  } else if (errand.type === "rekey") {
    body = { type: "secret", secret: nextSecret(room), removed: errand.removed, chain: room.chain.bytes };
  } else {
    if (!heir) return;
    const chain = await room.chain.handedTo(room.identity, heir.key);
    body = { type: "succession", chain: chain.bytes, transfer: room.office.transfer };
  }
  const epoch = errand.type === "rekey" ? room.epochs.current.epoch : undefined;
  const signed = await sign(room, { n, at, body, ...(to !== undefined && { to }) });
  if (heir) heir.told = n;
  else outbox.said = n;
  outbox.flight = {
    ...{ kind: errand, ...(to !== undefined && { to }), n, at, signed, ...(epoch !== undefined && { epoch }) },
    ...{ waiting: new Map(), again: [], refused: [], absent: new Set(), held: new Set() },
    ...{ tries: 0, pause: undefined, retryAt: undefined },
  };
  await transmit(room, outbox.flight, recipients, now);
  if (body.type === "secret") await adopt(room, body.secret, now);
}

/** @param {Machine} room @param {Omit<import("../../sealed/plain.js").Plain, "view">} plain */
function sign(room, plain) {
  return signPlain(room.identity, room.chain.root, plainToJson({ ...plain, view: room.views.current }));
}

/** @param {Machine} room */
const nextSecret = (room) => RoomSecret.generate(room.epochs.current.epoch + 1);

/** Seals a message to those recipients who are still members and hands it to the relay. @param {Machine} room @param {Flight} flight @param {string[]} recipients @param {number} now */
async function transmit(room, flight, recipients, now) {
  const members = recipients.flatMap((recipient) => room.members.get(recipient) ?? []);
  const secret = room.epochs.get(flight.epoch ?? room.epochs.current.epoch);
  if (secret && members.length > 0) {
    const sealed = await sealMessage(flight.signed, room.chain.root, secret);
    const contents = await Promise.all(members.map(({ recipient }) => sealed.contentFor(recipient)));
    // One packet, or several if the relay's frames are too small for all recipients.
    /** @type {{ to: { to_user_id: string, content: string }[], part: string[] }[]} */
    const packets = [];
    let size = Infinity;
    for (const [i, { userId, fingerprint }] of members.entries()) {
      const bytes = contents[i].length + userId.length + RECIPIENT_BYTES;
      if (size + bytes > room.settings.frameBytes) {
        packets.push({ to: [], part: [] });
        size = PACKET_BYTES + sealed.shared.length;
      }
      size += bytes;
      const packet = packets[packets.length - 1];
      packet.to.push({ to_user_id: userId, content: contents[i] });
      packet.part.push(fingerprint);
    }
    for (const { to, part } of packets) flight.waiting.set(room.command("send-messages", { shared: sealed.shared, to }), part);
  } else {
    flight.refused.push(...members.map(({ fingerprint }) => fingerprint));
  }
  await settle(room, flight, now);
}

/** The relay has answered one packet of the message under way. @param {Machine} room @param {number} id @param {Answer} answer @param {number} now */
export async function packetAnswered(room, id, answer, now) {
  const { flight } = room.outbox;
  if (!flight) return;
  const part = flight.waiting.get(id) ?? [];
  flight.waiting.delete(id);
  if (answer.cmd === "sent") {
    for (const user of answer.absent) flight.absent.add(user);
    for (const user of answer.held) flight.held.add(user);
  } else if (answer.cmd === "uncertain") {
    flight.pause ??= 0;
    flight.again.push(...part);
  } else if (answer.cmd === "error" && answer.retry) {
    flight.pause = Math.max(flight.pause ?? 0, Math.min(PAUSE_MS * 2 ** flight.tries, LONGEST_PAUSE_MS));
    flight.again.push(...part);
  } else if (answer.cmd === "error") {
    flight.refused.push(...part);
  }
  await settle(room, flight, now);
}

/** Goes on once every packet is answered. @param {Machine} room @param {Flight} flight @param {number} now */
async function settle(room, flight, now) {
  if (flight.waiting.size > 0) return;
  if (flight.again.length > 0) {
    const pause = flight.pause ?? PAUSE_MS;
    flight.pause = undefined;
    if (pause > 0) flight.tries += 1;
    if (flight.tries <= MAX_TRIES) {
      flight.retryAt = now + pause;
      return;
    }
    flight.refused.push(...flight.again.splice(0));
  }
  room.outbox.flight = undefined;
  flight.refused = flight.refused.filter((member) => room.members.get(member));
  if (flight.refused.length === 0) delivered(room, flight);
  else await undelivered(room, flight, now);
}

/** @param {Machine} room @param {Flight} flight */
function delivered(room, { kind, to, absent, held }) {
  if (kind.type === "text") {
    const waiting = [...held].flatMap((user) => room.members.byUserId(user)?.fingerprint ?? []);
    room.event({ type: "sent", id: kind.id, held: waiting });
  } else if (kind.type === "succession" && kind.handOver && to !== undefined) {
    const heir = room.members.get(to);
    if (heir && !absent.has(heir.userId)) {
      room.office.handOver = { id: room.command("transfer-owner", { user_id: heir.userId }), to };
    } else {
      room.event({ type: "hand-over-failed", to });
    }
  }
}

/** @param {Machine} room @param {Flight} flight @param {number} now */
async function undelivered(room, flight, now) {
  const { kind, to, n, at, refused } = flight;
  if (kind.type === "text") {
    room.event({ type: "not-sent", id: kind.id, reason: "refused" });
    const signed = await sign(room, { n, at, body: { type: "void" }, ...(to !== undefined && { to }) });
    room.outbox.flight = { ...flight, kind: { type: "void" }, signed, refused: [], tries: 0 };
    await transmit(room, room.outbox.flight, refused, now);
  } else if (kind.type === "rekey") {
    room.event({ type: "rekey-undelivered", members: refused });
  } else if (kind.type === "succession" && kind.handOver && to !== undefined) {
    room.event({ type: "hand-over-failed", to });
  }
}
