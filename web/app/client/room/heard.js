/**
 * What was said by whom, by its hash: what `after` names, what references find, and who has confirmed one's own words.
 */
import { shortAuthor } from "../../sealed/said.js";

/** @typedef {import("../../sealed/said.js").After} After */

/** How many hashes are kept of one author. */
const MOST_OF_ONE = 256;
/** How many authors a message names. */
const MOST_NAMED = 4;

/** The hashes of what was heard, and of what one said. */
export class Heard {
  constructor() {
    /** By author, then by number. @type {Map<string, Map<number, string>>} */
    this.said = new Map();
    /** The newest number of each author, the latest heard last. @type {Map<string, number>} */
    this.newest = new Map();
    /** Pairs that were found to disagree. @type {Set<string>} */
    this.disagreeing = new Set();
  }

  /** @param {string} author a fingerprint @param {number} n @param {string} said */
  add(author, n, said) {
    const all = this.said.get(author) ?? new Map();
    this.said.set(author, all.set(n, said));
    if (all.size > MOST_OF_ONE) all.delete(all.keys().next().value ?? 0);
    this.newest.delete(author);
    this.newest.set(author, n);
  }

  /** @param {string} author @param {number} n */
  get(author, n) {
    return this.said.get(author)?.get(n);
  }

  /** What one's next message names. @param {string} self @returns {After[]} */
  after(self) {
    const authors = [...this.newest.entries()].filter(([author]) => author !== self).slice(-MOST_NAMED);
    return authors.map(([author, n]) => ({ author: shortAuthor(author), n, said: this.get(author, n) ?? "" }));
  }

  /** @param {string} author */
  forget(author) {
    this.newest.delete(author);
  }
}

/** How what one member says to another alone is kept. @param {string} author @param {string} to */
export const conversation = (author, to) => `${author}/${to}`;

/** For how long of one's talking a member may confirm nothing, in milliseconds. */
const SILENT_MS = 120_000;

/** Who has confirmed what one said to the room. */
export class Confirmations {
  constructor() {
    /** By member: the time of one's first words that it has not confirmed, and their number. @type {Map<string, { n: number, since: number }>} */
    this.open = new Map();
    /** Members of whom the user was told. @type {Set<string>} */
    this.told = new Set();
  }

  /** One has said something that asks for it. Says who has been silent for too long. @param {number} n @param {Iterable<string>} members @param {number} time @returns {string[]} */
  said(n, members, time) {
    const silent = [];
    for (const member of members) {
      const first = this.open.get(member);
      if (!first) this.open.set(member, { n, since: time });
      else if (time - first.since >= SILENT_MS && !this.told.has(member)) silent.push(member);
    }
    for (const member of silent) this.told.add(member);
    return silent;
  }

  /** A member names words of one's own. @param {string} member @param {number} n @param {number} last one's own last number @param {number} time */
  confirmed(member, n, last, time) {
    const first = this.open.get(member);
    if (!first || n < first.n) return;
    this.told.delete(member);
    if (n >= last) this.open.delete(member);
    else this.open.set(member, { n: n + 1, since: time });
  }

  /** @param {string} member */
  forget(member) {
    this.open.delete(member);
    this.told.delete(member);
  }
}
