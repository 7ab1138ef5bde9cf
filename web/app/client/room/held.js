/**
 * What has to wait: things of newer epochs, whose secret has not come, and messages of members whose card is not readable yet.
 *
 * The epoch in a header is anybody's word until the secret opens what stands behind it. So what waits is bounded, and by sender too, it is dropped
 * after a while, and the user is told of whoever it is from: nobody else may suffer by it.
 */

/** @typedef {import("./room-events.js").Fact} Fact */
/** @typedef {import("./alarms.js").Who} Who */

/** After this long without the new secret the user is warned, in milliseconds of connected time. */
const WARN_MS = 60_000;
/** After this long what waits is dropped, in milliseconds of connected time. */
const DROP_MS = 60_000;
/** How much waits at most, of either kind, and how much of it from one user. What comes beyond is lost and shows as missing. */
const MOST = { facts: 256, characters: 1 << 20 };
const MOST_OF_ONE = { facts: 64, characters: 1 << 18 };
/** How soon the list of members is asked for again, in milliseconds; doubles each time up to the second. */
const RELIST_MS = 1_000;
const RELIST_LONGEST_MS = 30_000;
/** For how long a list is new, in milliseconds. */
const FRESH_MS = 120_000;

/** Facts, each with the time at which it is given up. */
class Waiting {
  constructor() {
    /** @type {{ until: number, fact: Fact }[]} */
    this.all = [];
  }

  /** Keeps a fact about a user, if there is room for it. @param {string} userId @param {Fact} fact @param {number} time */
  push(userId, fact, time) {
    const facts = this.all.map((held) => held.fact);
    const ofOne = facts.filter((held) => isOf(held, userId));
    if (hasRoom(facts, fact, MOST) && hasRoom(ofOne, fact, MOST_OF_ONE)) this.all.push({ until: time + DROP_MS, fact });
  }

  /** Hands out the facts that are wanted. @param {(fact: Fact) => boolean} wanted */
  take(wanted) {
    const taken = this.all.filter(({ fact }) => wanted(fact));
    this.all = this.all.filter(({ fact }) => !wanted(fact));
    return taken.map(({ fact }) => fact);
  }

  /** @param {number} time */
  expire(time) {
    this.all = this.all.filter(({ until }) => until > time);
  }
}

/** @param {Fact[]} held @param {Fact} more @param {typeof MOST} most */
function hasRoom(held, more, most) {
  const characters = held.reduce((sum, fact) => sum + size(fact), size(more));
  return held.length < most.facts && characters <= most.characters;
}

/** @param {Fact} fact */
function size(fact) {
  if (fact.type === "user-joined") return fact.user.card?.length ?? 0;
  return fact.type === "message" ? fact.content.length + (fact.shared?.length ?? 0) : 0;
}

/** @param {Fact} fact @param {string} userId */
function isOf(fact, userId) {
  return (fact.type === "user-joined" && fact.user.userId === userId) || (fact.type === "message" && fact.userId === userId);
}

/** Facts that wait. */
export class Held {
  constructor() {
    this.newer = new Waiting();
    this.early = new Waiting();
    /** Users who claim a newer epoch, and when the user is told of them. @type {Map<string, { due: number, who: Who }>} */
    this.claims = new Map();
    /** Users of whom the user was told since the epoch began: once is enough. @type {Set<string>} */
    this.told = new Set();
  }

  /** Something of this user claims to be of a newer epoch. @param {Who} who @param {number} time */
  expectNewer(who, time) {
    if (!this.told.has(who.userId) && !this.claims.has(who.userId)) this.claims.set(who.userId, { due: time + WARN_MS, who });
  }

  /** Keeps a fact until the next secret comes, if there is room for it. @param {Who} who @param {Fact} fact @param {number} time */
  holdNewer(who, fact, time) {
    this.newer.push(who.userId, fact, time);
    this.expectNewer(who, time);
  }

  /** Whether the user has not been told yet, in this epoch, that this user claims another. @param {string} userId */
  tellOf(userId) {
    this.claims.delete(userId);
    const isNew = !this.told.has(userId);
    this.told.add(userId);
    return isNew;
  }

  /** A newer secret is here. */
  releaseNewer() {
    this.claims.clear();
    this.told.clear();
    return this.newer.take(() => true);
  }

  /** Keeps a message until its sender's card is readable. @param {string} userId @param {Fact} fact @param {number} time */
  holdEarly(userId, fact, time) {
    this.early.push(userId, fact, time);
  }

  /** The sender's card is readable. @param {string} userId */
  releaseEarly(userId) {
    return this.early.take((fact) => isOf(fact, userId));
  }

  /** A user is gone, and with it what it left behind here. @param {string} userId */
  forget(userId) {
    this.early.take((fact) => isOf(fact, userId));
    this.newer.take((fact) => isOf(fact, userId));
    this.claims.delete(userId);
    this.told.delete(userId);
  }

  /** Lets time pass and says of whom the user is to be told. @param {number} time */
  expire(time) {
    this.early.expire(time);
    this.newer.expire(time);
    const due = [...this.claims.values()].filter((claim) => claim.due <= time).map(({ who }) => who);
    for (const { userId } of due) {
      this.claims.delete(userId);
      this.told.add(userId);
    }
    return due;
  }

  get deadlines() {
    return [...[...this.early.all, ...this.newer.all].map(({ until }) => until), ...[...this.claims.values()].map(({ due }) => due)];
  }
}

/** Asking for the list of members, again and again while someone in it is not readable. */
export class Listing {
  constructor() {
    this.asked = 0;
    /** When the last list came, in connected time of this connection. @type {number | undefined} */
    this.came = undefined;
    /** @type {number | undefined} */
    this.due = undefined;
    this.pause = 0;
    /** Whether the relay refused the last one. */
    this.failed = false;
  }

  /** Somebody is not readable: ask soon, and later if it did not help. @param {number} time */
  want(time) {
    if (this.due !== undefined) return;
    this.pause = Math.min(Math.max(this.pause * 2, RELIST_MS), RELIST_LONGEST_MS);
    this.due = time + this.pause;
  }

  /** There is reason to think that it helps. @param {number} time */
  wantNow(time) {
    this.pause = 0;
    this.due = time;
  }

  /** Whether to ask time. @param {number} time */
  takeDue(time) {
    const due = this.asked === 0 && this.due !== undefined && this.due <= time;
    if (due) this.due = undefined;
    return due;
  }

  /** Whether the last list is new enough to hand a chain by. @param {number} time */
  isFresh(time) {
    return this.came !== undefined && time - this.came <= FRESH_MS;
  }

  /** The connection is gone: what was asked is asked anew. */
  disconnected() {
    this.came = undefined;
    this.failed = false;
    this.pause = 0;
  }

  get deadlines() {
    return this.due !== undefined && this.asked === 0 ? [this.due] : [];
  }
}
