/**
 * Healing: asking by notes for a secret or a chain that one lacks, and handing the secret to those who lack it. Asking never ends and never hurries:
 * each pause is twice the one before, until it helped or the connection is new.
 */
import { sealNote } from "../../sealed/note.js";
import { MAX_INDEX } from "../../sealed/ratchet.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./members.js").Member} Member */

/** The first pause between notes, and the longest, in milliseconds of connected time. */
const PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;
/** How long the owner alone has to answer. */
const OWNER_MS = 5_000;
/** At most one note is looked at, and one secret handed on, for each member in this time. */
const EACH_MS = 10_000;
/** A member that is not the owner waits so long, at random, before it hands on a secret unasked. */
const UNASKED_MS = { least: 5_000, most: 30_000 };
/** Who but the owner hands on a secret unasked. */
const HELPERS = 3;
/** A chain is renewed for the sake of one note at most this often. */
const RENEW_MS = 600_000;

export class Healing {
  constructor() {
    /** The secret is lacking: when the next note is due, and how many went out. @type {{ due: number, sent: number } | undefined} */
    this.secret = undefined;
    /** Chains are lacking, by sender. @type {Map<string, { due: number, pause: number }>} */
    this.chains = new Map();
    /** When a member's note was looked at, and the newest one that waits. @type {Map<string, { at: number, waiting: (() => Promise<void>) | undefined }>} */
    this.notes = new Map();
    /** When a member was last handed the secret. @type {Map<string, number>} */
    this.handed = new Map();
    /** Members that still speak in an old epoch, and when they are handed the secret. @type {Map<string, { due: number, epoch: number }>} */
    this.behind = new Map();
    this.renewed = -Infinity;
  }

  /** A new connection: whoever could not answer may do so now. @param {number} time */
  resumed(time) {
    if (this.secret) this.secret = { due: time, sent: 0 };
    this.chains.clear();
  }

  /** @param {string} fingerprint */
  forget(fingerprint) {
    for (const known of [this.chains, this.notes, this.handed, this.behind]) known.delete(fingerprint);
  }

  get deadlines() {
    const waiting = [...this.notes.values()].filter((note) => note.waiting).map(({ at }) => at + EACH_MS);
    return [...(this.secret ? [this.secret.due] : []), ...waiting, ...[...this.behind.values()].map(({ due }) => due)];
  }
}

/** The secret of a newer epoch exists, and this member lacks it. @param {Machine} room */
export function lackSecret(room) {
  if (room.isOwner) return;
  room.healing.secret ??= { due: room.time, sent: 0 };
}

/** A message came whose chain this member lacks: its sender is to hand it on again. @param {Machine} room @param {Member} sender */
export async function lackChain(room, sender) {
  const known = room.healing.chains.get(sender.fingerprint);
  if (known && known.due > room.time) return;
  const pause = Math.min(Math.max((known?.pause ?? 0) * 2, PAUSE_MS), LONGEST_PAUSE_MS);
  room.healing.chains.set(sender.fingerprint, { due: room.time + pause, pause });
  await sendNote(room, [sender], "chain");
}

/** Does what is due. @param {Machine} room */
export async function heal(room) {
  const { healing, time } = room;
  if (healing.secret && healing.secret.due <= time) {
    const { sent } = healing.secret;
    const pause = sent === 0 ? OWNER_MS : Math.min(PAUSE_MS * 2 ** (sent - 1), LONGEST_PAUSE_MS);
    healing.secret = { due: time + pause, sent: sent + 1 };
    const owner = room.members.get(room.owner);
    const others = sent === 0 && owner ? [] : room.members.longestStanding(2, [room.owner]);
    await sendNote(room, [...(owner ? [owner] : []), ...others], "secret");
  }
  for (const [fingerprint, note] of healing.notes) {
    if (!note.waiting || note.at + EACH_MS > time) continue;
    const { waiting } = note;
    healing.notes.set(fingerprint, { at: time, waiting: undefined });
    await waiting();
  }
  for (const [fingerprint, { due, epoch }] of healing.behind) {
    if (due > time) continue;
    healing.behind.delete(fingerprint);
    handSecret(room, fingerprint, epoch);
  }
}

/** @param {Machine} room @param {Member[]} to @param {import("../../sealed/note.js").Lack["lacks"]} lacks */
async function sendNote(room, to, lacks) {
  if (to.length === 0) return;
  const leaf = await room.leaves.next(room.time);
  const keys = room.epochs.present;
  const names = to.map(({ fingerprint }) => fingerprint);
  const shared = await sealNote(room.identity, { to: names, epoch: keys.epoch, lacks }, leaf, room.chain.root, keys);
  room.command("send-messages", { shared, to: to.map(({ userId }) => ({ to_user_id: userId })) });
}

/** Looks at a member's note, or has the newest one wait. @param {Machine} room @param {string} member @param {() => Promise<void>} look */
export async function pace({ healing, time }, member, look) {
  const last = healing.notes.get(member);
  if (last && last.at + EACH_MS > time) {
    last.waiting = look;
    return;
  }
  healing.notes.set(member, { at: time, waiting: undefined });
  await look();
}

/** A member asks. @param {Machine} room @param {Member} member @param {import("../../sealed/note.js").Lack & { leaf: import("../../sealed/card.js").Leaf }} note */
export function noted(room, member, { to, epoch, lacks, leaf }) {
  const { sender } = room.outbox;
  if (leaf.generation <= member.leaf.generation || !to.includes(room.identity.fingerprint)) return;
  const handedTo = sender?.audience.get(member.fingerprint);
  member.leaf = leaf;
  sender?.audience.delete(member.fingerprint);
  // The hand went to a leaf that the member had given up long ago: whoever rolled its card back may have that leaf.
  if (sender && handedTo !== undefined && handedTo < leaf.generation - 1 && room.time - room.healing.renewed >= RENEW_MS) {
    room.healing.renewed = room.time;
    sender.chain.index = MAX_INDEX + 1;
  }
  if (lacks === "secret") handSecret(room, member.fingerprint, epoch);
  room.office.supplied.delete(member.fingerprint);
}

/** A member speaks in an epoch that is over. @param {Machine} room @param {Member} member @param {number} epoch */
export function speaksInOld(room, member, epoch) {
  const { healing, members, owner } = room;
  if (room.isOwner) return handSecret(room, member.fingerprint, epoch);
  const isHelper = members.longerStanding(owner) < HELPERS;
  if (!isHelper || healing.behind.has(member.fingerprint)) return;
  const due = room.time + UNASKED_MS.least + room.random() * (UNASKED_MS.most - UNASKED_MS.least);
  healing.behind.set(member.fingerprint, { due, epoch });
}

/** Hands the present secret to a member of the roster that lacks it, sealed in an epoch that it has. @param {Machine} room @param {string} member @param {number} epoch */
function handSecret(room, member, epoch) {
  const { healing, epochs, members, time } = room;
  const isDue = (healing.handed.get(member) ?? -Infinity) + EACH_MS <= time;
  if (!room.proved || !isDue || epoch >= epochs.current.epoch || !epochs.keys.has(epoch) || !members.roster?.has(member)) return;
  healing.handed.set(member, time);
  room.outbox.queue.unshift({ errand: { type: "hand-secret", epoch }, to: member, at: room.wall });
}
