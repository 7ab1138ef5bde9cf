/**
 * An invite, looked at before it is used: which room, whose, and for how long. Looking spends nothing.
 */
import { fingerprintOf, joinRoom } from "../client/index.js";
import { tidyName } from "../sealed/name.js";
import { field, h } from "./dom.js";
import { dateAndTime, t } from "./i18n.js";
import { rose } from "./icons.js";
import { fingerprintView } from "./member-dialog.js";
import { formCard } from "./start-screen.js";

/**
 * @param {import("../sealed/link.js").Link} link
 * @param {string} url the link as it was given
 * @param {import("./start-screen.js").Go} go
 */
export async function joinScreen(link, url, go) {
  const { certificate, roomName, chain } = link;
  const owner = await fingerprintOf(chain.owner);
  const here = new URL(location.origin);
  const elsewhere = link.host !== here.hostname || link.port !== Number(here.port || 443);
  const over = certificate.expiry !== 0 && certificate.expiry * 1000 < Date.now();
  return h(
    "main",
    { class: "start narrow" },
    h("header", { class: "brand" }, rose(), h("p", { class: "tagline" }, t("join.invited")), h("h1", { dir: "auto" }, roomName || t("app.untitled"))),
    h(
      "section",
      { class: "card" },
      h("p", {}, t("join.owner")),
      ...fingerprintView(owner),
      h("p", { class: "hint" }, certificate.kind === "one-time" ? t("join.oneTime") : t("join.forever")),
      certificate.expiry !== 0 && h("p", { class: "hint" }, t("join.expires", { date: dateAndTime(certificate.expiry * 1000) })),
    ),
    elsewhere ? otherServer(link, url) : over ? h("p", { class: "problem card", role: "alert" }, t("join.expired")) : joinCard(link, go),
    h("button", { type: "button", class: "quiet", onclick: () => go.start() }, t("app.back")),
  );
}

/** @param {import("../sealed/link.js").Link} link @param {string} url */
function otherServer({ host, port }, url) {
  const shown = port === 443 ? host : `${host}:${port}`;
  return h(
    "section",
    { class: "card" },
    h("p", {}, t("join.otherServer", { host: shown })),
    h("a", { class: "button primary", href: url, rel: "noopener noreferrer" }, t("join.openThere")),
  );
}

/** @param {import("../sealed/link.js").Link} link @param {import("./start-screen.js").Go} go */
function joinCard(link, go) {
  const name = h("input", { maxLength: 64, required: true, autocomplete: "off", dir: "auto" });
  return formCard({
    title: t("join.title"),
    fields: [field(t("create.name"), name)],
    submit: t("join.submit"),
    working: t("join.working"),
    act: async () => go.entered(await joinRoom(location.origin, link, tidyName(name.value), go.handlers), undefined),
  });
}
