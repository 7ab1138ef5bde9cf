/**
 * Who is let in: judging the members that the relay lists by their cards, and never by the relay's word.
 */
import { equal, peekEpoch, toBase64 } from "../../sealed/bytes.js";
import { openCard } from "../../sealed/card.js";
import { refusalId } from "../../sealed/error.js";
import { recipientKey } from "../../sealed/identity.js";
import { pkcs1FromPem } from "../../sealed/public-key.js";
import { stranger } from "./alarms.js";
import { Counter, whoIs } from "./members.js";
import { placeOf, refuseEpoch } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./alarms.js").AlarmKind} AlarmKind */
/** @typedef {import("../../protocol/events.js").Listed} Listed */

/** For how long after its expiry an invite is still good, in seconds: clocks differ, and joining takes time. */
const EXPIRY_GRACE_S = 600;

/** Someone whose card holds. @typedef {{ userId: string, card: import("../../sealed/card.js").Card, pkcs1: string, recipient: CryptoKey }} Candidate */
/** @typedef {{ accept: Candidate } | { refuse: Alarm } | "not-here-yet" | "newer"} Verdict */

/** The list that comes with one's own entry. @param {Machine} room @param {string} ownerId @param {Listed[]} listed @param {number} now */
export async function enter(room, ownerId, listed, now) {
  const ids = new Set([room.userId]);
  /** @type {Candidate[]} */
  const candidates = [];
  // Most of the time goes into opening cards, which the browser does beside each other.
  const verdicts = await Promise.all(listed.map((one) => judge(room, one, false, now)));
  for (const [i, one] of listed.entries()) {
    const verdict = verdicts[i];
    if (ids.has(one.userId)) room.alarm({ kind: "user-id-twice", who: stranger(one.userId) });
    else if (typeof verdict === "object" && "accept" in verdict) candidates.push(verdict.accept);
    else turnAway(room, one.userId, verdict, false, now);
    ids.add(one.userId);
  }
  // Nobody can tell which of two users of one invite was first if both were there before: neither is let in.
  /** @type {Map<string, Set<string>>} */
  const uses = new Map();
  for (const { card } of candidates) {
    if (card.invite?.kind !== "one-time") continue;
    uses.set(card.invite.id, (uses.get(card.invite.id) ?? new Set()).add(card.fingerprint));
  }
  for (const candidate of candidates) {
    const { card, userId } = candidate;
    if (card.invite?.kind === "one-time" && (uses.get(card.invite.id)?.size ?? 0) > 1) {
      room.members.spend(card.invite, card.fingerprint);
      room.members.refusedPrints.add(card.fingerprint);
      refuse(room, { kind: "invite-reused", who: whoWouldBe(candidate) }, userId);
    } else if (room.members.get(card.fingerprint)) {
      refuse(room, { kind: "fingerprint-twice", who: whoWouldBe(candidate) }, userId);
    } else {
      accept(room, candidate, false);
    }
  }
  room.event({ type: "entered" });
  await room.nameOwner(ownerId, now);
}

/** Somebody joins. @param {Machine} room @param {Listed} listed @param {number} now */
export async function joinLive(room, listed, now) {
  const member = room.members.byUserId(listed.userId);
  if (listed.userId === room.userId) {
    room.alarm({ kind: "user-id-twice", who: stranger(listed.userId) });
  } else if (member) {
    room.alarm({ kind: sameKey(member, listed) ? "fingerprint-twice" : "user-id-twice", who: whoIs(member) });
  } else {
    room.members.dropped.delete(listed.userId);
    const verdict = await judge(room, listed, true, now);
    if (typeof verdict === "object" && "accept" in verdict) return accept(room, verdict.accept, true);
    turnAway(room, listed.userId, verdict, true, now);
    // Judged as soon as the secret is here, by the epoch that it came in.
    if (verdict === "newer") room.held.holdNewer(stranger(listed.userId), { type: "user-joined", user: listed }, now);
  }
}

/**
 * Who is in the room after an absence: the others have left, and who joined is judged as in a list.
 *
 * @param {Machine} room @param {{ ownerId: string, users: Listed[], here: string[] }} list @param {number} now
 */
