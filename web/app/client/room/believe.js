/**
 * What members say, once it is known who said it and that nothing before it is missing: what people see, and the settings of the room.
 */
import { conversation } from "./heard.js";
import { namedHeir } from "./owner.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("./after.js").Message} Message */
/** @typedef {import("../../sealed/body.js").Reference} Reference */
/** How a reference fits what this member has. @typedef {"same" | "unknown" | "differs"} Fit */

/** Whose messages can be changed, and which are gone: of one author in one conversation, by number. */
const MOST_OF_ONE = 256;

/** What was said that its author may still change. */
export class Lines {
  constructor() {
    /** @type {Map<string, Map<number, "text" | "file" | "deleted">>} */
    this.all = new Map();
  }

  /** @param {string} author a fingerprint, or a conversation @param {number} n @param {"text" | "file" | "deleted"} what */
  set(author, n, what) {
    const lines = this.all.get(author) ?? new Map();
    this.all.set(author, lines.set(n, what));
    if (lines.size > MOST_OF_ONE) lines.delete(lines.keys().next().value ?? 0);
  }

  /** @param {string} author @param {number} n */
  get(author, n) {
    return this.all.get(author)?.get(n);
  }
}

/** Takes a message at its word. @param {Machine} room @param {Member} member @param {Message} message @param {boolean} early shown although its author had seen something that is not here */
export async function believe(room, member, message, early) {
  const { body, at, n, hash, isPrivate, gone } = message;
  const from = member.fingerprint;
  const author = isPrivate ? conversation(from, room.identity.fingerprint) : from;
  const where = { from, n, private: isPrivate };
  if (from === room.owner && !isPrivate && message.timer !== undefined) room.setSettings(message.timer, message.marks ?? false);
  switch (body.type) {
    case "text":
      room.lines.set(author, n, "text");
      return room.event({
        ...{ type: "message", ...where, said: hash, text: body.text, at, early },
        ...(body.re && { re: { ...body.re, fit: fitOf(room, body.re, isPrivate ? from : undefined) } }),
        ...(gone !== undefined && { gone }),
      });
    case "edit":
      if (room.lines.get(author, body.n) !== "text") return undefined;
      return room.event({ type: "edited", ...where, n: body.n, text: body.text });
    case "delete":
      if (room.lines.get(author, body.n) === undefined || room.lines.get(author, body.n) === "deleted") return undefined;
      room.lines.set(author, body.n, "deleted");
      return room.event({ type: "deleted", ...where, n: body.n });
    case "react": {
      const fit = fitOf(room, body.re, isPrivate ? from : undefined);
      return room.event({ type: "reacted", ...where, re: { ...body.re, fit }, text: body.text });
    }
    case "timer":
      if (from === room.owner) room.setSettings(body.gone, body.marks);
      return undefined;
    case "typing":
      return room.marks ? room.event({ type: "typing", from, on: body.on }) : undefined;
    case "read":
      return room.marks ? room.event({ type: "read", from, of: body.of, n: body.n }) : undefined;
    case "succession":
      return namedHeir(room, member, body);
    case "file":
      room.lines.set(author, n, "file");
      return room.event({ type: "unsupported", from, name: body.type });
    case "unknown":
      return message.quiet ? undefined : room.event({ type: "unsupported", from, name: body.name });
    default:
      return undefined;
  }
}

/** How a reference fits what this member has in the same conversation. @param {Machine} room @param {Reference} re @param {string | undefined} partner @returns {Fit} */
export function fitOf(room, { of, n, said }, partner) {
  const self = room.identity.fingerprint;
  const found =
    partner === undefined ? room.heard.get(of, n) : room.heardPrivately.get(conversation(of, of === self ? partner : self), n);
  if (found === undefined) return "unknown";
  return found === said ? "same" : "differs";
}
