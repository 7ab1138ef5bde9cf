/**
 * Messages that come in: opened, attributed, counted, and only then believed.
 */
import { peekEpoch, sha256, toBase64, utf8 } from "../../sealed/bytes.js";
import { refusalId, SealedError } from "../../sealed/error.js";
import { SIGNATURE_BYTES } from "../../sealed/identity.js";
import { openMessage, verifySigned } from "../../sealed/message.js";
import { parsePlain } from "../../sealed/plain.js";
import { stranger } from "./alarms.js";
import { whoIs } from "./members.js";
import { namedHeir } from "./owner.js";
import { placeOf, refuseEpoch, rekeyed } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./alarms.js").AlarmKind} AlarmKind */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {{ plain: import("../../sealed/plain.js").Plain, signature: string, epoch: number }} Opened */

/**
 * A message that the relay says is from a user.
 *
 * @param {Machine} room
 * @param {Extract<import("./machine.js").Fact, { type: "message" }>} fact
 * @param {number} now
 */
export async function receive(room, fact, now) {
  const { userId, content, shared } = fact;
  const { members } = room;
  if (members.dropped.has(userId)) return;
  const member = members.byUserId(userId);
  if (!member && !members.notHere.has(userId)) {
    if (!members.refused.has(userId)) room.alarm({ kind: "message-from-stranger", who: stranger(userId) });
    members.refused.add(userId);
    return;
  }
  const who = member ? whoIs(member) : stranger(userId);
  if (shared === null) return room.alarm({ kind: "message-unsealed", who });
  let epoch;
  try {
    epoch = peekEpoch(content);
  } catch (error) {
    const unknown = refusalId(error) === "unknown-version";
    return room.alarm({ kind: unknown ? "message-of-unknown-version" : "message-does-not-open", who });
  }
  const place = placeOf(room, epoch);
  if (place === "next") return room.held.holdNewer(who, fact, now);
  if (typeof place === "object") return refuseEpoch(room, who, place.beyond);
  if (!member) {
    room.held.holdEarly(userId, fact, now);
    return room.listing.wantNow(now);
  }
  const opened = await open(room, member, epoch, content, shared);
  if (typeof opened === "string") return room.alarm({ kind: opened, who });
  await count(room, member, opened, toBase64(await sha256(utf8(shared))), now);
}

/** @param {Machine} room @param {Member} member @param {number} epoch @param {string} content @param {string} shared @returns {Promise<Opened | AlarmKind>} */
async function open(room, member, epoch, content, shared) {
  const secret = room.epochs.get(epoch);
  if (!secret) return "message-outdated";
  const { root } = room.chain;
  /** @type {AlarmKind} */
  let otherwise = "message-does-not-open";
  try {
    const signed = await openMessage(content, shared, room.identity, root, secret);
    otherwise = "message-forged";
    const json = await verifySigned(signed, root, member.key);
    otherwise = "message-malformed";
    const plain = parsePlain(json);
    if (plain.to !== undefined && plain.to !== room.identity.fingerprint) return "message-not-for-me";
    return { plain, signature: toBase64(signed.subarray(0, SIGNATURE_BYTES)), epoch };
  } catch (error) {
    if (error instanceof SealedError && error.id === "unknown-version") return "message-of-unknown-version";
    refusalId(error);
    return otherwise;
  }
}

/** @param {Machine} room @param {Member} member @param {Opened} opened @param {string} seal @param {number} now */
async function count(room, member, opened, seal, now) {
  const { plain, signature } = opened;
  const isPrivate = plain.to !== undefined;
  const counted = (isPrivate ? member.private : member.room).count(plain.n, signature, seal);
  if (counted === "sent-again") return;
  const who = whoIs(member);
  if (counted === "replayed") return room.alarm({ kind: "replayed", who });
  if (counted.missing > 0) room.alarm({ kind: "messages-missing", who, count: counted.missing, private: isPrivate });
  // A rekey removes members and may bring a new owner: its view is the one after it.
  await believe(room, member, opened, now);
  await room.updateView(now);
  room.views.check(member.fingerprint, who, plain.view, now);
}

/** @param {Machine} room @param {Member} member @param {Opened} opened @param {number} now */
async function believe(room, member, { plain, epoch }, now) {
  const { body, at, to } = plain;
  const from = member.fingerprint;
  switch (body.type) {
    case "text":
      return room.event({ type: "message", from, text: body.text, at, private: to !== undefined });
    case "unknown":
      return room.event({ type: "unsupported", from, name: body.name });
    case "void":
      return undefined;
    case "secret":
      return rekeyed(room, member, body, { epoch, private: to !== undefined }, now);
    case "succession":
      return namedHeir(room, member, body, to !== undefined);
  }
}
