/**
 * Who is accepted, who is gone, and which invites are spent. All state hangs on the fingerprint, never on the relay's user id.
 */
import { equal } from "../../sealed/bytes.js";
import { groups } from "../../sealed/fingerprint.js";
import { skeleton } from "../../sealed/name.js";

/** @typedef {import("../../sealed/bytes.js").Bytes} Bytes */
/** @typedef {import("../../sealed/certificate.js").Certificate} Certificate */
/** @typedef {import("../../sealed/card.js").Leaf} Leaf */

/**
 * @typedef {object} Member an accepted member
 * @property {string} userId
 * @property {string} fingerprint
 * @property {Bytes} key the public signing key
 * @property {string} name
 * @property {number} mark how many groups of its fingerprint tell it from those whose names look alike; 0 if none do
 * @property {boolean} verified
 * @property {Leaf} leaf the newest that it has shown
 * @property {string} card the card that it was read from, as the relay gave it
 * @property {number} epoch the newest in which something of it opened
 * @property {boolean} live whether it came after this one
 * @property {number} toldFrom one's own last room number when it was accepted: what the hands to it say
 * @property {Counter} room what it said to the room
 * @property {Counter} private what it said to this member alone
 * @property {number} told the number of the last private message to it
 * @property {(import("../../sealed/ratchet.js").ReceiverChain & { epoch: number }) | undefined} chain
 * @property {string} lastShared the hash of the last message that its chain opened
 */

/** Counts the messages of one sender in one direction. */
export class Counter {
  /** @param {number | null} beginning the number before the first; null until the sender has told it */
  constructor(beginning) {
    this.beginning = beginning;
    this.last = beginning ?? 0;
    /** The said hash of the last one. */
    this.said = "";
    /** What was shown as missing, newest last. @type {{ from: number, to: number }[]} */
    this.missing = [];
  }

  /** The sender says where it begins; the first word counts. @param {number} said @returns {boolean} whether it is still the same */
  begin(said) {
    if (this.beginning === null) {
      this.beginning = said;
      this.last = Math.max(this.last, said);
    }
    return this.beginning === said;
  }

  /**
   * Takes a number.
   *
   * @param {number} n
   * @param {string} said the message's said hash
   * @returns {"sent-again" | "says-two-things" | "counts-backwards" | { missing: number }}
   */
  count(n, said) {
    if (n < this.last || (n === this.last && this.said === "")) return "counts-backwards";
    if (n === this.last) return this.said === said ? "sent-again" : "says-two-things";
    const missing = n - this.last - 1;
    if (missing > 0) this.missing = [...this.missing, { from: this.last + 1, to: n - 1 }].slice(-MOST_GAPS);
    Object.assign(this, { last: n, said });
    return { missing };
  }

  /** Whether a number can still come, or has come. @param {number} n */
  expects(n) {
    return this.beginning !== null && n > this.beginning && !this.missing.some(({ from, to }) => n >= from && n <= to);
  }
}
/** How many runs of missing messages are remembered. */
const MOST_GAPS = 64;

/** The name as it is shown. @param {{ name: string, mark: number, fingerprint: string }} member */
export const shownName = ({ name, mark, fingerprint }) =>
  mark > 0 ? `${name} (${groups(fingerprint).slice(0, mark).join(" ")})` : name;

/** @param {Member} member @returns {import("./alarms.js").Who} */
export const whoIs = (member) => ({ userId: member.userId, fingerprint: member.fingerprint, name: shownName(member) });

/** Everyone that this membership has ever known. */
export class Members {
  /** @param {{ name: string, fingerprint: string }} self */
  constructor(self) {
    this.self = { ...self, mark: 0 };
    /** By fingerprint, in the order of joining. @type {Map<string, Member>} */
    this.accepted = new Map();
    /** @type {Map<string, string>} */
    this.byId = new Map();
    /** Never accepted again; true for those who were removed. @type {Map<string, boolean>} */
    this.gone = new Map();
    /** One-time invites and who used them. @type {Map<string, string>} */
    this.spent = new Map();
    /** Listed by the relay but not accepted: an alarm was raised already. @type {Set<string>} */
    this.refused = new Set();
    /** Fingerprints whose invite was refused. They stay so until the owner vouches for them. @type {Set<string>} */
    this.refusedPrints = new Set();
    /** Listed by the relay, with a card that cannot be judged yet. @type {Set<string>} */
    this.notHere = new Set();
    /** Dropped here before the relay said so: what it still delivers from them is ignored. @type {Set<string>} */
    this.dropped = new Set();
    /** Whom the owner accepted at its last rekey. @type {Set<string> | undefined} */
    this.roster = undefined;
    /** The names of all that were ever accepted. @type {Map<string, string>} */
    this.names = new Map();
    /** Changes whenever someone comes or goes. */
    this.version = 0;
  }

  /** @param {string} fingerprint */
  get(fingerprint) {
    return this.accepted.get(fingerprint);
  }

  /** @param {string} userId */
  byUserId(userId) {
    const fingerprint = this.byId.get(userId);
    return fingerprint === undefined ? undefined : this.accepted.get(fingerprint);
  }

  /** @param {Bytes} key */
  byKey(key) {
    return [...this.accepted.values()].find((member) => equal(member.key, key));
  }

  /** The longest-standing members. @param {number} count @param {string[]} [without] */
  longestStanding(count, without = []) {
    return [...this.accepted.values()].filter(({ fingerprint }) => !without.includes(fingerprint)).slice(0, count);
  }

  /** How many members were here before this one, not counting one. @param {string} without */
  longerStanding(without) {
    return [...this.accepted.values()].filter(({ live, fingerprint }) => !live && fingerprint !== without).length;
  }

  /** @param {Certificate} invite @param {string} fingerprint */
  spentByOther(invite, fingerprint) {
    const user = invite.kind === "one-time" ? this.spent.get(invite.id) : undefined;
    return user !== undefined && user !== fingerprint;
  }

  /** Marks an invite as used. @param {Certificate | undefined} invite @param {string} fingerprint */
  spend(invite, fingerprint) {
    if (invite?.kind === "one-time" && !this.spent.has(invite.id)) this.spent.set(invite.id, fingerprint);
  }

  /** Takes a member in. @param {Member} member */
  accept(member) {
    this.version += 1;
    this.notHere.delete(member.userId);
    this.refused.delete(member.userId);
    this.byId.set(member.userId, member.fingerprint);
    this.accepted.set(member.fingerprint, member);
    this.setMarks(member.name);
    this.names.set(member.fingerprint, member.name);
  }

  /** Lets a member go; it is never accepted again. @param {string} fingerprint @param {boolean} removed */
  drop(fingerprint, removed) {
    this.gone.set(fingerprint, removed || (this.gone.get(fingerprint) ?? false));
    const member = this.accepted.get(fingerprint);
    if (!member) return undefined;
    this.version += 1;
    this.accepted.delete(fingerprint);
    this.byId.delete(member.userId);
    return member;
  }

  /** Marks all whose names look like this one, with as many groups as tell them apart. @param {string} name */
  setMarks(name) {
    const looks = skeleton(name);
    const alike = [this.self, ...this.accepted.values()].filter((one) => skeleton(one.name) === looks);
    let mark = 0;
    if (alike.length > 1) {
      const prints = alike.map(({ fingerprint }) => groups(fingerprint));
      for (mark = 1; mark < 12; mark++) if (new Set(prints.map((print) => print.slice(0, mark).join())).size === alike.length) break;
    }
    for (const one of alike) one.mark = mark;
  }
}
