/**
 * The texts of alarms, with advice.
 */
import { phrase, t } from "./i18n.js";

/** @typedef {import("../client/room/alarms.js").Alarm} Alarm */
/** @typedef {import("../client/room/alarms.js").AlarmKind} AlarmKind */

/** @param {Alarm} alarm @param {string} owner the present owner's name */
export function alarmText({ kind, who, other }, owner) {
  return phrase(`alarm.${kind}`, { name: who?.name ?? t("alarm.unknown"), other: other?.name ?? t("alarm.unknown"), owner });
}

/** The server is caught at something that no accident explains. @type {ReadonlySet<AlarmKind>} */
const SERVER = new Set([
  ...["user-id-twice", "unannounced", "message-from-stranger", "ownership-imposed", "treated-as-gone"],
].map((kind) => /** @type {AlarmKind} */ (kind)));
/** Somebody's program is newer, or lags behind. @type {ReadonlySet<AlarmKind>} */
const READING = new Set(["card-of-unknown-version", "message-of-unknown-version", "newer-secret-in-use"].map((kind) => /** @type {AlarmKind} */ (kind)));
/** Messages were lost or spoilt. @type {ReadonlySet<AlarmKind>} */
const MESSAGES = new Set(
  [
    ...["message-does-not-open", "message-unsealed", "message-malformed", "message-forged", "message-not-for-me", "out-of-order", "counts-backwards"],
    ...["says-two-things", "beginning-changed", "disagree", "sees-another-room", "different-secrets"],
  ].map((kind) => /** @type {AlarmKind} */ (kind)),
);

/** What to do about an alarm. @param {Alarm} alarm */
export function adviceFor({ kind }) {
  if (SERVER.has(kind)) return t("advice.server");
  if (READING.has(kind)) return t("advice.reading");
  return MESSAGES.has(kind) ? t("advice.messages") : t("advice.refused");
}
