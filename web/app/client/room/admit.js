/**
 * Who is let in: judging the members that the relay lists by their cards, and never by the relay's word.
 */
import { equal, peekEpoch } from "../../sealed/bytes.js";
import { openCard } from "../../sealed/card.js";
import { refusalId } from "../../sealed/error.js";
import { stranger } from "./alarms.js";
import { lackSecret } from "./healing.js";
import { Counter, whoIs } from "./members.js";
import { failedToOpen } from "./receive.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./alarms.js").AlarmKind} AlarmKind */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../protocol/events.js").Listed} Listed */
/** @typedef {import("../../sealed/card.js").Card} Card */

/** For how long after its expiry an invite is still good, in seconds: joining takes time. */
const EXPIRY_GRACE_S = 600;

/** Someone whose card holds. @typedef {{ userId: string, card: Card, sealed: string }} Candidate */
/** @typedef {{ accept: Candidate } | { refuse: Alarm } | "not-here-yet" | "newer"} Verdict */

/** The list that comes with one's own entry. @param {Machine} room @param {string} ownerId @param {Listed[]} listed */
export async function enter(room, ownerId, listed) {
  const ids = new Set([room.userId]);
  /** @type {Candidate[]} */
  const candidates = [];
  // Most of the time goes into opening cards, which the browser does beside each other.
  const verdicts = await Promise.all(listed.map((one) => judge(room, one, false)));
  for (const [i, one] of listed.entries()) {
    const verdict = verdicts[i];
    if (ids.has(one.userId)) room.alarm({ kind: "user-id-twice", who: stranger(one.userId) });
    else if (typeof verdict === "object" && "accept" in verdict) candidates.push(verdict.accept);
    else turnAway(room, one.userId, verdict);
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
  await room.nameOwner(ownerId);
}

/** Somebody joins. Only a card of the present epoch, seen at once, is judged as strictly as that allows. @param {Machine} room @param {Listed} listed */
export async function joinLive(room, listed) {
  const { members } = room;
  const member = members.byUserId(listed.userId);
  if (listed.userId === room.userId) return room.alarm({ kind: "user-id-twice", who: stranger(listed.userId) });
  if (member) {
    const same = listed.card === member.card;
    return room.alarm({ kind: same ? "fingerprint-twice" : "user-id-twice", who: whoIs(member) });
  }
  members.dropped.delete(listed.userId);
  if (!room.connected) {
    members.notHere.add(listed.userId);
    return room.listing.want(room.time);
  }
  const verdict = await judge(room, listed, true);
  if (typeof verdict === "object" && "accept" in verdict) return accept(room, verdict.accept, true);
  return turnAway(room, listed.userId, verdict);
}

/**
 * Who is in the room after an absence: the others have left, and who joined is judged as in a list.
 *
 * @param {Machine} room @param {{ ownerId: string, users: Listed[], here: string[] }} list
 */
export async function caughtUp(room, { ownerId, users, here }) {
  const { members } = room;
  const present = new Set([...here, ...users.map((listed) => listed.userId)]);
  for (const userId of [...members.byId.keys(), ...members.notHere, ...members.refused]) {
    if (!present.has(userId)) await room.left(userId, "left");
  }
  for (const listed of users) {
    const { userId } = listed;
    const member = members.byUserId(userId);
    if (userId === room.userId) room.alarm({ kind: "user-id-twice", who: stranger(userId) });
    else if (member) await compareCard(room, member, listed);
    else if (!members.refused.has(userId) && !members.dropped.has(userId)) {
      const verdict = await judge(room, listed, false);
      if (typeof verdict === "object" && "accept" in verdict) accept(room, verdict.accept, false);
      else turnAway(room, userId, verdict);
    }
  }
  if (ownerId !== room.relayOwner) await room.nameOwner(ownerId);
}

/** The answer to `list-members`: lets in those whose cards have become readable, and compares the others. @param {Machine} room @param {Listed[]} all */
export async function reconcile(room, all) {
  const { members } = room;
  for (const listed of all) {
    const { userId } = listed;
    if (userId === room.userId || members.dropped.has(userId)) continue;
    const member = members.byUserId(userId);
    if (member) {
      await compareCard(room, member, listed);
    } else if (members.notHere.has(userId)) {
      const verdict = await judge(room, listed, false);
      if (typeof verdict === "object" && "accept" in verdict) accept(room, verdict.accept, false);
      else turnAway(room, userId, verdict);
    } else if (!members.refused.has(userId)) {
      refuse(room, { kind: "unannounced", who: stranger(userId) }, userId);
    }
  }
}

/** The card of an accepted member, as the relay shows it now: it brings its newest leaf. @param {Machine} room @param {Member} member @param {Listed} listed */
async function compareCard(room, member, listed) {
  if (listed.card === null || listed.card === member.card) return;
  const present = room.epochs.current.epoch;
  try {
    const epoch = peekEpoch(listed.card);
    if (epoch > present) return claimsNewer(room, whoIs(member));
    if (epoch < present) return;
    const card = await openCard(listed.card, room.chain.root, room.epochs.current);
    if (card.fingerprint !== member.fingerprint) return room.alarm({ kind: "identity-swapped", who: whoIs(member) });
    member.card = listed.card;
    member.epoch = Math.max(member.epoch, present);
    room.failing.delete(member.fingerprint);
    const { leaf } = card;
    if (leaf.generation > member.leaf.generation) member.leaf = leaf;
    else if (leaf.generation === member.leaf.generation && !equal(leaf.publicKey, member.leaf.publicKey)) {
      room.alarm({ kind: "leaf-swapped", who: whoIs(member) });
    }
  } catch (error) {
    refusalId(error);
    failedToOpen(room, member, present);
  }
}

/** Somebody shows a newer epoch than one's own. @param {Machine} room @param {import("./alarms.js").Who} who */
function claimsNewer(room, who) {
  if (!room.isOwner) {
    room.held.expectNewer(who, room.time);
    return lackSecret(room);
  }
  if (room.held.tellOf(who.userId)) room.alarm({ kind: "secret-never-issued", who });
}

/** @param {Machine} room @param {Listed} listed @param {boolean} live @returns {Promise<Verdict>} */
async function judge(room, listed, live) {
  const opened = await open(room, listed);
  if (typeof opened !== "object" || !("accept" in opened)) return opened;
  const { accept: candidate } = opened;
  const known = objectionToFingerprint(room, candidate.card.fingerprint);
  if (known) return { refuse: { kind: known, who: whoWouldBe(candidate) } };
  const kind = await objectionToInvite(room, candidate.card, live);
  if (!kind) return opened;
  room.members.refusedPrints.add(candidate.card.fingerprint);
  return { refuse: { kind, who: whoWouldBe(candidate) } };
}

/** @param {Machine} room @param {Listed} listed @returns {Promise<Verdict>} */
async function open(room, { userId, card: sealed }) {
  /** @param {AlarmKind} kind */
  const refused = (kind) => ({ refuse: { kind, who: stranger(userId) } });
  if (sealed === null) return refused("no-card");
  const secret = room.epochs.current;
  try {
    const epoch = peekEpoch(sealed);
    if (epoch > secret.epoch) return "newer";
    if (epoch < secret.epoch) return "not-here-yet";
    return { accept: { userId, card: await openCard(sealed, room.chain.root, secret), sealed } };
  } catch (error) {
    switch (refusalId(error)) {
      case "unknown-version":
        return refused("card-of-unknown-version");
      case "bad-signature":
        return refused("card-forged");
      default:
        return refused("card-does-not-open");
    }
  }
}

/** What speaks against a fingerprint. @param {Machine} room @param {string} fingerprint @returns {AlarmKind | null} */
function objectionToFingerprint({ members, identity }, fingerprint) {
  if (fingerprint === identity.fingerprint || members.get(fingerprint)) return "fingerprint-twice";
  const gone = members.gone.get(fingerprint);
  if (gone !== undefined) return gone ? "removed-member-returned" : "member-returned";
  return members.refusedPrints.has(fingerprint) ? "refused-before" : null;
}

/** What speaks against the invite of someone whose card opens. @param {Machine} room @param {Card} card @param {boolean} live @returns {Promise<AlarmKind | null>} */
async function objectionToInvite(room, { key, fingerprint, invite }, live) {
  const { members, chain, epochs } = room;
  const { epoch } = epochs.current;
  if (!live && members.roster?.has(fingerprint)) return null;
  if (!invite) return equal(key, chain.root) && !live ? null : "no-invite";
  if (!(await invite.isSignedIn(chain))) return "invite-forged";
  const isPresent = invite.isOfPresentOwner(chain) && invite.epoch === epoch;
  if (live && !invite.isOfPresentOwner(chain)) return "invite-of-former-owner";
  if (invite.epoch > epoch || (live && invite.epoch < epoch)) return "invite-outdated";
  if (!live && members.roster && !isPresent) return "not-in-roster";
  if (live && isExpired(room, invite.expiry)) return "invite-expired";
  return members.spentByOther(invite, fingerprint) ? "invite-reused" : null;
}

/** Whether an invite has run out by its owner's clock, as far as that is known here. @param {Machine} room @param {number} expiry in unix seconds */
function isExpired(room, expiry) {
  const clock = room.isOwner ? room.wall : room.ownerClock;
  return expiry !== 0 && clock !== undefined && Math.floor(clock / 1000) > expiry + EXPIRY_GRACE_S;
}

/** @param {Machine} room @param {Candidate} candidate @param {boolean} live */
function accept(room, { userId, card, sealed }, live) {
  const { fingerprint, key, name, leaf } = card;
  const { members, epochs, outbox, held, time } = room;
  members.spend(card.invite, fingerprint);
  room.replay.push(...held.releaseEarly(userId));
  members.accept({
    ...{ userId, fingerprint, key, name, leaf, card: sealed, live, since: time, epoch: epochs.current.epoch },
    ...{ mark: 0, verified: false, toldFrom: outbox.said, told: 0, chain: undefined, lastShared: "" },
    ...{ room: new Counter(null), private: new Counter(0) },
  });
  room.event({ type: "member-joined", member: fingerprint, live });
}

/** @param {Machine} room @param {string} userId @param {Exclude<Verdict, { accept: Candidate }>} verdict */
function turnAway(room, userId, verdict) {
  if (typeof verdict === "object") return refuse(room, verdict.refuse, userId);
  if (verdict === "newer") claimsNewer(room, stranger(userId));
  room.listing.want(room.time);
  if (!room.members.notHere.has(userId)) room.event({ type: "not-here-yet", userId });
  room.members.notHere.add(userId);
}

/** @param {Machine} room @param {Alarm} alarm @param {string} userId */
function refuse(room, alarm, userId) {
  room.members.notHere.delete(userId);
  room.members.refused.add(userId);
  room.alarm(alarm);
}

/** @param {Candidate} candidate @returns {import("./alarms.js").Who} */
const whoWouldBe = ({ userId, card }) => ({ userId, fingerprint: card.fingerprint, name: card.name });
