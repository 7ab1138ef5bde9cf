/**
 * The texts of alarms, with advice.
 */
import { phrase, t } from "./i18n.js";

/** @typedef {import("../client/room/alarms.js").Alarm} Alarm */
/** @typedef {import("../client/room/alarms.js").AlarmKind} AlarmKind */

/** @param {Alarm} alarm */
export function alarmText({ kind, who, count = 0, private: isPrivate }) {
  const name = who?.name ?? t("alarm.unknown");
  if (kind === "messages-missing" && isPrivate) return phrase("alarm.messages-missing-private", { name, count });
  return phrase(`alarm.${kind}`, { name, count });
}

/** The server is caught at something that no accident explains. @type {ReadonlySet<AlarmKind>} */
const SERVER = new Set([
  ...["member-returned", "removed-member-returned", "user-id-twice", "key-swapped", "card-swapped", "unannounced", "message-from-stranger"],
  ...["message-forged", "message-not-for-me", "replayed", "relay-shows-different-rooms", "owner-unproven", "ownership-imposed", "fingerprint-twice"],
].map((kind) => /** @type {AlarmKind} */ (kind)));
/** Somebody's program is newer, or lags behind. @type {ReadonlySet<AlarmKind>} */
const READING = new Set(["card-of-unknown-version", "message-of-unknown-version", "newer-secret-in-use", "secret-too-new"].map((kind) => /** @type {AlarmKind} */ (kind)));
/** Messages were lost or spoilt. @type {ReadonlySet<AlarmKind>} */
const MESSAGES = new Set(
  ["messages-missing", "message-does-not-open", "message-unsealed", "message-outdated", "message-malformed", "sees-another-room"].map((kind) => /** @type {AlarmKind} */ (kind)),
);

/** What to do about an alarm. @param {Alarm} alarm */
export function adviceFor({ kind }) {
  if (SERVER.has(kind)) return t("advice.server");
  if (READING.has(kind)) return t("advice.reading");
  return MESSAGES.has(kind) ? t("advice.messages") : t("advice.refused");
}
