/**
 * Succession: what heirs are supplied with, and whether the owners that a secret shows may follow each other.
 */
import { equal } from "../../sealed/bytes.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("../../sealed/chain.js").OwnerChain} OwnerChain */

/** How many members are kept supplied with what an heir needs. */
const HEIRS = 3;

/**
 * What speaks against the owners that a secret shows behind one's own chain.
 *
 * @param {Machine} room
 * @param {OwnerChain} chain
 * @param {number} epoch of the secret
 * @returns {import("./alarms.js").AlarmKind | undefined}
 */
export function whySuccessionFails(room, chain, epoch) {
  const links = chain.linksAfter(room.chain);
  if (!links) return "secret-forged";
  const own = room.epochs.current.epoch;
  for (const [i, link] of links.entries()) {
    if (link.epoch < own || link.epoch >= epoch) return "secret-forged";
    const former = i === 0 ? room.chain.owner : links[i - 1].key;
    const isHere = equal(former, room.identity.key) || room.members.byKey(former) !== undefined;
    if (link.kind === "heir" && isHere) return "claims-office";
    if (link.kind === "hand-over" && i === links.length - 1 && !isNamed(room, link.key)) return "claims-office";
  }
  return undefined;
}

/** Whether the server has named this one as the owner. @param {Machine} room @param {import("../../sealed/bytes.js").Bytes} key */
function isNamed({ members, office }, key) {
  const member = members.byKey(key);
  return member !== undefined && office.named.has(member.fingerprint);
}

/** What heirs need for the epoch that begins, before it does. @param {Machine} room */
export function grantsForNext(room) {
  const { office, isOwner, epochs } = room;
  return office.transfer && isOwner && !office.unknown ? grants(room, epochs.current.epoch + 1) : [];
}

/** What heirs lack of the epoch, for as many as are supplied. @param {Machine} room @param {number} epoch @returns {import("./outbox.js").Queued[]} */
export function grants({ office, members, wall }, epoch) {
  const all = [...members.accepted.values()];
  const heirs = [...all.filter(({ verified }) => verified), ...all.filter(({ verified }) => !verified)].slice(0, HEIRS);
  const lacking = heirs.filter(({ fingerprint }) => (office.supplied.get(fingerprint) ?? -1) < epoch);
  for (const { fingerprint } of lacking) office.supplied.set(fingerprint, epoch);
  return lacking.map(({ fingerprint }) => ({ errand: { type: "grant", epoch }, to: fingerprint, at: wall }));
}
