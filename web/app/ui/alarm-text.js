/**
 * Alarms in words for people.
 */
import { t } from "./i18n.js";

/** @param {import("../client/room/alarms.js").Alarm} alarm */
export function alarmText({ kind, who, count = 0, private: isPrivate }) {
  const name = who?.name ?? t("alarm.unknown");
  if (kind === "messages-missing" && isPrivate) return t("alarm.messages-missing-private", { name, count });
  return t(`alarm.${kind}`, { name, count });
}
