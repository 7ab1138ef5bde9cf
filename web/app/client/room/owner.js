/**
 * Owning the room: invites, heirs, handing it over, and taking it over.
 */
import { equal, randomBytes } from "../../sealed/bytes.js";
import { Certificate } from "../../sealed/certificate.js";
import { OwnerChain } from "../../sealed/chain.js";
import { SealedError } from "../../sealed/error.js";
import { RoomSecret } from "../../sealed/secret.js";
import { stranger } from "./alarms.js";
import { whoIs } from "./members.js";
import { beginRekey } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("../../sealed/link.js").Link} Link */

/** How long a new owner has to prove itself, in milliseconds. */
const PROOF_MS = 60_000;
/** How many members are kept supplied with what an heir needs. */
const HEIRS = 3;
const INVITE_ID_BYTES = 16;

/**
 * Invites that were asked for.
 *
 * @typedef {object} Wanted
 * @property {import("../../sealed/certificate.js").InviteKind} kind
 * @property {number} count
 * @property {number} [expiresInS]
 * @property {(links: Link[] | null) => void} made
 */

/** What belongs to the office of the owner. */
export class Office {
  constructor() {
    /** The chain with oneself at its end, from the present owner. @type {OwnerChain | undefined} */
    this.grant = undefined;
    /** Whether the room goes to an heir when its owner leaves. */
    this.transfer = false;
    /** Who has been made an heir under the present chain. @type {Set<string>} */
    this.supplied = new Set();
    /** Until when the owner that the relay names must have proved itself. @type {number | undefined} */
    this.proof = undefined;
    /** A `transfer-owner` under way. @type {{ id: number, to: string } | undefined} */
    this.handOver = undefined;
    /** A rekey under way. @type {import("./rekey.js").Rekey | undefined} */
    this.rekey = undefined;
    /** Invites whose key was asked for. @type {Map<number, Wanted>} */
    this.invites = new Map();
    /** Invites that wait for a rekey to end. @type {Wanted[]} */
    this.waiting = [];
  }
}

/** The relay names an owner, on entry or later. @param {Machine} room @param {string} ownerId @param {number} now */
export async function nameOwner(room, ownerId, now) {
  room.relayOwner = ownerId;
  room.office.proof = undefined;
  if (namedOwnerIsProved(room)) return;
  const isMe = ownerId === room.userId;
  const { grant } = room.office;
  if (!isMe) {
    room.office.proof = now + PROOF_MS;
  } else if (grant?.follows(room.chain)) {
    room.office.grant = undefined;
    await room.setChain(grant);
    room.office.supplied.clear();
    room.event({ type: "owner-changed", owner: room.identity.fingerprint });
    beginRekey(room, undefined, now);
  } else {
    room.alarm({ kind: "ownership-imposed" });
  }
}

/** Whether the owner that the relay names is the one that the chain names. @param {Machine} room */
function namedOwnerIsProved(room) {
  const named = room.relayOwner === room.userId ? room.identity.key : room.members.byUserId(room.relayOwner)?.key;
  return named !== undefined && equal(named, room.chain.owner);
}

/** Warns if the owner that the relay names has not proved itself in time. @param {Machine} room @param {number} now */
export function expireProof(room, now) {
  if (room.office.proof === undefined || room.office.proof > now) return;
  room.office.proof = undefined;
  // A newcomer may have been waiting for the owner's card.
  if (namedOwnerIsProved(room)) return;
  const member = room.members.byUserId(room.relayOwner);
  room.alarm({ kind: "owner-unproven", who: member ? whoIs(member) : stranger(room.relayOwner) });
}

/**
 * A member says that this one is its heir.
 *
 * @param {Machine} room
 * @param {import("./members.js").Member} member
 * @param {Extract<import("../../sealed/plain.js").Body, { type: "succession" }>} body
 * @param {boolean} isPrivate
 */
