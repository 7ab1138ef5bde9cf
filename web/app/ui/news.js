/**
 * What happens in a room besides messages, in words for people.
 */
import { listOf, phrase } from "./i18n.js";

/** @typedef {import("../client/room/room-events.js").RoomEvent} RoomEvent */

/**
 * The words for an event; undefined if people need none.
 *
 * @param {RoomEvent} event
 * @param {string} self one's own fingerprint
 * @param {(member: string) => string} nameOf
 * @param {string} owner the present owner's name
 * @returns {{ text: string, warns: boolean } | undefined}
 */
export function newsOf(event, self, nameOf, owner) {
  switch (event.type) {
    case "missing": {
      const values = { name: nameOf(event.member), count: event.count };
      return { text: event.private ? phrase("event.missingPrivate", values) : phrase("event.missing", values), warns: true };
    }
    case "behind":
      return { text: phrase("event.behind", { name: nameOf(event.member) }), warns: false };
    case "unconfirmed":
      return { text: phrase("event.unconfirmed", { names: listOf(event.members.map(nameOf)) }), warns: true };
    case "owner-silent":
      return { text: phrase("event.ownerSilent", { name: owner, minutes: event.minutes }), warns: true };
    case "owner-gone": {
      const { name, heir, soon } = event;
      const gone = soon ? phrase("event.ownerGoneSoon", { name }) : phrase("event.ownerGone", { name });
      if (heir === undefined) return { text: gone, warns: true };
      const next = heir === self ? phrase("event.heirMe", { name }) : phrase("event.heir", { name: nameOf(heir) });
      return { text: `${gone} ${next}`, warns: true };
    }
    default:
      return undefined;
  }
}
