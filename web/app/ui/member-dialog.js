/**
 * One member: their fingerprint, comparing it, and what the owner can do.
 */
import { groups, words } from "../client/index.js";
import { confirmThat, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { explain } from "./errors.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { drawCode } from "./qr.js";
import { scanCode } from "./scan.js";

/** What a fingerprint's code says before the fingerprint itself. */
const CODE_HEAD = "subrosa-fingerprint:";

/** @param {string} fingerprint */
const codeOf = (fingerprint) => CODE_HEAD + fingerprint;

/** Six words and twelve groups. @param {string} fingerprint */
export function fingerprintView(fingerprint) {
  return [
    h("p", { class: "label" }, t("member.words")),
    h("p", { class: "words", lang: "en" }, ...words(fingerprint).map((word) => h("span", {}, word, " "))),
    h("p", { class: "label" }, t("member.groups")),
    h("p", { class: "groups" }, ...groups(fingerprint).map((group) => h("span", {}, group, " "))),
  ];
}

/** One's own fingerprint. @param {import("../client/index.js").Room} room */
export function openMe(room) {
  openDialog(t("menu.me"), () => [
    h("p", { class: "hint" }, t("member.mine")),
    h("div", { class: "code-frame" }, drawCode(codeOf(room.fingerprint), t("member.myCode"))),
    ...fingerprintView(room.fingerprint),
  ]);
}

/**
 * @param {import("../client/index.js").Room} room
 * @param {string} fingerprint
 * @param {{ changed: () => void, tell: (fingerprint: string, name: string) => void, problem: (text: string) => void }} act
 */
export function openMember(room, fingerprint, act) {
  const member = room.member(fingerprint);
  if (!member) return;
  const { name } = member;
  const verdict = h("div", { class: "verdict", role: "status" });
  const buttons = h("div", { class: "actions stacked" });
  const showVerified = () => {
    const verified = room.member(fingerprint)?.verified ?? false;
    fill(verdict, verified && h("p", { class: "good" }, icon("check"), t("members.verified")));
    fill(
      buttons,
      !verified && h("button", { type: "button", class: "primary", onclick: () => verify(true) }, icon("check"), t("member.match")),
      !verified && h("button", { type: "button", onclick: scan }, icon("camera"), t("member.scan")),
      verified && h("button", { type: "button", class: "quiet", onclick: () => verify(false) }, t("member.unverify")),
    );
  };
  /** @param {boolean} verified */
  const verify = (verified) => {
    if (room.member(fingerprint)) room.setVerified(fingerprint, verified);
    showVerified();
    act.changed();
  };
  const scan = async () => {
    const text = await scanCode();
    if (text === null) return;
    const same = text === codeOf(fingerprint);
    verify(same);
    if (same) fill(verdict, h("p", { class: "good" }, icon("check"), t("member.scanMatch", { name })));
    else fill(verdict, h("p", { class: "alarm" }, icon("warning"), t("member.scanDiffers", { name })));
  };
  /** @param {() => Promise<unknown>} wish */
  const ask = (wish) => wish().catch((error) => act.problem(explain(error)));
  openDialog(name, (close) => {
    showVerified();
    const tell = () => (close(), act.tell(fingerprint, name));
    const remove = () => (close(), confirmThat(t("member.removeSure", { name }), t("member.remove"), () => ask(() => room.remove(fingerprint))));
    const handOver = () =>
      (close(), confirmThat(t("member.handOverSure", { name }), t("member.handOver"), () => ask(() => room.handOverTo(fingerprint))));
    return [
      h("p", { class: "hint" }, t("member.compare", { name })),
      ...fingerprintView(fingerprint),
      verdict,
      buttons,
      h("hr"),
      h(
        "div",
        { class: "actions stacked" },
        h("button", { type: "button", onclick: tell }, icon("lock"), t("member.tell")),
        room.isOwner && h("button", { type: "button", onclick: handOver }, t("member.handOver")),
        room.isOwner && h("button", { type: "button", class: "danger", onclick: remove }, t("member.remove")),
      ),
    ];
  });
}
