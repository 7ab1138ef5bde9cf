/**
 * Changing the room secret: removing members and beginning an epoch as the owner, and taking the secret of a newer epoch from whoever brings it with its
 * proof.
 */
import { sealCard } from "../../sealed/card.js";
import { OwnerChain } from "../../sealed/chain.js";
import { SealedError } from "../../sealed/error.js";
import { verifyEpoch } from "../../sealed/roster.js";
import { MOST_EPOCHS } from "./epochs.js";
import { prepareEpoch } from "./errands.js";
import { shownName, whoIs } from "./members.js";
import { grantsForNext, whySuccessionFails } from "./succession.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("./members.js").Member} Member */

/** How long a rekey waits for the relay's answers, in milliseconds of connected time. */
const ANSWERS_MS = 10_000;
/** The pause before a refused card is set again. */
const CARD_PAUSE_MS = 1_000;
/** How old a used leaf may become: so much, or so much for each member; a quarter more or less. */
const LEAF_MS = 600_000;
const LEAF_MS_PER_MEMBER = 3_000;
const LEAF_SPREAD = 0.25;
/** When an owner asks who has the new secret, after a rekey; then again and again. */
const RECEIPTS_MS = [10_000, 60_000];
const RECEIPTS_EVERY_MS = 300_000;

/**
 * An owner's rekey between its commands and its `secret` message.
 *
 * @typedef {object} Rekey
 * @property {Map<number, { cmd: "remove-member" | "reset-room-keys", data: { user_id?: string } }>} waiting
 * @property {number} deadline
 */

/** Starts a rekey, or adds a removal to the one that is being prepared. @param {Machine} room @param {Member} [remove] */
export function beginRekey(room, remove) {
  const { office } = room;
  /** @type {Rekey} */
  const rekey = (office.rekey ??= { waiting: new Map(), deadline: 0 });
  rekey.deadline = room.time + ANSWERS_MS;
  if (remove) {
    const data = { user_id: remove.userId };
    rekey.waiting.set(room.command("remove-member", data), { cmd: "remove-member", data });
  }
  // Again even if it is under way: a key could have been used between the two.
  rekey.waiting.set(room.command("reset-room-keys", {}), { cmd: "reset-room-keys", data: {} });
}

/** Takes the answer to one of the commands of a rekey. @param {Machine} room @param {number} id @param {Answer} answer */
export function rekeyAnswered(room, id, answer) {
  const { rekey } = room.office;
  const duty = rekey?.waiting.get(id);
  if (!rekey || !duty) return;
  rekey.waiting.delete(id);
  if (answer.cmd === "uncertain") rekey.waiting.set(room.command(duty.cmd, duty.data), duty);
  finishRekey(room);
}

/** Sends the new secret once every command is answered, or the time for it is up. @param {Machine} room */
export function finishRekey(room) {
  const { office, outbox } = room;
  const { rekey } = office;
  if (!rekey || (rekey.waiting.size > 0 && rekey.deadline > room.time)) return;
  office.rekey = undefined;
  outbox.queue.unshift(...grantsForNext(room), { errand: { type: "rekey" }, at: room.wall });
}

/** The owner's `secret` is on its way, or there was nobody to send it to: the new epoch begins here. @param {Machine} room @param {Extract<import("./errands.js").Errand, { type: "rekey" }>} errand */
export async function rekeySent(room, errand) {
  const alone = !errand.prepared;
  const { secret, ...proved } = errand.prepared ?? (await prepareEpoch(room));
  room.proved = proved;
  room.members.roster = new Set(proved.members);
  room.office.unknown = false;
  room.office.receipts = { next: 0, at: room.time + RECEIPTS_MS[0] };
  await adopt(room, secret);
  if (alone) room.epochs.answered(room.time);
}

/** Goes over to a newer epoch. @param {Machine} room @param {import("../../sealed/secret.js").RoomSecret} secret */
async function adopt(room, secret) {
  const { epochs, healing, held, listing, members } = room;
  epochs.advance(secret, await secret.keys());
  healing.secret = undefined;
  healing.behind.clear();
  room.told.clear();
  // Views are judged in their own epoch only.
  room.views.awaited.clear();
  room.viewVersion = -1;
  await setCard(room, true);
  room.event({ type: "rekeyed", epoch: secret.epoch });
  room.replay.push(...held.releaseNewer());
  if (members.notHere.size > 0 || room.spokeLately) listing.wantNow(room.time);
}

/** Gives the relay a card of the present epoch, with a fresh leaf or the newest. @param {Machine} room @param {boolean} fresh */
export async function setCard(room, fresh) {
  const { leaves, time } = room;
  const leaf = fresh || !leaves.newest ? await leaves.next(time) : leaves.newest;
  const what = { name: room.name, leaf, ...(room.invite && { invite: room.invite }) };
  const card = await sealCard(room.identity, what, room.chain.root, room.epochs.current);
  room.card = { asked: room.command("set-card", { card }), due: undefined, leaf: leaf.generation, epoch: room.epochs.current.epoch };
}

