/**
 * What goes into the machine and what comes out of it.
 *
 * Something that the relay says, or that the connection does:
 *
 * @typedef {{ type: "created", roomId: string, userId: string, version?: number | undefined }
 *   | { type: "joined", userId: string, ownerId: string, users: import("../../protocol/events.js").Listed[], version?: number | undefined }
 *   | { type: "user-joined", user: import("../../protocol/events.js").Listed, version?: number | undefined }
 *   | { type: "members", ownerId: string, users: import("../../protocol/events.js").Listed[], here: string[], version?: number | undefined }
 *   | { type: "user-left", userId: string, reason: import("../../protocol/codes.js").LeaveReason, version?: number | undefined }
 *   | { type: "owner-changed", ownerId: string, version?: number | undefined }
 *   | { type: "message", userId: string, content: string, shared: string | null }
 *   | { type: "gap" }
 *   | { type: "away" }
 *   | { type: "live" }
 *   | { type: "closed", reason: string }} Fact
 */

/**
 * Why the membership is over.
 *
 * @typedef {"left" | "removed" | "lost" | "restarted" | "refused" | "protocol" | "closed" | "owner-left" | "expired"} Ending
 */

/** A reference to another message, and how it fits what this member has. @typedef {import("../../sealed/body.js").Reference & { fit: import("./believe.js").Fit }} Referred */

/**
 * Something for the user. Members are named by fingerprint.
 *
 * @typedef {{ type: "entered" }
 *   | { type: "member-joined", member: string, live: boolean }
 *   | { type: "not-here-yet", userId: string }
 *   | { type: "member-left", member: string, name: string, reason: import("../../protocol/codes.js").LeaveReason }
 *   | { type: "message", from: string, n: number, private: boolean, said: string, text: string, at: number, early: boolean, re?: Referred, gone?: number }
 *   | { type: "edited", from: string, n: number, private: boolean, text: string }
 *   | { type: "deleted", from: string, n: number, private: boolean }
 *   | { type: "reacted", from: string, n: number, private: boolean, re: Referred, text: string }
 *   | { type: "typing", from: string, on: boolean }
 *   | { type: "read", from: string, of: string, n: number }
 *   | { type: "settings", gone: number, marks: boolean }
 *   | { type: "unsupported", from: string, name: string }
 *   | { type: "missing", member: string, count: number, private: boolean }
 *   | { type: "sent", id: number, n: number, held: string[] }
 *   | { type: "not-sent", id: number, reason: "alone" | "recipient-gone" | "refused" }
 *   | { type: "unconfirmed", members: string[] }
 *   | { type: "behind", member: string }
 *   | { type: "owner-changed", owner: string, right: import("../../sealed/chain.js").LinkKind }
 *   | { type: "owner-gone", name: string, heir?: string, silentMs?: number, soon: boolean }
 *   | { type: "owner-silent", minutes: number }
 *   | { type: "hand-over-failed", to: string }
 *   | { type: "rekeyed", epoch: number }
 *   | { type: "rekey-undelivered", members: string[] }
 *   | { type: "gap" }
 *   | { type: "alarm", alarm: import("./alarms.js").Alarm }
 *   | { type: "ended", ending: Ending }} RoomEvent
 */

export {};
