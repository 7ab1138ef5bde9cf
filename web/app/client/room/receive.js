/**
 * Messages that come in: opened, attributed, counted, and only then believed. Until a message's chain, padding and signature hold, nothing changes; from
 * then on its chain is kept whatever else is wrong with it.
 */
import { sha256, toBase64, utf8 } from "../../sealed/bytes.js";
import { counts } from "../../sealed/body.js";
import { refusalId, SealedError } from "../../sealed/error.js";
import { openHand, openPrivateKey, readContent } from "../../sealed/hand.js";
import { openPrivate, openRoom, readShared } from "../../sealed/message.js";
import { openNote } from "../../sealed/note.js";
import { readPlain } from "../../sealed/plain.js";
import { step, stepTo } from "../../sealed/ratchet.js";
import { saidHash } from "../../sealed/said.js";
import { takeIn } from "./after.js";
import { stranger } from "./alarms.js";
import { conversation } from "./heard.js";
import { lackChain, lackSecret, noted, pace, speaksInOld } from "./healing.js";
import { whoIs } from "./members.js";
import { secretBrought } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./alarms.js").AlarmKind} AlarmKind */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../sealed/message.js").Outside} Outside */
/** @typedef {Extract<import("./room-events.js").Fact, { type: "message" }>} MessageFact */

/**
 * A message that the relay says is from a user.
 *
 * @param {Machine} room
 * @param {MessageFact} fact
 */
export async function receive(room, fact) {
  const { userId, shared } = fact;
  const { members, epochs } = room;
  if (members.dropped.has(userId)) return undefined;
  const member = members.byUserId(userId);
  if (!member && !members.notHere.has(userId)) {
    if (!members.refused.has(userId)) room.alarm({ kind: "message-from-stranger", who: stranger(userId) });
    members.refused.add(userId);
    return undefined;
  }
  const who = member ? whoIs(member) : stranger(userId);
  if (shared === null) return room.alarm({ kind: "message-unsealed", who });
  let outside;
  try {
    outside = readShared(shared);
  } catch (error) {
    const unknown = refusalId(error) === "unknown-version";
    return room.alarm({ kind: unknown ? "message-of-unknown-version" : "message-does-not-open", who });
  }
  if (outside.epoch > epochs.current.epoch) return newer(room, who, fact, outside.kind === "private");
  if (!member) {
    room.held.holdEarly(userId, fact, room.time);
    return room.listing.wantNow(room.time);
  }
  if (outside.kind === "note") return readNote(room, member, outside);
  if (outside.kind === "private") return receivePrivate(room, member, fact, outside);
  const { kind, epoch } = outside;
  if (kind !== "room") return undefined;
  return epochs.reads(epoch) ? receiveRoom(room, member, fact, outside) : tooOld(room, member, epoch);
}

/** The epoch in a header is anybody's word: it waits for its secret, which this member asks for. @param {Machine} room @param {import("./alarms.js").Who} who @param {MessageFact} fact @param {boolean} isPrivate */
function newer(room, who, fact, isPrivate) {
  if (room.isOwner) {
    if (room.held.tellOf(who.userId)) room.alarm({ kind: "secret-never-issued", who });
    return;
  }
  room.held.holdNewer(who, fact, room.time);
  if (!isPrivate) lackSecret(room);
}

/** A message of an epoch that is over: its sender lacks the present secret. @param {Machine} room @param {Member} member @param {number} epoch */
function tooOld(room, member, epoch) {
  if (!room.told.has(member.fingerprint)) {
    room.told.add(member.fingerprint);
    room.event({ type: "behind", member: member.fingerprint });
  }
  speaksInOld(room, member, epoch);
}

/** @param {Machine} room @param {Member} member @param {Outside} outside */
async function readNote(room, member, outside) {
  const keys = room.epochs.keys.get(outside.epoch);
  if (!keys) return;
  await pace(room, member.fingerprint, async () => {
    try {
      const note = await openNote(outside, member.key, room.chain.root, keys);
      opened(room, member, outside.epoch);
      noted(room, member, note);
    } catch (error) {
      refusalId(error);
      failedToOpen(room, member, outside.epoch);
    }
  });
}

/** @param {Machine} room @param {Member} member @param {MessageFact} fact @param {Extract<Outside, { kind: "room" }>} outside */
async function receiveRoom(room, member, fact, outside) {
  const who = whoIs(member);
  const { epoch, generation, index } = outside;
  const { chain: known } = member;
  if (known && generation < known.generation) return undefined;
  /** @type {import("../../sealed/ratchet.js").ReceiverChain} */
  let from;
  let beginning;
  if (known && generation === known.generation) {
    if (epoch !== known.epoch) return room.alarm({ kind: "message-forged", who });
    from = known;
  } else {
    const hand = fact.content === "" ? undefined : await takeHand(room, member, fact.content, outside);
    if (hand === "unreadable") return undefined;
    if (hand === "forged") return room.alarm({ kind: "message-forged", who });
    if (hand === undefined) return lackChain(room, member);
    from = { generation, index, state: hand.state };
    beginning = hand.said;
  }
  const seal = toBase64(await sha256(utf8(fact.shared ?? "")));
  if (index < from.index) {
    if (seal !== member.lastShared) room.alarm({ kind: "out-of-order", who });
    return undefined;
  }
  const { keys, chain } = await stepTo(from, index);
  let plain;
  try {
    plain = await openRoom(outside, keys, room.chain.root, member.key);
  } catch (error) {
    return room.alarm({ kind: refusalId(error) === "bad-signature" ? "message-forged" : "message-does-not-open", who });
  }
  member.chain?.state.fill(0);
  member.chain = { ...chain, epoch };
  member.lastShared = seal;
  room.healing.chains.delete(member.fingerprint);
  opened(room, member, epoch);
  if (beginning !== undefined && !member.room.begin(beginning)) room.alarm({ kind: "beginning-changed", who });
  return readIn(room, member, plain, epoch, false);
}

