/**
 * Comparing views: whom the senders take to be in the room, against whom this member does.
 */

/** How long a view may lag behind or run ahead, in milliseconds of connected time. */
const GRACE_MS = 60_000;
/** How many differing views of one sender are waited for. */
const MOST_OF_ONE = 4;

/** The view held now, those held lately, and those that senders hold and this member does not. */
export class Views {
  constructor() {
    this.current = "";
    /** With the time at which each was given up. @type {{ view: string, until: number }[]} */
    this.past = [];
    /** By sender, oldest first. @type {Map<string, { view: string, deadline: number }[]>} */
    this.awaited = new Map();
    /** Senders whose view stayed different. @type {Set<string>} */
    this.differing = new Set();
  }

  /** The membership or the epoch has changed. @param {string} view @param {number} time */
  change(view, time) {
    if (view === this.current) return;
    this.past.push({ view: this.current, until: time });
    this.current = view;
    for (const [sender, waiting] of this.awaited) {
      const left = waiting.filter((one) => one.view !== view);
      if (left.length < waiting.length) this.differing.delete(sender);
      this.awaited.set(sender, left);
    }
  }

  /** A message carries a view. @param {string} sender @param {string} view @param {number} time */
  check(sender, view, time) {
    if (view === this.current || this.past.some((past) => past.view === view && time - past.until <= GRACE_MS)) {
      this.differing.delete(sender);
      return;
    }
    const waiting = this.awaited.get(sender) ?? [];
    if (waiting.some((one) => one.view === view)) return;
    // The oldest is the first that can be late: it stays.
    this.awaited.set(sender, [...waiting.slice(0, MOST_OF_ONE - 1), { view, deadline: time + GRACE_MS }]);
  }

  /** @param {string} sender */
  forget(sender) {
    this.awaited.delete(sender);
    this.differing.delete(sender);
  }

  /** Lets time pass and says whose view never came to hold. @param {number} time @returns {string[]} */
  expire(time) {
    this.past = this.past.filter((past) => time - past.until <= GRACE_MS);
    /** @type {string[]} */
    const late = [];
    for (const [sender, waiting] of this.awaited) {
      const left = waiting.filter((one) => one.deadline > time);
      if (left.length < waiting.length && !this.differing.has(sender)) late.push(sender);
      if (left.length < waiting.length) this.differing.add(sender);
      this.awaited.set(sender, left);
    }
    return late;
  }

  get deadlines() {
    return [...this.awaited.values()].flat().map(({ deadline }) => deadline);
  }
}
