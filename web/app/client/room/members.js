/**
 * Who is accepted, who is gone, and which invites are spent. All state hangs on the fingerprint, never on the relay's user id.
 */
import { firstGroup } from "../../sealed/fingerprint.js";

/** @typedef {import("../../sealed/bytes.js").Bytes} Bytes */
/** @typedef {import("../../sealed/certificate.js").Certificate} Certificate */

/** Counts the messages of one sender in one direction. */
export class Counter {
  /** @param {number | null} last the last number; null while any may come first */
  constructor(last) {
    this.last = last;
    this.signature = "";
    this.seal = "";
  }

  /**
   * Takes a number. A repetition by the sender carries the same signature in a new seal; a repetition by the relay is the same seal.
   *
   * @param {number} n
   * @param {string} signature
   * @param {string} seal the hash of the sealed form
   * @returns {"sent-again" | "replayed" | { missing: number }}
   */
  count(n, signature, seal) {
    const { last } = this;
    if (last !== null && n <= last) {
      if (n !== last || signature !== this.signature || seal === this.seal) return "replayed";
      this.seal = seal;
      return "sent-again";
    }
    Object.assign(this, { last: n, signature, seal });
    return { missing: last === null ? 0 : n - last - 1 };
  }
}

/**
 * @typedef {object} Member an accepted member
 * @property {string} userId
 * @property {string} fingerprint
 * @property {Bytes} key the public signing key
 * @property {string} pkcs1 the public RSA key, in base64
 * @property {CryptoKey} recipient the same, to be sealed to
 * @property {string} name
 * @property {boolean} marked whether somebody else had the name before
 * @property {boolean} verified
 * @property {Counter} room what it said to the room
 * @property {Counter} private what it said to this member alone
 * @property {number} told the number of the last private message to it
 */

/** The name as it is shown. @param {Member} member */
export const shownName = ({ name, marked, fingerprint }) => (marked ? `${name} (${firstGroup(fingerprint)})` : name);

/** @param {Member} member @returns {import("./alarms.js").Who} */
export const whoIs = (member) => ({ userId: member.userId, fingerprint: member.fingerprint, name: shownName(member) });

/** Everyone that this membership has ever known. */
export class Members {
  constructor() {
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
    /** Fingerprints whose invite was refused. They stay so: the rules for a list, which cannot judge as much, must not let them in. @type {Set<string>} */
    this.refusedPrints = new Set();
    /** Listed by the relay, with a card of another epoch; true for those who joined live, and are judged so. @type {Map<string, boolean>} */
    this.notHere = new Map();
    /** Dropped here before the relay said so: what it still delivers from them is ignored. @type {Set<string>} */
    this.dropped = new Set();
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

  /** The longest-standing members. @param {number} count */
  longestStanding(count) {
    return [...this.accepted.keys()].slice(0, count);
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

  /** Takes a member in; whether its name is marked is set here. @param {Omit<Member, "marked">} member @param {string} ownName */
  accept(member, ownName) {
    const marked = member.name === ownName || [...this.accepted.values()].some((other) => other.name === member.name);
    this.version += 1;
    this.notHere.delete(member.userId);
    this.refused.delete(member.userId);
    this.byId.set(member.userId, member.fingerprint);
    this.accepted.set(member.fingerprint, { ...member, marked });
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
}
