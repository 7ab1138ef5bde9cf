/**
 * What a client warns its user of: each way in which a relay or a member can be caught is a case of its own. Nothing is ever sealed to whoever
 * was not accepted. The sentences are the user interface's.
 *
 * @typedef {object} Who whom an alarm is about, as far as known
 * @property {string} userId the id that the relay uses
 * @property {string} [fingerprint] known once the member's card has been opened
 * @property {string} [name] the display name, marked if another member has the same
 */

/**
 * @typedef {object} Alarm
 * @property {AlarmKind} kind
 * @property {Who} [who]
 * @property {number} [count] of missing messages
 * @property {boolean} [private] whether private messages are missing
 */

/** @typedef {typeof ALARM_KINDS[number]} AlarmKind */

/** Every kind of alarm. */
export const ALARM_KINDS = /** @type {const} */ ([
  // Whom the relay lists.
  "no-card",
  "bad-public-key",
  "card-of-unknown-version",
  "card-does-not-open",
  "card-forged",
  "card-outdated",
  "no-invite",
  "invite-forged",
  "invite-of-former-owner",
  "invite-outdated",
  "invite-expired",
  "invite-reused",
  "fingerprint-twice",
  "member-returned",
  "removed-member-returned",
  "refused-before",
  "user-id-twice",
  "key-swapped",
  "card-swapped",
  "unannounced",
  // What comes from them.
  "message-from-stranger",
  "message-unsealed",
  "message-of-unknown-version",
  "message-does-not-open",
  "message-outdated",
  "message-forged",
  "message-malformed",
  "message-not-for-me",
  "replayed",
  "messages-missing",
  // Whom they see.
  "sees-another-room",
  "relay-shows-different-rooms",
  // Rekeys and owners.
  "newer-secret-in-use",
  "secret-too-new",
  "secret-never-issued",
  "rekey-by-stranger",
  "rekey-out-of-turn",
  "succession-forged",
  "owner-unproven",
  "ownership-imposed",
]);

/** Someone of whom only the relay's id is known. @param {string} userId @returns {Who} */
export const stranger = (userId) => ({ userId });