/**
 * Opens the hand that came with a message.
 *
 * @param {Machine} room
 * @param {Member} member
 * @param {string} content
 * @param {{ epoch: number, generation: number, index: number }} place
 * @returns {Promise<{ said: number, state: import("../../sealed/bytes.js").Bytes } | "unreadable" | "forged" | undefined>}
 */
async function takeHand(room, member, content, place) {
  const keys = room.epochs.keys.get(place.epoch);
  try {
    const { kind, generation, bytes } = readContent(content);
    const leaf = room.leaves.get(generation);
    if (kind !== "room" || !leaf || !keys) return undefined;
    const holder = { fingerprint: room.identity.fingerprint, generation, privateKey: leaf.privateKey };
    const hand = await openHand(bytes, holder, { root: room.chain.root, keys, place, sender: member });
    leaf.used = true;
    return hand;
  } catch (error) {
    switch (refusalId(error)) {
      case "bad-signature":
        return "forged";
      case "unknown-version":
        room.alarm({ kind: "message-of-unknown-version", who: whoIs(member) });
        return "unreadable";
      default:
        failedToOpen(room, member, place.epoch);
        return undefined;
    }
  }
}

/** @param {Machine} room @param {Member} member @param {MessageFact} fact @param {Outside} outside */
async function receivePrivate(room, member, fact, outside) {
  const who = whoIs(member);
  const keys = room.epochs.keys.get(outside.epoch);
  if (!keys) return undefined;
  let plain;
  try {
    const { kind, generation, bytes } = readContent(fact.content);
    const leaf = room.leaves.get(generation);
    if (kind !== "private") throw new SealedError("bad-kind");
    if (!leaf) return lackChain(room, member);
    const holder = { fingerprint: room.identity.fingerprint, generation, privateKey: leaf.privateKey };
    const { root } = room.chain;
    const state = await openPrivateKey(bytes, holder, { root, keys, sender: member.fingerprint });
    leaf.used = true;
    const { keys: messageKeys } = await step(state);
    state.fill(0);
    plain = await openPrivate(outside, messageKeys, root, member, room.identity.fingerprint);
  } catch (error) {
    switch (refusalId(error)) {
      case "unknown-version":
        return room.alarm({ kind: "message-of-unknown-version", who });
      case "bad-signature":
        return room.alarm({ kind: "message-forged", who });
      default:
        failedToOpen(room, member, outside.epoch);
        return room.alarm({ kind: "message-does-not-open", who });
    }
  }
  opened(room, member, outside.epoch);
  return readIn(room, member, plain, outside.epoch, true);
}

/** Something of a member opened: it has the secret of this epoch. @param {Machine} room @param {Member} member @param {number} epoch */
function opened(room, member, epoch) {
  member.epoch = Math.max(member.epoch, epoch);
  if (epoch === room.epochs.current.epoch) {
    room.failing.delete(member.fingerprint);
    room.healing.behind.delete(member.fingerprint);
  }
}

/** Something of a member's in this epoch did not open. @param {Machine} room @param {Member} member @param {number} epoch */
export function failedToOpen(room, member, epoch) {
  if (epoch === room.epochs.current.epoch && !room.failing.has(member.fingerprint)) room.failing.set(member.fingerprint, room.time);
}

/** @param {Machine} room @param {Member} member @param {import("../../sealed/bytes.js").Bytes} bytes @param {number} epoch @param {boolean} isPrivate */
async function readIn(room, member, bytes, epoch, isPrivate) {
  const who = whoIs(member);
  let plain;
  try {
    plain = readPlain(bytes, isPrivate ? room.identity.fingerprint : undefined);
  } catch (error) {
    return room.alarm({ kind: refusalId(error) === "not-for-me" ? "message-not-for-me" : "message-malformed", who });
  }
  // What lies in an epoch that is over says nothing any more, but for a newer secret.
  if (!room.epochs.reads(epoch) && plain.body.type !== "secret") return undefined;
  const said = await saidHash(member.fingerprint, plain.core);
  if (counts(plain.body)) {
    const counted = (isPrivate ? member.private : member.room).count(plain.n, said);
    if (counted === "sent-again") return undefined;
    if (typeof counted === "string") return room.alarm({ kind: counted, who });
    if (counted.missing > 0) room.event({ type: "missing", member: member.fingerprint, count: counted.missing, private: isPrivate });
    if (isPrivate) room.heardPrivately.add(conversation(member.fingerprint, room.identity.fingerprint), plain.n, said);
    else room.heard.add(member.fingerprint, plain.n, said);
  }
  if (plain.body.type === "secret") await secretBrought(room, member, plain.body);
  if (room.phase !== "inside") return undefined;
  await room.updateView();
  // A rekey removes members and may bring a new owner: its view is the one after it.
  const of = plain.body.type === "secret" ? plain.body.secret.epoch : epoch;
  // In a replay this member may go from one view to another over several at once: the messages after it will tell.
  if (of === room.epochs.current.epoch && room.maySend) room.views.check(member.fingerprint, plain.view, room.time);
  return takeIn(room, member, { ...plain, hash: said, isPrivate });
}
