/**
 * What is to be said: the errands that wait in the outbox, and the body that each gets when its turn comes.
 */
import { proveEpoch } from "../../sealed/roster.js";
import { RoomSecret } from "../../sealed/secret.js";

/** @typedef {import("./machine.js").Machine} Machine */
/** @typedef {import("./members.js").Member} Member */
/** @typedef {import("../../sealed/body.js").Body} Body */

/** What proves the present epoch: the last `secret`, to be passed on. @typedef {{ members: string[], chain: import("../../sealed/bytes.js").Bytes, proof: import("../../sealed/bytes.js").Bytes }} Proved */
/** An epoch that its owner is about to begin. @typedef {Proved & { secret: RoomSecret }} Prepared */

/**
 * @typedef {{ type: "say", id: number, body: Body }
 *   | { type: "mark", body: Body }
 *   | { type: "piece", body: Body, bytes: import("../../sealed/bytes.js").Bytes }
 *   | { type: "rekey", prepared?: Prepared }
 *   | { type: "hand-secret", epoch: number }
 *   | { type: "grant", epoch: number }
 *   | { type: "hand-over" }
 *   | { type: "void" }} Errand
 */

/**
 * The body of an errand; undefined if there is nothing to say any more.
 *
 * @param {Machine} room
 * @param {Errand} errand
 * @param {Member | undefined} partner
 * @returns {Promise<Body | undefined>}
 */
export async function bodyOf(room, errand, partner) {
  const { epochs, chain, identity, office } = room;
  switch (errand.type) {
    case "say":
    case "mark":
    case "piece":
      return errand.body;
    case "rekey":
      errand.prepared = await prepareEpoch(room);
      return { type: "secret", ...errand.prepared };
    case "hand-secret":
      return room.proved && errand.epoch < epochs.current.epoch ? { type: "secret", secret: epochs.current, ...room.proved } : undefined;
    case "grant":
    case "hand-over": {
      if (!partner || !room.isOwner) return undefined;
      const kind = errand.type === "grant" ? /** @type {const} */ ("heir") : /** @type {const} */ ("hand-over");
      const epoch = errand.type === "grant" ? errand.epoch : epochs.current.epoch;
      const longer = await chain.handedTo(identity, { key: partner.key, kind, epoch });
      return { type: "succession", chain: longer.bytes, transfer: office.transfer };
    }
    case "void":
      return { type: "void" };
  }
}

/** Makes the next epoch, as the owner. @param {Machine} room @returns {Promise<Prepared>} */
export async function prepareEpoch({ epochs, chain, identity, members }) {
  const secret = RoomSecret.generate(epochs.current.epoch + 1);
  const roster = [identity.fingerprint, ...members.accepted.keys()];
  return { secret, members: roster, chain: chain.bytes, proof: await proveEpoch(identity, chain, secret, roster) };
}
