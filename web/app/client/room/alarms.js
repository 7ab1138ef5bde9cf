/**
 * What a client warns its user of: each way in which a relay or a member can be caught is a case of its own. Nothing is ever sealed to whoever
 * was not accepted. The sentences are the user interface's; none blames the server for what a member can cause alone.
 *
 * @typedef {object} Who whom an alarm is about, as far as known
 * @property {string} userId the id that the relay uses
 * @property {string} [fingerprint] known once the member's card has been opened
 * @property {string} [name] the display name, marked if it looks like another member's
 */

/**
 * @typedef {object} Alarm
 * @property {AlarmKind} kind
 * @property {Who} [who]
 * @property {Who} [other] the second member, where two disagree
 */

/** @typedef {typeof ALARM_KINDS[number]} AlarmKind */

/** Every kind of alarm. */
export const ALARM_KINDS = /** @type {const} */ ([
  // Whom the relay lists.
  "no-card",
  "card-of-unknown-version",
  "card-does-not-open",
  "card-forged",
  "no-invite",
  "invite-forged",
  "invite-of-former-owner",
  "invite-outdated",
  "invite-expired",
  "invite-reused",
  "not-in-roster",
  "fingerprint-twice",
  "member-returned",
  "removed-member-returned",
  "refused-before",
  "user-id-twice",
  "identity-swapped",
  "leaf-swapped",
  "unannounced",
  // What comes from them.
  "message-from-stranger",
  "message-unsealed",
  "message-of-unknown-version",
  "message-does-not-open",
  "message-forged",
  "message-malformed",
  "message-not-for-me",
  "out-of-order",
  "counts-backwards",
  "says-two-things",
  "beginning-changed",
  "disagree",
  // Whom they see.
  "sees-another-room",
  "different-secrets",
  // Secrets and owners.
  "newer-secret-in-use",
  "secret-never-issued",
  "secret-forged",
  "claims-office",
  "succession-forged",
  "owner-unproven",
  "ownership-imposed",
  "treated-as-gone",
]);

/** Someone of whom only the relay's id is known. @param {string} userId @returns {Who} */
export const stranger = (userId) => ({ userId });
