/**
 * Owning the room: invites, heirs, handing it over, and taking it over. Who owns it is proved by the chain; the server's word alone makes nobody the owner.
 */
import { equal, randomBytes } from "../../sealed/bytes.js";
import { Certificate } from "../../sealed/certificate.js";
import { OwnerChain } from "../../sealed/chain.js";
import { SealedError } from "../../sealed/error.js";
import { RoomSecret } from "../../sealed/secret.js";
import { stranger } from "./alarms.js";
import { whoIs } from "./members.js";
import { beginRekey } from "./rekey.js";
import { grants } from "./succession.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./machine.js").Answer} Answer */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../sealed/link.js").Link} Link */

/** How long a new owner has to prove itself, in milliseconds of connected time. */
const PROOF_MS = 60_000;
/** How long the server has to answer a hand-over. */
const HAND_OVER_MS = 10_000;
/** An owner that is lost so soon after it spoke may only be cut off. */
const SOON_MS = 30_000;
/** How often a member that is named without a grant passes the server's office on. */
const MOST_PASSES = 3;
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
    /** Chains with oneself at their end, from the present owner, in case it is gone: by epoch. @type {Map<number, OwnerChain>} */
    this.grants = new Map();
    /** The same, handed over by the present owner. @type {OwnerChain | undefined} */
    this.handed = undefined;
    /** Whether the room goes to an heir when its owner leaves. */
    this.transfer = false;
    /** The newest epoch for which each member has been made an heir. @type {Map<string, number>} */
    this.supplied = new Map();
    /** Until when the owner that the relay names must have proved itself. @type {number | undefined} */
    this.proof = undefined;
    /** A `transfer-owner` under way. @type {{ id: number, to: string, until: number | undefined } | undefined} */
    this.handOver = undefined;
    /** A rekey under way. @type {import("./rekey.js").Rekey | undefined} */
    this.rekey = undefined;
    /** When the owner asks next who has the new secret. @type {{ next: number, at: number } | undefined} */
    this.receipts = undefined;
    /** Invites whose key was asked for. @type {Map<number, Wanted>} */
    this.invites = new Map();
    /** Invites that wait for a rekey to end. @type {Wanted[]} */
    this.waiting = [];
    /** Members that the server has named as the owner. @type {Set<string>} */
    this.named = new Set();
    this.passes = 0;
    /** Whether nobody knows yet that this member is the owner: its first `secret` tells. */
    this.unknown = false;
    /** Whether the person may take the office. */
    this.offered = false;
  }

  /** A newer epoch ends all that was granted for those before. @param {number} epoch */
  forgetUpTo(epoch) {
    for (const granted of this.grants.keys()) if (granted <= epoch) this.grants.delete(granted);
    this.handed = undefined;
    this.offered = false;
  }

  get deadlines() {
    return [this.rekey?.deadline, this.proof, this.handOver?.until, this.receipts?.at].filter((at) => at !== undefined);
  }
}

/** The server names an owner, on entry or later. @param {Machine} room @param {string} ownerId */
export async function nameOwner(room, ownerId) {
  const { office, members } = room;
  room.relayOwner = ownerId;
  office.proof = undefined;
  office.offered = false;
  const named = members.byUserId(ownerId);
  if (named) office.named.add(named.fingerprint);
  if (ownerId === room.userId) return namedMyself(room);
  if (namedOwnerIsProved(room)) return undefined;
  if (room.isOwner && office.handOver === undefined) return room.alarm({ kind: "treated-as-gone", who: room.self });
  if (members.get(room.owner) || room.owner === room.identity.fingerprint) {
    office.proof = room.time + PROOF_MS;
    return undefined;
  }
  return tellOfOwner(room, named?.fingerprint);
}

/** The owner by the chain has left: the server may have named another before. @param {Machine} room */
export async function ownerLeft(room) {
  const isNamed = room.members.byUserId(room.relayOwner) !== undefined || room.relayOwner === room.userId;
  if (isNamed && !namedOwnerIsProved(room)) await nameOwner(room, room.relayOwner);
}

/** @param {Machine} room */
async function namedMyself(room) {
  const { office, members, chain } = room;
  if (room.isOwner) return undefined;
  if (office.handed?.linksAfter(chain)?.length === 1) {
    const { handed } = office;
    return begin(room, handed);
  }
  if (members.get(room.owner)) return room.alarm({ kind: "ownership-imposed", who: room.self });
  if (grantNow(room)) {
    office.offered = true;
    return tellOfOwner(room, room.identity.fingerprint);
  }
  // Without a grant this member cannot own the room: somebody else may.
  const [next] = members.longestStanding(1);
  if (!next || office.passes >= MOST_PASSES) return room.alarm({ kind: "ownership-imposed", who: room.self });
  office.passes += 1;
  room.command("transfer-owner", { user_id: next.userId });
  return undefined;
}

/** The chain by which this member may take the office now. @param {Machine} room */
function grantNow({ office, epochs, chain }) {
  const grant = office.grants.get(epochs.current.epoch);
  return grant?.linksAfter(chain)?.length === 1 ? grant : undefined;
}

/** The server says that the owner is gone: people are told, and nothing happens by itself. @param {Machine} room @param {string | undefined} heir */
function tellOfOwner(room, heir) {
  const soon = room.ownerHeard !== undefined && room.time - room.ownerHeard < SOON_MS;
  const silentMs = room.ownerHeard === undefined ? undefined : room.time - room.ownerHeard;
  const name = room.members.names.get(room.owner) ?? "";
  room.event({ type: "owner-gone", name, ...(heir !== undefined && { heir }), ...(silentMs !== undefined && { silentMs }), soon });
}

