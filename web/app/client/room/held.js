/**
 * What has to wait: things of an epoch that has not come yet, and messages of members whose card is not readable yet.
 */

/** @typedef {import("./machine.js").Fact} Fact */

/** After this long without the new secret the user is warned, in milliseconds. */
const WARN_MS = 10_000;
/** After this long the membership is given up, in milliseconds. */
const GIVE_UP_MS = 60_000;
/** How many facts wait at most, of either kind; what comes beyond is lost and shows as missing. */
const MAX_HELD = 1024;
/** How soon the list of members is asked for again, in milliseconds; doubles each time up to the second. */
const RELIST_MS = 1_000;
const RELIST_LONGEST_MS = 30_000;

/** Facts that wait. */
export class Held {
  constructor() {
    /** @type {{ since: number, warned: boolean, facts: Fact[] } | undefined} */
    this.newer = undefined;
    /** With the time at which each is given up. @type {{ until: number, fact: Fact }[]} */
    this.early = [];
  }

  /** Something shows that there is a newer epoch. @param {number} now */
  expectNewer(now) {
    this.newer ??= { since: now, warned: false, facts: [] };
    return this.newer;
  }

  /** Keeps a fact until the next epoch. @param {Fact} fact @param {number} now */
  holdNewer(fact, now) {
    const { facts } = this.expectNewer(now);
    if (facts.length < MAX_HELD) facts.push(fact);
  }

  /** The next epoch is here. */
  releaseNewer() {
    const facts = this.newer?.facts ?? [];
    this.newer = undefined;
    return facts;
  }

  /** Keeps a message until its sender's card is readable. @param {Fact} fact @param {number} now */
  holdEarly(fact, now) {
    if (this.early.length < MAX_HELD) this.early.push({ until: now + GIVE_UP_MS, fact });
  }

  /** The sender's card is readable. @param {string} userId */
  releaseEarly(userId) {
    const released = this.early.filter(({ fact }) => isOf(fact, userId));
    this.early = this.early.filter(({ fact }) => !isOf(fact, userId));
    return released.map(({ fact }) => fact);
  }

  /** A user is gone, and with it what it left behind here. @param {string} userId */
  forget(userId) {
    this.early = this.early.filter(({ fact }) => !isOf(fact, userId));
    if (this.newer) this.newer.facts = this.newer.facts.filter((fact) => !isOf(fact, userId));
  }

  /** Whether a user's joining waits here. @param {string} userId */
  mentions(userId) {
    return this.newer?.facts.some((fact) => fact.type === "user-joined" && fact.user.userId === userId) ?? false;
  }

  /** @param {number} now @returns {"fine" | "warn" | "give-up"} */
  expire(now) {
    this.early = this.early.filter(({ until }) => until > now);
    const { newer } = this;
    if (newer && now - newer.since >= GIVE_UP_MS) return "give-up";
    if (!newer || newer.warned || now - newer.since < WARN_MS) return "fine";
    newer.warned = true;
    return "warn";
  }

  get deadlines() {
    const { newer } = this;
    const waiting = this.early.map(({ until }) => until);
    return newer ? [...waiting, newer.since + (newer.warned ? GIVE_UP_MS : WARN_MS)] : waiting;
  }
}

/** @param {Fact} fact @param {string} userId */
function isOf(fact, userId) {
  return (fact.type === "user-joined" && fact.user.userId === userId) || (fact.type === "message" && fact.userId === userId);
}

/** Asking for the list of members, again and again while someone in it is not readable. */
export class Listing {
  constructor() {
    this.asked = 0;
    /** @type {number | undefined} */
    this.due = undefined;
    this.pause = 0;
  }

  /** Somebody is not readable: ask soon, and later if it did not help. @param {number} now */
  want(now) {
    if (this.due !== undefined) return;
    this.pause = Math.min(Math.max(this.pause * 2, RELIST_MS), RELIST_LONGEST_MS);
    this.due = now + this.pause;
  }

  /** There is reason to think that it helps now. @param {number} now */
  wantNow(now) {
    this.pause = 0;
    this.due = now;
  }

  /** Whether to ask now. @param {number} now */
  takeDue(now) {
    const due = this.asked === 0 && this.due !== undefined && this.due <= now;
    if (due) this.due = undefined;
    return due;
  }

  get deadlines() {
    return this.due !== undefined && this.asked === 0 ? [this.due] : [];
  }
}
