/**
 * Epochs: removing members, changing the room secret, and following the owner's change.
 */
import { equal } from "../../sealed/bytes.js";
import { sealCard } from "../../sealed/card.js";
import { OwnerChain } from "../../sealed/chain.js";
import { SealedError } from "../../sealed/error.js";
import { shownName, whoIs } from "./members.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../sealed/secret.js").RoomSecret} RoomSecret */

/** How long a rekey waits for the relay's answers, in milliseconds. */
const ANSWERS_MS = 10_000;
/** How much longer than the resume window an old secret is kept, in milliseconds. */
const KEEP_OLD_MS = 30_000;
/** The pause before a refused card is set again, in milliseconds. */
const CARD_PAUSE_MS = 1_000;

/** The present room secret, and old ones for as long as messages under them may still come. */
export class Epochs {
  /** @param {RoomSecret} current */
  constructor(current) {
    this.current = current;
    /** @type {{ secret: RoomSecret, until: number }[]} */
    this.old = [];
  }

  /** @param {number} epoch */
  get(epoch) {
    if (epoch === this.current.epoch) return this.current;
    return this.old.find(({ secret }) => secret.epoch === epoch)?.secret;
  }

  /** @param {RoomSecret} next @param {number} keepUntil */
  advance(next, keepUntil) {
    this.old.push({ secret: this.current, until: keepUntil });
    this.current = next;
  }

  /** @param {number} now */
  expire(now) {
    for (const { secret, until } of this.old) if (until <= now) secret.wipe();
    this.old = this.old.filter(({ until }) => until > now);
  }

  wipe() {
    this.expire(Infinity);
    this.current.wipe();
  }

  get deadlines() {
    return this.old.map(({ until }) => until);
  }
}

/**
 * Where an epoch that a header names stands. The header is anybody's word. The next one's secret may be on its way; what lies beyond cannot be, and is
 * refused with an alarm.
 *
 * @typedef {"past" | "present" | "next" | { beyond: import("./alarms.js").AlarmKind }} Place
 */

/** The owner makes the epochs, so that for it there is none after the present one. @param {Machine} room @param {number} epoch @returns {Place} */
export function placeOf(room, epoch) {
  const current = room.epochs.current.epoch;
  if (epoch < current) return "past";
  if (epoch === current) return "present";
  if (room.governs) return { beyond: "secret-never-issued" };
  return epoch === current + 1 ? "next" : { beyond: "secret-too-new" };
}

/** Tells the user of somebody who claims an epoch that cannot be, once. @param {Machine} room @param {import("./alarms.js").Who} who @param {import("./alarms.js").AlarmKind} kind */
export function refuseEpoch(room, who, kind) {
  if (room.held.tellOf(who.userId)) room.alarm({ kind, who });
}

/**
 * An owner's rekey between its commands and its `secret` message.
 *
 * @typedef {object} Rekey
 * @property {string[]} removed
 * @property {Map<number, { cmd: "remove-member" | "reset-room-keys", data: { user_id?: string } }>} waiting
 * @property {number} deadline
 */

/** Starts a rekey, or adds a removal to the one that is being prepared. @param {Machine} room @param {Member | undefined} remove @param {number} now */
export function beginRekey(room, remove, now) {
  const { office } = room;
  /** @type {Rekey} */
  const rekey = (office.rekey ??= { removed: [], waiting: new Map(), deadline: 0 });
  rekey.deadline = now + ANSWERS_MS;
  if (remove) {
    rekey.removed.push(remove.fingerprint);
    const data = { user_id: remove.userId };
    rekey.waiting.set(room.command("remove-member", data), { cmd: "remove-member", data });
  }
  // Again even if it is under way: a key could have been used between the two.
  rekey.waiting.set(room.command("reset-room-keys", {}), { cmd: "reset-room-keys", data: {} });
}

