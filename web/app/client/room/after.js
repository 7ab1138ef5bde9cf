/**
 * What a message says of others' messages that its author had seen: it waits for them for a moment, differences come to light, and one learns who has
 * confirmed what one said.
 */
import { shortAuthor } from "../../sealed/said.js";
import { KINDS } from "../../sealed/body.js";
import { believe } from "./believe.js";
import { whoIs } from "./members.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../sealed/plain.js").Plain & { hash: string, isPrivate: boolean }} Message */
/** @typedef {{ member: string, message: Message, until: number, needs: { author: string, n: number, said: string }[] }} Waiting */

/** How long a message waits for what its author had seen, in milliseconds of connected time, and how many wait. */
const WAIT_MS = 5_000;
const MOST_WAITING = 64;
/** Which types wait: what people see. */
const SHOWN = ["text", "edit", "delete", "react", "file"];
/** How soon a silent member confirms, and how often at most. */
const CONFIRM_MS = 10_000;
const CONFIRM_EVERY_MS = 60_000;
/** Silent members confirm in rooms of up to so many. */
const CONFIRMING_ROOM = 32;

/** Takes in a message that was opened and counted. @param {Machine} room @param {Member} member @param {Message} message */
export async function takeIn(room, member, message) {
  const { time, waiting, members } = room;
  const from = member.fingerprint;
  if (from === room.owner) room.ownerSpoke(message.at);
  const needs = [];
  for (const { author, n, said } of message.after) {
    if (author === shortAuthor(room.identity.fingerprint)) confirm(room, member, n, said);
    const named = [...members.accepted.values()].find(({ fingerprint }) => shortAuthor(fingerprint) === author);
    if (!named || named === member || !named.room.expects(n)) continue;
    if (named.room.last < n) needs.push({ author: named.fingerprint, n, said });
    else compare(room, member, named, n, said);
  }
  if (KINDS[message.body.type]?.confirmed && !message.isPrivate && members.accepted.size < CONFIRMING_ROOM) {
    room.confirmDue ??= Math.max(time + CONFIRM_MS, room.confirmedAt + CONFIRM_EVERY_MS);
  }
  const isBehind = waiting.some((one) => one.member === from);
  const waits = SHOWN.includes(message.body.type) && (needs.length > 0 || isBehind) && waiting.length < MOST_WAITING;
  if (waits) waiting.push({ member: from, message, until: time + WAIT_MS, needs });
  else await believe(room, member, message, false);
}

/** Lets go what need not wait any more. @param {Machine} room @returns {Promise<void>} */
export async function releaseWaiting(room) {
  const { members, time } = room;
  /** @type {Set<string>} */
  const blocked = new Set();
  for (const one of [...room.waiting]) {
    const member = members.get(one.member);
    const missing = one.needs.filter(({ author, n }) => (members.get(author)?.room.last ?? n) < n);
    if (member && (blocked.has(one.member) || (missing.length > 0 && one.until > time))) {
      blocked.add(one.member);
      continue;
    }
    room.waiting.splice(room.waiting.indexOf(one), 1);
    if (!member) continue;
    for (const { author, n, said } of one.needs) {
      const named = members.get(author);
      if (named && named.room.last >= n) compare(room, member, named, n, said);
    }
    await believe(room, member, one.message, missing.length > 0);
  }
}

/** @param {Machine} room @param {Member} member @param {number} n @param {string} said */
function confirm(room, member, n, said) {
  const own = room.heard.get(room.identity.fingerprint, n);
  if (own === undefined) return;
  if (own === said) room.confirmations.confirmed(member.fingerprint, n, room.outbox.said, room.time);
  else disagree(room, member, undefined);
}

/** @param {Machine} room @param {Member} member @param {Member} named @param {number} n @param {string} said */
function compare(room, member, named, n, said) {
  const heard = room.heard.get(named.fingerprint, n);
  if (heard !== undefined && heard !== said) disagree(room, member, named);
}

/** Either of the two may lie: the user is told once. @param {Machine} room @param {Member} member @param {Member | undefined} named undefined for oneself */
function disagree(room, member, named) {
  const pair = `${member.fingerprint} ${named?.fingerprint ?? ""}`;
  if (room.heard.disagreeing.has(pair)) return;
  room.heard.disagreeing.add(pair);
  room.alarm({ kind: "disagree", who: whoIs(member), other: named ? whoIs(named) : room.self });
}
