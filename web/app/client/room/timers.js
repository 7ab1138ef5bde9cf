/**
 * What the passing of time brings about. All of it counts connected time.
 */
import { whoIs } from "./members.js";
import { expireOffice } from "./owner.js";
import { askForReceipts, leafDue, setCard } from "./rekey.js";

/** @typedef {import("./machine.js").Machine} Machine */

/** An owner is heard at least this often … */
const BEAT_MS = 300_000;
/** … and who has not heard it for so long is told. */
const OWNER_SILENT_MS = 660_000;
/** For so long somebody's things of the present epoch may fail to open. */
const FAILING_MS = 60_000;

/** Time has passed in a connection. @param {Machine} room */
export async function timePassed(room) {
  const { time, epochs, members } = room;
  if (epochs.expire(time)) {
    for (const { chain } of members.accepted.values()) if (chain && !epochs.reads(chain.epoch)) chain.state.fill(0);
  }
  room.leaves.expire(time);
  for (const sender of room.views.expire(time)) {
    const member = members.get(sender);
    if (member) room.alarm({ kind: "sees-another-room", who: whoIs(member) });
  }
  expireOffice(room);
  if (room.card.due !== undefined && room.card.due <= time) await setCard(room, false);
  for (const who of room.held.expire(time)) room.alarm({ kind: "newer-secret-in-use", who });
  for (const [fingerprint, since] of room.failing) {
    const member = members.get(fingerprint);
    if (since + FAILING_MS > time) continue;
    room.failing.set(fingerprint, Infinity);
    if (member) room.alarm({ kind: "different-secrets", who: whoIs(member) });
  }
  askForReceipts(room);
  beat(room);
}

/** An owner lets itself be heard; the others notice when it does not. Silent members confirm what they heard. @param {Machine} room */
function beat(room) {
  const { outbox, time, members } = room;
  if (members.accepted.size === 0) return;
  if (room.isOwner && time - outbox.spokeAt >= BEAT_MS && outbox.queue.length === 0) {
    outbox.spokeAt = time;
    outbox.queue.push({ errand: { type: "void" }, at: room.wall });
  }
  const silentMs = time - (room.ownerHeard ?? 0);
  if (!room.isOwner && !room.ownerSilent && members.get(room.owner) && silentMs >= OWNER_SILENT_MS) {
    room.ownerSilent = true;
    room.event({ type: "owner-silent", minutes: Math.floor(silentMs / 60_000) });
  }
  if (room.confirmDue !== undefined && room.confirmDue <= time) {
    room.confirmDue = undefined;
    room.confirmedAt = time;
    outbox.queue.push({ errand: { type: "void" }, at: room.wall });
  }
}

/** In how many milliseconds there is something to do. @param {Machine} room @returns {number | undefined} */
export function nextDeadline(room) {
  if (room.phase !== "inside" || !room.connected) return undefined;
  const { epochs, leaves, views, held, listing, outbox, healing, office, card, members } = room;
  const all = [epochs, leaves, views, held, listing, outbox, healing, office].flatMap(({ deadlines }) => deadlines);
  const more = [card.due, room.confirmDue].filter((at) => at !== undefined);
  const failing = [...room.failing.values()].map((since) => since + FAILING_MS);
  const waits = members.get(room.owner) && !room.ownerSilent;
  const owner = room.isOwner ? outbox.spokeAt + BEAT_MS : waits ? (room.ownerHeard ?? 0) + OWNER_SILENT_MS : Infinity;
  const others = members.accepted.size > 0 ? owner : Infinity;
  const first = Math.min(...all, ...more, ...failing, ...room.waiting.map(({ until }) => until), leafDue(room), others);
  return first === Infinity ? undefined : Math.max(0, first - room.time);
}
