/**
 * The texts of errors.
 */
import { EntryError, RoomError, SealedError } from "../client/index.js";
import { t } from "./i18n.js";

/** @param {unknown} error */
export function explain(error) {
  if (error instanceof SealedError) {
    if (error.id === "unknown-version") return t("error.version");
    if (error.id === "bad-certificate" || error.id === "bad-chain") return t("error.linkForged");
    return error.id === "bad-name" ? t("error.name") : t("error.link");
  }
  if (error instanceof RoomError) {
    if (error.id === "too-long") return t("error.tooLong");
    if (error.id === "alone") return t("error.alone");
    if (error.id === "busy") return t("error.busy");
    if (error.id === "no-key") return t("invite.failed");
    if (error.id === "no-such-member") return t("error.memberGone");
    return t("error.other", { code: error.id });
  }
  if (!(error instanceof EntryError)) throw error;
  switch (error.code) {
    case "denied":
      return t("error.denied");
    case "room-full":
      return t("error.full");
    case "server-full":
    case "stopping":
    case "too-many-rooms":
      return t("error.serverFull");
    case "unreachable":
    case "session-lost":
    case "refused":
      return t("error.unreachable");
    case "version":
      return t("error.version");
    default:
      return t("error.other", { code: error.code });
  }
}