/** Takes the answer to one of the commands of a rekey. @param {Machine} room @param {number} id @param {Answer} answer @param {number} now */
export function rekeyAnswered(room, id, answer, now) {
  const { rekey } = room.office;
  const duty = rekey?.waiting.get(id);
  if (!rekey || !duty) return;
  rekey.waiting.delete(id);
  if (answer.cmd === "uncertain") rekey.waiting.set(room.command(duty.cmd, duty.data), duty);
  finishRekey(room, now);
}

/** Sends the new secret once every command is answered, or the time for it is up. @param {Machine} room @param {number} now */
export function finishRekey(room, now) {
  const { rekey } = room.office;
  if (!rekey || (rekey.waiting.size > 0 && rekey.deadline > now)) return;
  room.office.rekey = undefined;
  room.outbox.queue.unshift({ errand: { type: "rekey", removed: rekey.removed }, at: now });
}

/** Goes over to the next epoch. @param {Machine} room @param {RoomSecret} secret @param {number} now */
export async function adopt(room, secret, now) {
  room.epochs.advance(secret, now + room.settings.resumeWindowMs + KEEP_OLD_MS);
  await setCard(room);
  room.event({ type: "rekeyed", epoch: secret.epoch });
  room.replay.push(...room.held.releaseNewer());
  if (room.members.notHere.size > 0) room.listing.wantNow(now);
}

/** Gives the relay a card of the present epoch. @param {Machine} room */
export async function setCard(room) {
  const card = await sealCard(room.identity, room.name, room.invite, room.chain.root, room.epochs.current);
  room.card.due = undefined;
  room.card.asked = room.command("set-card", { card });
}

/** The relay has answered about the card. @param {Machine} room @param {Answer} answer @param {number} now */
export async function cardAnswered(room, answer, now) {
  room.card.asked = 0;
  if (answer.cmd === "uncertain") await setCard(room);
  else if (answer.cmd === "error" && answer.retry) room.card.due = now + CARD_PAUSE_MS;
}

/**
 * A member sent a new room secret.
 *
 * @param {Machine} room
 * @param {Member} member
 * @param {Extract<import("../../sealed/plain.js").Body, { type: "secret" }>} body
 * @param {{ epoch: number, private: boolean }} sealed the epoch that it was sealed in, and whether to this member alone
 * @param {number} now
 */
export async function rekeyed(room, member, body, sealed, now) {
  const chain = await chainOfRekey(room, member, body.chain);
  if (!chain) return room.alarm({ kind: "rekey-by-stranger", who: whoIs(member) });
  const current = room.epochs.current.epoch;
  if (sealed.private || sealed.epoch !== current || body.secret.epoch !== current + 1) {
    return room.alarm({ kind: "rekey-out-of-turn", who: whoIs(member) });
  }
  if (body.removed.includes(room.identity.fingerprint)) return room.end("removed");
  if (!chain.equals(room.chain)) {
    await room.setChain(chain);
    room.event({ type: "owner-changed", owner: member.fingerprint });
  }
  for (const removed of body.removed) if (removed !== member.fingerprint) removeLocally(room, removed);
  await adopt(room, body.secret, now);
}

/**
 * The chain that a rekey shows, if its sender owns the room by it: the present owner, or the one named by the relay with the owner's signature.
 *
 * @param {Machine} room
 * @param {Member} member
 * @param {import("../../sealed/bytes.js").Bytes} bytes
 */
async function chainOfRekey(room, member, bytes) {
  try {
    const chain = await OwnerChain.read(room.chain.root, bytes);
    const next = chain.follows(room.chain) && room.relayOwner === member.userId;
    return equal(chain.owner, member.key) && (chain.equals(room.chain) || next) ? chain : undefined;
  } catch (error) {
    if (error instanceof SealedError) return undefined;
    throw error;
  }
}

/** Drops a member by the owner's word, whatever the relay says. @param {Machine} room @param {string} fingerprint */
export function removeLocally(room, fingerprint) {
  const member = room.members.drop(fingerprint, true);
  if (!member) return;
  room.members.dropped.add(member.userId);
  room.event({ type: "member-left", member: fingerprint, name: shownName(member), reason: "removed" });
}
