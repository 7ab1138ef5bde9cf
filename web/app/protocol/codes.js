/**
 * The closed tables of the wire protocol, as far as a client decides by them.
 */

/** The version of the protocol that this client speaks. */
export const PROTOCOL = 1;
/** Where the WebSocket is. */
export const PATH = "/v1";

/**
 * Whether a client that sees this close code connects again by itself.
 *
 * @param {number} code
 */
export const reconnectAfter = (code) => [1001, 1005, 1006, 1011, 1012, 1013].includes(code) || (code >= 4000 && code <= 4499);

/** Why a member is gone. @typedef {"left" | "removed" | "lost"} LeaveReason */
/** Why a room ended. @typedef {"closed" | "owner-left" | "expired"} ClosedReason */
/** What becomes of a room whose owner leaves. @typedef {"close" | "transfer"} OwnerLeaves */
