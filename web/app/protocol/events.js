/**
 * Reading what the server sends. The server is not trusted: whatever is not of the right form ends the connection.
 *
 * @typedef {object} Listed a member as the relay lists it
 * @property {string} userId
 * @property {string | null} card
 */

/**
 * @typedef {object} Limits the bounds that matter to a client
 * @property {number} frame_bytes
 * @property {number} resume_window_s
 * @property {number} ping_interval_s
 * @property {number} pong_timeout_s
 * @property {number} members_per_room
 */

/**
 * @typedef {{ cmd: "hello", protocol: number, notice: string, limits: Limits, token: string }
 *   | { cmd: "create-room", roomId: string, userId: string, version: number }
 *   | { cmd: "joined", roomId: string, userId: string, ownerId: string, users: Listed[], version: number }
 *   | { cmd: "list-members", roomId: string, ownerId: string, users: Listed[], version: number }
 *   | { cmd: "user-joined", roomId: string, user: Listed, version: number }
 *   | { cmd: "send-message", roomId: string, userId: string, content: string, shared: string | null }
 *   | { cmd: "sent", reached: string[], held: string[], absent: string[], rest: number }
 *   | { cmd: "room-key", keys: string[] }
 *   | { cmd: "user-left", roomId: string, userId: string, reason: import("./codes.js").LeaveReason, version: number }
 *   | { cmd: "owner-changed", roomId: string, ownerId: string, version: number }
 *   | { cmd: "room-closed", roomId: string, reason: string }
 *   | { cmd: "restarting", reconnectInMs: number }
 *   | { cmd: "resumed", seq: number }
 *   | { cmd: "members", roomId: string, ownerId: string, users: Listed[], here: string[], version: number }
 *   | { cmd: "presence", roomId: string }
 *   | { cmd: "gap", from: number, to: number, reason: string }
 *   | { cmd: "done" }
 *   | { cmd: "error", code: string, retry: boolean, reason: string | null }
 *   | { cmd: "unknown" }} ServerEvent
 */

/** The server broke the protocol. */
export class ProtocolError extends Error {
  /** @param {string} what a field's name */
  constructor(what) {
    super(`the server's frame is malformed: ${what}`);
    this.name = "ProtocolError";
  }
}

/** @typedef {Record<string, unknown>} Fields */

const DONE = ["reset-room-keys", "revoke-key", "leave-room", "close-room", "remove-member", "transfer-owner", "set-card", "ack"];

/**
 * @param {string} text
 * @returns {{ id: string | null, event: ServerEvent }}
 */
export function parseEvent(text) {
  let frame;
  try {
    frame = fields(JSON.parse(text), "frame");
  } catch (error) {
    throw error instanceof ProtocolError ? error : new ProtocolError("not JSON");
  }
  const cmd = string(frame, "cmd");
  const id = frame.id === undefined ? null : string(frame, "id");
  return { id, event: read(cmd, frame, fields(frame.data ?? {}, "data")) };
}

