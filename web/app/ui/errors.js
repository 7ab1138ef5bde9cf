/**
 * The texts of errors.
 */
import { SealedError } from "../sealed/error.js";
import { t } from "./i18n.js";

/** @param {unknown} error */
export function explain(error) {
  if (error instanceof SealedError) {
    if (error.id === "unknown-version") return t("error.version");
    if (error.id === "bad-certificate" || error.id === "bad-chain") return t("error.linkForged");
    return error.id === "bad-name" ? t("error.name") : t("error.link");
  }
  // The modules of rooms are loaded later than this one: their errors are known by their names.
  if (isNamed(error, "RoomError")) {
    if (error.id === "too-long") return t("error.tooLong");
    if (error.id === "alone") return t("error.alone");
    if (error.id === "busy") return t("error.busy");
    if (error.id === "no-key") return t("invite.failed");
    if (error.id === "no-such-member") return t("error.memberGone");
    return t("error.other", { code: error.id });
  }
  if (!isNamed(error, "EntryError")) throw error;
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

/** @typedef {{ RoomError: import("../client/index.js").RoomError, EntryError: import("../client/index.js").EntryError }} Named */

/** @template {keyof Named} Name @param {unknown} error @param {Name} name @returns {error is Named[Name]} */
const isNamed = (error, name) => error instanceof Error && error.name === name;