export async function caughtUp(room, { ownerId, users, here }, now) {
  const { members } = room;
  const present = new Set([...here, ...users.map((listed) => listed.userId)]);
  for (const userId of [...members.byId.keys(), ...members.notHere.keys(), ...members.refused]) {
    if (!present.has(userId)) room.left(userId, "left");
  }
  for (const listed of users) {
    const member = members.byUserId(listed.userId);
    if (listed.userId === room.userId) room.alarm({ kind: "user-id-twice", who: stranger(listed.userId) });
    else if (member) {
      if (!sameKey(member, listed)) room.alarm({ kind: "key-swapped", who: whoIs(member) });
    } else if (!members.refused.has(listed.userId) && !members.dropped.has(listed.userId)) {
      const verdict = await judge(room, listed, false, now);
      if (typeof verdict === "object" && "accept" in verdict) accept(room, verdict.accept, false);
      else turnAway(room, listed.userId, verdict, false, now);
    }
  }
  if (ownerId !== room.relayOwner) await room.nameOwner(ownerId, now);
}

/** The answer to `list-members`: lets in those whose cards have become readable, and compares the others. @param {Machine} room @param {Listed[]} all @param {number} now */
export async function reconcile(room, all, now) {
  const { members, held } = room;
  for (const listed of all) {
    const { userId } = listed;
    if (userId === room.userId || members.dropped.has(userId)) continue;
    const member = members.byUserId(userId);
    if (member) {
      const place = placeOfCard(room, listed);
      if (!sameKey(member, listed)) room.alarm({ kind: "key-swapped", who: whoIs(member) });
      else if (place === "next") held.expectNewer(whoIs(member), now);
      else if (typeof place === "object") refuseEpoch(room, whoIs(member), place.beyond);
      else if (await isOtherCard(room, listed, member.fingerprint)) room.alarm({ kind: "card-swapped", who: whoIs(member) });
    } else if (members.notHere.has(userId)) {
      const live = members.notHere.get(userId) ?? false;
      const verdict = await judge(room, listed, live, now);
      if (typeof verdict === "object" && "accept" in verdict) accept(room, verdict.accept, live);
      else turnAway(room, userId, verdict, live, now);
    } else if (!members.refused.has(userId)) {
      refuse(room, { kind: "unannounced", who: stranger(userId) }, userId);
    }
  }
}

/** @param {Machine} room @param {Listed} listed @param {boolean} live @param {number} now @returns {Promise<Verdict>} */
async function judge(room, listed, live, now) {
  const opened = await open(room, listed, live);
  if (typeof opened !== "object" || !("accept" in opened)) return opened;
  const { accept: candidate } = opened;
  const known = objectionToFingerprint(room, candidate.card.fingerprint);
  if (known) return { refuse: { kind: known, who: whoWouldBe(candidate) } };
  const kind = await objectionToInvite(room, candidate, live, now);
  if (!kind) return opened;
  room.members.refusedPrints.add(candidate.card.fingerprint);
  return { refuse: { kind, who: whoWouldBe(candidate) } };
}

/** @param {Machine} room @param {Listed} listed @param {boolean} live @returns {Promise<Verdict>} */
async function open(room, listed, live) {
  /** @param {AlarmKind} kind */
  const refused = (kind) => ({ refuse: { kind, who: stranger(listed.userId) } });
  if (listed.card === null) return refused("no-card");
  let pkcs1, recipient;
  try {
    pkcs1 = pkcs1FromPem(listed.publicKeyPem);
    recipient = await recipientKey(pkcs1);
  } catch (error) {
    refusalId(error);
    return refused("bad-public-key");
  }
  const secret = room.epochs.current;
  try {
    const place = placeOf(room, peekEpoch(listed.card));
    if (place === "next") return "newer";
    if (place === "past") return live ? refused("card-outdated") : "not-here-yet";
    if (place !== "present") return refused(place.beyond);
    const card = await openCard(listed.card, pkcs1, room.chain.root, secret);
    return { accept: { userId: listed.userId, card, pkcs1: toBase64(pkcs1), recipient } };
  } catch (error) {
    const id = refusalId(error);
    if (id === "unknown-version") return refused("card-of-unknown-version");
    const forged = ["bad-signature", "bad-json", "bad-field", "bad-name", "bad-kind"].includes(id);
    return refused(forged ? "card-forged" : "card-does-not-open");
  }
}

