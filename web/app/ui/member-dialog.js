/**
 * One member: the fingerprint, its comparison, and the actions of the owner.
 */
import { groups, words } from "../sealed/fingerprint.js";
import { confirmThat, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { explain } from "./errors.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { drawCode } from "./qr.js";
import { scanCode } from "./scan.js";

/** What a fingerprint's code says before the fingerprint itself. */
const CODE_HEAD = "subrosa-fingerprint:";

/** @param {string} fingerprint */
const codeOf = (fingerprint) => CODE_HEAD + fingerprint;

/** The words to compare. @param {string} fingerprint */
export const wordsView = (fingerprint) =>
  h("p", { class: "words", lang: "en", translate: false }, ...words(fingerprint).map((word) => h("span", {}, word, " ")));

/** The whole fingerprint in groups. @param {string} fingerprint */
export const groupsView = (fingerprint) => h("p", { class: "groups", translate: false }, ...groups(fingerprint).map((group) => h("span", {}, group, " ")));

/** @param {string} fingerprint */
const fingerprintView = (fingerprint) => [
  h("p", { class: "label" }, t("member.words")),
  wordsView(fingerprint),
  h("details", {}, h("summary", {}, t("member.groups")), groupsView(fingerprint)),
];

/** One's own fingerprint. @param {import("../client/room.js").Room} room */
export function openMe(room) {
  openDialog(t("menu.me"), () => [
    h("p", { class: "hint" }, t("member.mine")),
    h("div", { class: "code-frame" }, drawCode(codeOf(room.fingerprint), t("member.myCode"))),
    ...fingerprintView(room.fingerprint),
  ]);
}

/**
 * @param {import("../client/room.js").Room} room
 * @param {string} fingerprint
 * @param {{ changed: () => void, tell: (fingerprint: string, name: string) => void, problem: (text: string) => void }} act
 */
export function openMember(room, fingerprint, act) {
  const member = room.member(fingerprint);
  if (!member) return;
  const { name, owner } = member;
  const verdict = h("div", { class: "verdict", role: "status" });
  const buttons = h("div", { class: "actions stacked" });
  const problem = h("p", { class: "problem", role: "alert" });
  /** @param {string} [fresh] the code was theirs, just now */
  const show = (fresh) => {
    const verified = room.member(fingerprint)?.verified ?? false;
    const differs = room.mismatched.has(fingerprint);
    if (differs) fill(verdict, h("p", { class: "alarm" }, icon("warning"), t("member.scanDiffers", { name })));
    else fill(verdict, verified && h("p", { class: "good" }, icon("shield"), fresh ?? t("members.verified")));
    const scanning = h("button", { type: "button", class: differs ? "primary" : "", onclick: scan }, icon("camera"), differs ? t("member.scanAgain") : t("member.scan"));
    // A code that was another's is not talked away by a click: only the right code is.
    const same = h("button", { type: "button", class: "primary", onclick: () => verify(true) }, icon("check"), t("member.match"));
    const back = h("button", { type: "button", class: "quiet", onclick: () => verify(false) }, t("member.unverify"));
    fill(buttons, ...(verified ? [back] : differs ? [scanning] : [same, scanning]));
  };
  /** @param {boolean} verified @param {string} [fresh] */
  const verify = (verified, fresh) => {
    if (room.member(fingerprint)) room.setVerified(fingerprint, verified);
    show(fresh);
    act.changed();
  };
  const scan = async () => {
    const text = await scanCode(t("error.camera.member"));
    if (text === null) return;
    if (!text.startsWith(CODE_HEAD)) return fill(problem, t("member.scanOther"));
    fill(problem);
    const same = text === codeOf(fingerprint);
    if (same) room.mismatched.delete(fingerprint);
    else room.mismatched.add(fingerprint);
    verify(same, t("member.scanMatch", { name }));
  };
  /** @param {() => Promise<unknown>} wish */
  const ask = (wish) => wish().catch((error) => act.problem(explain(error)));
  openDialog(name, (close) => {
    show();
    const tell = () => (close(), act.tell(fingerprint, name));
    const remove = () => (close(), confirmThat(t("member.removeSure", { name }), t("member.remove"), () => ask(() => room.remove(fingerprint))));
    const handOver = () =>
      (close(), confirmThat(t("member.handOverSure", { name }), t("member.handOver"), () => ask(() => room.handOverTo(fingerprint))));
    return [
      owner && h("p", { class: "hint" }, t("member.isOwner")),
      h("p", { class: "hint" }, t("member.compare", { name })),
      ...fingerprintView(fingerprint),
      problem,
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
