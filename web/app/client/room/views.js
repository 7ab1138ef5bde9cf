/**
 * Comparing views: whom the senders take to be in the room, against whom this member does.
 */

/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./alarms.js").Who} Who */

/** How long a view may lag behind or run ahead, in milliseconds. */
const GRACE_MS = 60_000;
/** How many differing views are waited for at once. */
const MAX_AWAITED = 4096;

/** The view held now, those held lately, and those that senders hold and this member does not. */
export class Views {
  constructor() {
    this.current = "";
    /** With the time at which each was given up. @type {{ view: string, until: number }[]} */
    this.past = [];
    /** @type {{ view: string, sender: string, who: Who, deadline: number }[]} */
    this.awaited = [];
    /** Senders whose view stayed different. @type {Set<string>} */
    this.differing = new Set();
    this.blamed = false;
  }

  /** The membership has changed. @param {string} view @param {number} now */
  change(view, now) {
    if (view === this.current) return;
    this.past.push({ view: this.current, until: now });
    this.current = view;
    for (const awaited of this.awaited) if (awaited.view === view) this.differing.delete(awaited.sender);
    this.awaited = this.awaited.filter((awaited) => awaited.view !== view);
  }

  /** A message carries a view. @param {string} sender @param {Who} who @param {string} view @param {number} now */
  check(sender, who, view, now) {
    const held = view === this.current || this.past.some((past) => past.view === view && now - past.until <= GRACE_MS);
    if (held) {
      this.differing.delete(sender);
    } else if (this.awaited.length < MAX_AWAITED && !this.awaited.some((a) => a.view === view && a.sender === sender)) {
      this.awaited.push({ view, sender, who, deadline: now + GRACE_MS });
    }
  }

  /** Lets time pass and says which views never came to hold. @param {number} now @returns {Alarm[]} */
  expire(now) {
    this.past = this.past.filter((past) => now - past.until <= GRACE_MS);
    const late = this.awaited.filter((awaited) => awaited.deadline <= now);
    this.awaited = this.awaited.filter((awaited) => awaited.deadline > now);
    /** @type {Alarm[]} */
    const alarms = [];
    for (const { sender, who } of late) {
      if (this.differing.has(sender)) continue;
      this.differing.add(sender);
      alarms.push({ kind: "sees-another-room", who });
    }
    if (this.differing.size >= 2 && !this.blamed) {
      this.blamed = true;
      alarms.push({ kind: "relay-shows-different-rooms" });
    }
    return alarms;
  }

  get deadlines() {
    return this.awaited.map((awaited) => awaited.deadline);
  }
}