/** What speaks against a fingerprint. @param {Machine} room @param {string} fingerprint @returns {AlarmKind | null} */
function objectionToFingerprint({ members, identity }, fingerprint) {
  if (fingerprint === identity.fingerprint || members.get(fingerprint)) return "fingerprint-twice";
  const gone = members.gone.get(fingerprint);
  if (gone !== undefined) return gone ? "removed-member-returned" : "member-returned";
  return members.refusedPrints.has(fingerprint) ? "refused-before" : null;
}

/** What speaks against the invite of someone whose card opens. @param {Machine} room @param {Candidate} candidate @param {boolean} live @param {number} now @returns {Promise<AlarmKind | null>} */
async function objectionToInvite(room, { card }, live, now) {
  const { members, chain } = room;
  const { fingerprint, invite } = card;
  if (!invite) return equal(card.key, chain.root) && !live ? null : "no-invite";
  const byOwner = await invite.isSignedBy(chain.root, chain.owner);
  if (!byOwner && !(await signedByAny(invite, chain))) return "invite-forged";
  if (live && !byOwner) return "invite-of-former-owner";
  const { epoch } = room.epochs.current;
  if (invite.epoch > epoch || (live && invite.epoch < epoch)) return "invite-outdated";
  if (live && invite.expiry !== 0 && Math.floor(now / 1000) > invite.expiry + EXPIRY_GRACE_S) return "invite-expired";
  return members.spentByOther(invite, fingerprint) ? "invite-reused" : null;
}

/** @param {import("../../sealed/certificate.js").Certificate} invite @param {import("../../sealed/chain.js").OwnerChain} chain */
async function signedByAny(invite, chain) {
  for (const owner of chain.owners) if (await invite.isSignedBy(chain.root, owner)) return true;
  return false;
}

/** @param {Machine} room @param {Candidate} candidate @param {boolean} live */
function accept(room, { userId, card, pkcs1, recipient }, live) {
  const { fingerprint, key, name } = card;
  room.members.spend(card.invite, fingerprint);
  room.replay.push(...room.held.releaseEarly(userId));
  const counters = { room: new Counter(live ? 0 : null), private: new Counter(0), told: 0 };
  room.members.accept({ userId, fingerprint, key, pkcs1, recipient, name, verified: false, ...counters }, room.name);
  room.event({ type: "member-joined", member: fingerprint, live });
}

/** @param {Machine} room @param {string} userId @param {Exclude<Verdict, { accept: Candidate }>} verdict @param {boolean} live @param {number} now */
function turnAway(room, userId, verdict, live, now) {
  if (typeof verdict === "object") return refuse(room, verdict.refuse, userId);
  if (verdict === "newer") room.held.expectNewer(stranger(userId), now);
  else room.listing.want(now);
  if (!room.members.notHere.has(userId)) room.event({ type: "not-here-yet", userId });
  room.members.notHere.set(userId, live);
}

/** @param {Machine} room @param {Alarm} alarm @param {string} userId */
function refuse(room, alarm, userId) {
  room.members.notHere.delete(userId);
  room.members.refused.add(userId);
  room.alarm(alarm);
}

/** Where the epoch of a card stands; one that cannot be read is judged elsewhere. @param {Machine} room @param {Listed} listed @returns {import("./rekey.js").Place} */
function placeOfCard(room, listed) {
  try {
    return listed.card === null ? "present" : placeOf(room, peekEpoch(listed.card));
  } catch {
    return "present";
  }
}

/** Whether a card of this epoch is not the member's own. @param {Machine} room @param {Listed} listed @param {string} fingerprint */
async function isOtherCard(room, listed, fingerprint) {
  const opened = await open(room, listed, false);
  if (typeof opened !== "object") return false;
  return "refuse" in opened || opened.accept.card.fingerprint !== fingerprint;
}

/** @param {import("./members.js").Member} member @param {Listed} listed */
function sameKey(member, listed) {
  try {
    return toBase64(pkcs1FromPem(listed.publicKeyPem)) === member.pkcs1;
  } catch {
    return false;
  }
}

/** @param {Candidate} candidate @returns {import("./alarms.js").Who} */
const whoWouldBe = ({ userId, card }) => ({ userId, fingerprint: card.fingerprint, name: card.name });