export async function namedHeir(room, member, { chain, transfer }, isPrivate) {
  const grant = await OwnerChain.read(room.chain.root, chain).catch((error) => {
    if (error instanceof SealedError) return undefined;
    throw error;
  });
  const byOwner = isPrivate && equal(member.key, room.chain.owner);
  if (!grant || !byOwner || !grant.follows(room.chain) || !equal(grant.owner, room.identity.key)) {
    return room.alarm({ kind: "succession-forged", who: whoIs(member) });
  }
  room.office.grant = grant;
  room.office.transfer = transfer;
}

/** Whether a change of the room secret is under way. @param {Machine} room */
export const isRekeying = (room) => room.office.rekey !== undefined || room.outbox.rekeyIsQueued;

/** Gives the longest-standing members what they need to take over. @param {Machine} room @param {number} now */
export function supplyHeirs(room, now) {
  const { office, outbox, members } = room;
  if (!office.transfer || !room.governs || isRekeying(room)) return;
  for (const heir of members.longestStanding(HEIRS)) {
    if (office.supplied.has(heir)) continue;
    office.supplied.add(heir);
    outbox.queue.push({ errand: { type: "succession", handOver: false }, to: heir, at: now });
  }
}

/**
 * The relay has answered `transfer-owner`. If it was done, this client stops governing at once: two rekeys at a time, by the old and the new owner, would
 * split the room.
 *
 * @param {Machine} room
 * @param {Answer} answer
 * @param {number} now
 */
export async function handOverAnswered(room, answer, now) {
  const { handOver } = room.office;
  room.office.handOver = undefined;
  if (!handOver) return;
  const heir = room.members.get(handOver.to);
  if (answer.cmd !== "done") room.event({ type: "hand-over-failed", to: handOver.to });
  else if (heir && room.relayOwner === room.userId) await nameOwner(room, heir.userId, now);
}

/** Whether the room is being handed over. @param {Machine} room */
export const isHandingOver = (room) => room.office.handOver !== undefined || room.outbox.isHandingOver;

/** Asks the relay for the keys of the invites that wait, unless the room secret is about to change. @param {Machine} room */
export function askForKeys(room) {
  if (isRekeying(room)) return;
  for (const wanted of room.office.waiting.splice(0)) {
    const { kind, count, expiresInS } = wanted;
    const cmd = kind === "one-time" ? "room-key-onetime" : "room-key-forever";
    const data = { ...(kind === "one-time" && { count }), ...(expiresInS !== undefined && { expires_in_s: expiresInS }) };
    room.office.invites.set(room.command(cmd, data), wanted);
  }
}

/** The relay has answered for invites' keys. @param {Machine} room @param {number} id @param {Answer} answer @param {number} now */
export async function keyAnswered(room, id, answer, now) {
  const wanted = room.office.invites.get(id);
  room.office.invites.delete(id);
  if (!wanted) return;
  if (isRekeying(room) && answer.cmd !== "error") {
    // The keys are dead already or are about to be: ask again afterwards.
    room.office.waiting.push(wanted);
  } else if (answer.cmd === "room-key" && answer.keys.length > 0 && room.governs) {
    wanted.made(await Promise.all(answer.keys.map((joinKey) => makeLink(room, wanted, joinKey, now))));
  } else {
    wanted.made(null);
  }
}

/** @param {Machine} room @param {Wanted} wanted @param {string} joinKey @param {number} now @returns {Promise<Link>} */
async function makeLink(room, { kind, expiresInS }, joinKey, now) {
  const { identity, chain, epochs, settings, roomId, roomName } = room;
  const { epoch, bytes } = epochs.current;
  const expiry = expiresInS === undefined ? 0 : Math.floor(now / 1000) + expiresInS;
  const certificate = await Certificate.issue(identity, chain.root, { epoch, id: randomBytes(INVITE_ID_BYTES), kind, expiry });
  const secret = new RoomSecret(epoch, bytes.slice());
  return { ...settings.server, roomId, joinKey, secret, roomName, certificate, chain };
}
