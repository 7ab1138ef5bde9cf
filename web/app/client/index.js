/**
 * The client library: rooms, without a user interface.
 *
 * ```js
 * import { createRoom, joinRoom, parseLink, serverPin } from "https://HOST/client/index.js";
 * const handlers = { event: console.log, state: console.log };
 * const room = await createRoom(origin, { roomName: "tea", name: "alice", ownerLeaves: "close", pin: null }, handlers);
 * const [{ url }] = await room.invite("one-time");
 * ```
 */
export { parseLink } from "../sealed/link.js";
export { isSupported } from "../sealed/identity.js";
export { SealedError } from "../sealed/error.js";
export { firstGroup, fingerprintOf, groups, words } from "../sealed/fingerprint.js";
export { ALARM_KINDS } from "./room/alarms.js";
export { findLink } from "./find-link.js";
export { EntryError, RoomError } from "./room-errors.js";
export { createRoom, joinRoom, Room } from "./room.js";
export { serverPin } from "./server-pin.js";
export { clockOffset } from "./server-clock.js";
