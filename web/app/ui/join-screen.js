/**
 * Shows an invite before it is used: the room, its owner and the expiry. This does not spend the invite.
 */
import { clockOffset } from "../client/server-clock.js";
import { fingerprintOf } from "../sealed/fingerprint.js";
import { tidyName } from "../sealed/name.js";
import { field, fill, h } from "./dom.js";
import { formCard } from "./form.js";
import { dateAndTime, duration, t } from "./i18n.js";
import { rose } from "./icons.js";
import { groupsView, wordsView } from "./member-dialog.js";

/** A clock that differs by more is told, in milliseconds. */
const CLOCK_DIFFERS_MS = 300_000;

/**
 * @param {import("../sealed/link.js").Link} link
 * @param {string} url the link in its own spelling
 * @param {import("./start-screen.js").Go} go
 */
export async function joinScreen(link, url, go) {
  const { certificate, roomName, chain } = link;
  const owner = await fingerprintOf(chain.owner);
  const here = new URL(location.origin);
  const elsewhere = link.host.toLowerCase() !== here.hostname || link.port !== Number(here.port || 443);
  const { expiry, kind } = certificate;
  const clock = h("p", { class: "problem card", role: "alert", hidden: true });
  const over = h("p", { class: "problem card", role: "alert", hidden: true }, t("join.expired"));
  const join = elsewhere ? otherServer(link, url) : joinCard(link, go);
  if (!elsewhere) {
    // This device's clock shuts nobody out: by the server's it is judged here, and by the server itself at the door.
    clockOffset(location.origin).then((offset) => {
      if (offset !== undefined && Math.abs(offset) > CLOCK_DIFFERS_MS) {
        const by = duration(Math.abs(offset));
        fill(clock, offset > 0 ? t("join.clockFast", { by }) : t("join.clockSlow", { by }));
        clock.hidden = false;
      }
      const isOver = offset !== undefined && expiry !== 0 && expiry * 1000 < Date.now() - offset;
      over.hidden = !isOver;
      join.hidden = isOver;
    });
  }
  return h(
    "main",
    { class: "start narrow" },
    h(
      "header",
      { class: "brand" },
      rose(),
      h("p", { class: "tagline" }, t("join.invited")),
      h("h1", { dir: "auto", translate: false }, roomName || t("app.untitled")),
      h("p", { class: "hint" }, [kind === "one-time" ? t("join.oneTime") : t("join.forever"), expiry !== 0 && t("join.expires", { date: dateAndTime(expiry * 1000) })].filter(Boolean).join(" ")),
    ),
    clock,
    over,
    join,
    h(
      "section",
      { class: "card" },
      h("p", {}, t("join.owner")),
      wordsView(owner),
      h("details", {}, h("summary", {}, t("member.groups")), groupsView(owner)),
    ),
    h("p", { class: "hint history-note" }, `${t("join.reload")} ${t("join.history")}`),
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
  const name = h("input", { maxLength: 64, required: true, autocomplete: "off", spellcheck: false, dir: "auto" });
  return formCard({
    title: t("join.title"),
    fields: [field(t("create.name"), name)],
    submit: t("join.submit"),
    working: t("join.working"),
    act: async () => {
      const { joinRoom } = await import("../client/index.js");
      await go.entered(await joinRoom(location.origin, link, tidyName(name.value), go.handlers));
    },
  });
}
