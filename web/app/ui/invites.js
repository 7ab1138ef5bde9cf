/**
 * The invites of a room, each with its label and its state, as long as the room lasts.
 */

/**
 * @typedef {object} Made
 * @property {string} url
 * @property {string} joinKey
 * @property {string} id of its certificate
 * @property {"one-time" | "forever"} kind
 * @property {number} expiry unix seconds; 0 for none
 * @property {string} label the guest, in the words of the person who made the link; may be empty
 * @property {number} number
 * @property {boolean} withdrawn
 * @property {string} usedBy the name of the member that came by it; may be empty
 */
/** @typedef {"waiting" | "used" | "expired" | "withdrawn"} InviteState */
/** @typedef {import("../client/room.js").Room} Room */

/** See the module. */
export class Invites {
  /** @param {Room} room */
  constructor(room) {
    this.room = room;
    /** Newest first. @type {Made[]} */
    this.made = [];
    this.count = 0;
    /** Called when the state of one has changed. @type {Set<() => void>} */
    this.watchers = new Set();
  }

  /** @param {"one-time" | "forever"} kind @param {{ count?: number, expiresInS?: number, label?: string }} options */
  async make(kind, { label = "", ...options } = {}) {
    const fresh = await this.room.invite(kind, options);
    for (const link of fresh) {
      // The permanent link is the same until it is reset.
      if (kind === "forever") this.made = this.made.filter(({ joinKey }) => joinKey !== link.joinKey);
      this.made.unshift({ ...link, kind, label, number: ++this.count, withdrawn: false, usedBy: "" });
    }
    this.changed();
    return this.made.slice(0, fresh.length);
  }

  /** @param {Made} link */
  async withdraw(link) {
    await this.room.revoke(link.joinKey);
    link.withdrawn = true;
    this.changed();
  }

  /** All links made so far are dead. */
  allWithdrawn() {
    for (const link of this.made) link.withdrawn ||= link.usedBy === "";
    this.changed();
  }

  /** Somebody came in. @param {string} inviteId @param {string} name @returns {Made | undefined} the invite that was used up */
  used(inviteId, name) {
    const link = this.made.find(({ id, kind }) => id === inviteId && kind === "one-time");
    if (!link) return undefined;
    link.usedBy = name;
    this.changed();
    return link;
  }

  changed() {
    for (const watcher of this.watchers) watcher();
  }
}

/** @param {Made} link @param {number} now unix milliseconds @returns {InviteState} */
export function stateOf({ usedBy, withdrawn, expiry }, now) {
  if (usedBy !== "") return "used";
  if (withdrawn) return "withdrawn";
  return expiry !== 0 && expiry * 1000 <= now ? "expired" : "waiting";
}