/** @param {string} cmd @param {Fields} frame @param {Fields} data @returns {ServerEvent} */
function read(cmd, frame, data) {
  if (cmd === "error" || cmd.endsWith("-error")) {
    return { cmd: "error", code: string(data, "code"), retry: data.retry === "later", reason: optional(data, "reason") };
  }
  if (DONE.includes(cmd)) return { cmd: "done" };
  switch (cmd) {
    case "hello":
      return {
        cmd,
        protocol: integer(data, "protocol"),
        notice: string(data, "notice"),
        limits: limits(fields(data.limits, "limits")),
        token: string(data, "resume_token"),
      };
    case "create-room": {
      const room = fields(frame.room, "room");
      return { cmd, roomId: string(room, "room_id"), userId: string(room, "owner_id"), version: integer(room, "version") };
    }
    case "joined":
      return { cmd, ...roomAndOwner(data), userId: string(data, "user_id"), users: list(data, "users").map(listed), version: version(data) };
    case "list-members":
      return { cmd, ...roomAndOwner(data), users: list(data, "users").map(listed), version: version(data) };
    case "user-joined-onetime":
    case "user-joined-forever":
      return { cmd: "user-joined", roomId: string(data, "room_id"), user: entry(data), version: version(data) };
    case "send-message":
      return {
        cmd,
        roomId: string(data, "room_id"),
        userId: string(data, "user_id"),
        content: string(data, "content"),
        shared: optional(data, "shared"),
      };
    case "sent":
      return { cmd, reached: strings(data, "reached"), held: strings(data, "held"), absent: strings(data, "absent"), rest: optionalInteger(data, "rest") };
    case "room-key-onetime":
      return { cmd: "room-key", keys: data.one_time_keys ? strings(data, "one_time_keys") : [string(data, "one_time_key")] };
    case "room-key-forever":
      return { cmd: "room-key", keys: [string(data, "forever_join_key")] };
    case "user-left":
      return { cmd, roomId: string(data, "room_id"), userId: string(data, "user_id"), reason: leaveReason(data), version: version(data) };
    case "owner-changed":
      return { cmd, ...roomAndOwner(data), version: version(data) };
    case "members":
      return { cmd, ...roomAndOwner(data), users: list(data, "users").map(listed), here: strings(data, "here"), version: version(data) };
    case "presence":
      return { cmd, roomId: string(data, "room_id") };
    case "room-closed":
      return { cmd, roomId: string(data, "room_id"), reason: string(data, "reason") };
    case "restarting":
      return { cmd, reconnectInMs: integer(data, "reconnect_in_ms") };
    case "resumed":
      return { cmd, seq: integer(data, "seq") };
    case "gap":
      return { cmd, from: integer(data, "from"), to: integer(data, "to"), reason: string(data, "reason") };
    default:
      return { cmd: "unknown" };
  }
}

/** @param {Fields} data */
const roomAndOwner = (data) => ({ roomId: string(data, "room_id"), ownerId: string(data, "owner_id") });

/** @param {Fields} data @returns {Limits} */
const limits = (data) => ({
  frame_bytes: integer(data, "frame_bytes"),
  resume_window_s: integer(data, "resume_window_s"),
  ping_interval_s: integer(data, "ping_interval_s"),
  pong_timeout_s: integer(data, "pong_timeout_s"),
  members_per_room: integer(data, "members_per_room"),
});

/** @param {unknown} value @returns {Listed} */
const listed = (value) => entry(fields(value, "users"));

/** @param {Fields} data @returns {Listed} */
const entry = (data) => ({ userId: string(data, "user_id"), card: optional(data, "card") });

/** A room's version counts everybody that came or went. @param {Fields} data */
const version = (data) => integer(data, "version");

/** @param {Fields} data */
function leaveReason(data) {
  const reason = string(data, "reason");
  return reason === "left" || reason === "removed" ? reason : "lost";
}

/** @param {unknown} value @param {string} what @returns {Fields} */
function fields(value, what) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ProtocolError(what);
  return /** @type {Fields} */ (value);
}

/** @param {Fields} data @param {string} name */
function string(data, name) {
  const value = data[name];
  if (typeof value !== "string") throw new ProtocolError(name);
  return value;
}

/** @param {Fields} data @param {string} name */
const optional = (data, name) => (data[name] === undefined || data[name] === null ? null : string(data, name));

/** @param {Fields} data @param {string} name */
function integer(data, name) {
  const value = data[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new ProtocolError(name);
  return value;
}

/** @param {Fields} data @param {string} name */
const optionalInteger = (data, name) => (data[name] === undefined ? 0 : integer(data, name));

/** @param {Fields} data @param {string} name @returns {unknown[]} */
function list(data, name) {
  const value = data[name];
  if (!Array.isArray(value)) throw new ProtocolError(name);
  return value;
}

/** @param {Fields} data @param {string} name */
const strings = (data, name) =>
  list(data, name).map((value) => {
    if (typeof value !== "string") throw new ProtocolError(name);
    return value;
  });