/** The person takes the office of an owner that is gone. @param {Machine} room */
export async function takeOffice(room) {
  const grant = grantNow(room);
  if (!grant || !room.office.offered || room.members.get(room.owner)) return false;
  await begin(room, grant);
  return true;
}

/** Becomes the owner: the first act is a rekey, which shows the chain. @param {Machine} room @param {OwnerChain} chain */
async function begin(room, chain) {
  room.office.forgetUpTo(room.epochs.current.epoch);
  room.office.unknown = true;
  await room.setOwner(chain);
  beginRekey(room);
}

/** Whether the owner that the relay names is the one that the chain names. @param {Machine} room */
function namedOwnerIsProved(room) {
  const named = room.relayOwner === room.userId ? room.identity.key : room.members.byUserId(room.relayOwner)?.key;
  return named !== undefined && equal(named, room.chain.owner);
}

/** Warns if the owner that the relay names has not proved itself in time, and withdraws a hand-over that was not answered. @param {Machine} room */
export function expireOffice(room) {
  const { office } = room;
  if (office.handOver?.until !== undefined && office.handOver.until <= room.time) withdraw(room, office.handOver.to);
  if (office.proof === undefined || office.proof > room.time) return;
  office.proof = undefined;
  // A newcomer may have been waiting for the owner's card.
  if (namedOwnerIsProved(room)) return;
  const member = room.members.byUserId(room.relayOwner);
  room.alarm({ kind: "owner-unproven", who: member ? whoIs(member) : stranger(room.relayOwner) });
  if (room.handedOver !== undefined) withdraw(room, room.handedOver);
}

/** A hand-over that came to nothing is undone by a rekey: its link is worth nothing in the next epoch. @param {Machine} room @param {string} to */
function withdraw(room, to) {
  room.office.handOver = undefined;
  room.handedOver = undefined;
  room.event({ type: "hand-over-failed", to });
  beginRekey(room);
}

/**
 * A member says that this one is its heir.
 *
 * @param {Machine} room
 * @param {Member} member
 * @param {Extract<import("../../sealed/body.js").Body, { type: "succession" }>} body
 */
export async function namedHeir(room, member, { chain, transfer }) {
  const grant = await OwnerChain.read(room.chain.root, chain).catch((error) => {
    if (error instanceof SealedError) return undefined;
    throw error;
  });
  const [link, ...more] = grant?.linksAfter(room.chain) ?? [];
  const byOwner = equal(member.key, room.chain.owner);
  // Its author follows an owner that this member does not: the server, not its author, may have lied.
  if (grant && more.length > 0) return undefined;
  if (!grant || !link || !byOwner || !equal(link.key, room.identity.key)) {
    return room.alarm({ kind: "succession-forged", who: whoIs(member) });
  }
  const { epoch } = room.epochs.current;
  if (link.epoch < epoch || link.epoch > epoch + 1) return undefined;
  room.office.transfer = transfer;
  if (link.kind === "heir") room.office.grants.set(link.epoch, grant);
  else if (link.epoch === epoch) room.office.handed = grant;
  if (link.kind === "hand-over" && room.relayOwner === room.userId) return namedMyself(room);
  return undefined;
}

/** Whether a change of the room secret is under way. @param {Machine} room */
export const isRekeying = (room) => room.office.rekey !== undefined || room.outbox.holds("rekey");

/** Gives the members that would follow what they need to take over. @param {Machine} room */
export function supplyHeirs(room) {
  const { office, epochs } = room;
  if (!office.transfer || !room.governs || isRekeying(room)) return;
  room.outbox.queue.push(...grants(room, epochs.current.epoch));
}

/** Whether the room is being handed over. @param {Machine} room */
export const isHandingOver = (room) => room.office.handOver !== undefined || room.outbox.holds("hand-over");

/** The relay has answered a `transfer-owner`. @param {Machine} room @param {Answer} answer */
export function handOverAnswered(room, answer) {
  const { handOver } = room.office;
  if (!handOver) return;
  if (answer.cmd === "error") return withdraw(room, handOver.to);
  // From here on the successor has to prove itself; this member's word counts no more.
  room.office.handOver = undefined;
  room.office.proof = room.time + PROOF_MS;
  room.handedOver = handOver.to;
}

/** Starts the time in which the server must answer a hand-over. @param {Machine} room */
export function watchHandOver({ office, time }) {
  if (office.handOver) office.handOver.until ??= time + HAND_OVER_MS;
}

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

/** The relay has answered for invites' keys. @param {Machine} room @param {number} id @param {Answer} answer */
export async function keyAnswered(room, id, answer) {
  const wanted = room.office.invites.get(id);
  room.office.invites.delete(id);
  if (!wanted) return;
  if (isRekeying(room) && answer.cmd !== "error") {
    // The keys are dead already or are about to be: ask again afterwards.
    room.office.waiting.push(wanted);
  } else if (answer.cmd === "room-key" && answer.keys.length > 0 && room.governs) {
    wanted.made(await Promise.all(answer.keys.map((joinKey) => makeLink(room, wanted, joinKey))));
  } else {
    wanted.made(null);
  }
}

/** @param {Machine} room @param {Wanted} wanted @param {string} joinKey @returns {Promise<Link>} */
async function makeLink(room, { kind, expiresInS }, joinKey) {
  const { identity, chain, epochs, settings, roomId, roomName } = room;
  const { epoch, bytes } = epochs.current;
  const expiry = expiresInS === undefined ? 0 : Math.floor(room.wall / 1000) + expiresInS;
  const certificate = await Certificate.issue(identity, chain, { epoch, id: randomBytes(INVITE_ID_BYTES), kind, expiry });
  const secret = new RoomSecret(epoch, bytes.slice());
  return { ...settings.server, roomId, joinKey, secret, roomName, certificate, chain };
}