/** The relay has answered about the card. @param {Machine} room @param {Answer} answer */
export async function cardAnswered(room, answer) {
  const { leaf, epoch } = room.card;
  room.card.asked = 0;
  if (answer.cmd === "uncertain") return setCard(room, false);
  if (answer.cmd === "error") {
    if (answer.retry) room.card.due = room.time + CARD_PAUSE_MS;
    return undefined;
  }
  room.leaves.cardAnswered(leaf, room.time);
  if (epoch === room.epochs.current.epoch && !room.outbox.holds("rekey")) room.epochs.answered(room.time);
  return undefined;
}

/** Changes the leaf when it has been used and is old. @param {Machine} room */
export async function renewLeaf(room) {
  const leaf = room.leaves.newest;
  if (!leaf?.used || room.card.asked !== 0 || leafDue(room) > room.time) return;
  await setCard(room, true);
}

/** When the newest leaf is to be changed, if it was used. @param {Machine} room */
export function leafDue({ leaves, members, leafSpread }) {
  const leaf = leaves.newest;
  if (!leaf?.used) return Infinity;
  return leaf.since + Math.max(LEAF_MS, LEAF_MS_PER_MEMBER * members.accepted.size) * (1 + LEAF_SPREAD * (2 * leafSpread - 1));
}

/** The owner asks who has the new secret. @param {Machine} room */
export function askForReceipts(room) {
  const { office, listing, time } = room;
  const { receipts } = office;
  if (!receipts || receipts.at > time) return;
  const lacking = membersWithoutSecret(room);
  if (lacking.length === 0) {
    office.receipts = undefined;
    return;
  }
  listing.wantNow(time);
  const next = receipts.next + 1;
  office.receipts = { next, at: time + (next < RECEIPTS_MS.length ? RECEIPTS_MS[next] - RECEIPTS_MS[next - 1] : RECEIPTS_EVERY_MS) };
  if (next > 1) {
    const untold = lacking.filter(({ fingerprint }) => !room.told.has(fingerprint));
    for (const { fingerprint } of untold) room.told.add(fingerprint);
    for (const { fingerprint } of untold) room.event({ type: "behind", member: fingerprint });
  }
}

/** Members of the roster that have shown nothing of the present epoch. @param {Machine} room */
export const membersWithoutSecret = ({ members, epochs }) =>
  [...members.accepted.values()].filter(({ epoch }) => epoch < epochs.current.epoch);

/**
 * A member brings the secret of an epoch, its own or the owner's.
 *
 * @param {Machine} room
 * @param {Member} member
 * @param {Extract<import("../../sealed/body.js").Body, { type: "secret" }>} body
 */
export async function secretBrought(room, member, body) {
  const { epochs, members, identity } = room;
  const chain = await readChain(room, body);
  if (!chain) return room.alarm({ kind: "secret-forged", who: whoIs(member) });
  const present = epochs.current.epoch;
  if (body.secret.epoch <= present) return body.secret.wipe();
  if (body.secret.epoch > present + MOST_EPOCHS) return room.alarm({ kind: "secret-forged", who: whoIs(member) });
  const objection = whySuccessionFails(room, chain, body.secret.epoch);
  if (objection) return room.alarm({ kind: objection, who: whoIs(member) });
  if (!body.members.includes(identity.fingerprint)) return room.end("removed");
  const changed = !chain.equals(room.chain);
  const roster = new Set(body.members);
  members.roster = roster;
  room.proved = { members: body.members, chain: body.chain, proof: body.proof };
  for (const fingerprint of [...members.accepted.keys()]) if (!roster.has(fingerprint)) removeLocally(room, fingerprint);
  // The owner vouches for those that this member had refused: their new cards decide.
  for (const fingerprint of roster) members.refusedPrints.delete(fingerprint);
  for (const userId of members.refused) members.notHere.add(userId);
  members.refused.clear();
  room.office.forgetUpTo(body.secret.epoch - 1);
  if (changed) await room.setOwner(chain);
  return adopt(room, body.secret);
}

/** The chain that a secret shows, if its last owner proves the epoch. @param {Machine} room @param {Extract<import("../../sealed/body.js").Body, { type: "secret" }>} body */
async function readChain(room, body) {
  try {
    const chain = await OwnerChain.read(room.chain.root, body.chain);
    await verifyEpoch(chain, body.secret, body.members, body.proof);
    return chain;
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
  room.forget(fingerprint);
  room.event({ type: "member-left", member: fingerprint, name: shownName(member), reason: "removed" });
}
