/**
 * What can go wrong with a wish: entering a room, and what one wants in it.
 */

/** Entry was refused, or there is no connection. */
export class EntryError extends Error {
  /** @param {string} code an error code of the protocol, or why there is no connection */
  constructor(code) {
    super(code);
    this.name = "EntryError";
    this.code = code;
  }
}

/** A wish that cannot be had. */
export class RoomError extends Error {
  /** @param {"not-inside" | "not-owner" | "alone" | "no-such-member" | "no-such-message" | "too-long" | "busy" | "no-key"} id */
  constructor(id) {
    super(id);
    this.name = "RoomError";
    this.id = id;
  }
}
