/**
 * Epochs: the room secret of the present one, and of older ones what still opens notes and secrets. And the leaves that chains are handed to.
 */
import { MAX_U32 } from "../../sealed/bytes.js";
import { kem } from "../../sealed/kem.js";

/** @typedef {import("../../sealed/secret.js").RoomSecret} RoomSecret */
/** @typedef {import("../../sealed/secret.js").EpochKeys} EpochKeys */
/** @typedef {import("../../sealed/card.js").Leaf} Leaf */

/** How long messages of an old epoch are still read once the new one is answered for, in milliseconds of connected time. */
const OLD_EPOCH_MS = 120_000;
/** How long an old leaf is kept once a card with a newer one is answered for. */
const OLD_LEAF_MS = 180_000;
/** Of how many epochs the keys for notes are kept, and how far one may be behind. */
export const MOST_EPOCHS = 1024;
/** How many leaves are kept. */
const MOST_LEAVES = 32;

/** The present room secret and what is left of older ones. */
export class Epochs {
  /** @param {RoomSecret} current @param {EpochKeys} keys */
  constructor(current, keys) {
    this.current = current;
    /** @type {Map<number, EpochKeys>} */
    this.keys = new Map([[current.epoch, keys]]);
    /** Old epochs whose messages are still read; `until` is unknown before the relay has answered. @type {{ epoch: number, until: number | undefined }[]} */
    this.old = [];
  }

  /** The keys of the present epoch. */
  get present() {
    return /** @type {EpochKeys} */ (this.keys.get(this.current.epoch));
  }

  /** Whether messages of this epoch are read. @param {number} epoch */
  reads(epoch) {
    return epoch === this.current.epoch || this.old.some((one) => one.epoch === epoch);
  }

  /** Goes over to a newer secret; the bytes of the old one are wiped, since nothing is made of them any more. @param {RoomSecret} next @param {EpochKeys} keys */
  advance(next, keys) {
    this.old.push({ epoch: this.current.epoch, until: undefined });
    this.current.wipe();
    this.current = next;
    this.keys.set(next.epoch, keys);
    if (this.keys.size > MOST_EPOCHS) this.keys.delete(Math.min(...this.keys.keys()));
  }

  /** The relay has taken what belongs to the present epoch. @param {number} time */
  answered(time) {
    for (const one of this.old) one.until ??= time + OLD_EPOCH_MS;
  }

  /** @param {number} time @returns {boolean} whether an epoch ended */
  expire(time) {
    const before = this.old.length;
    this.old = this.old.filter(({ until }) => until === undefined || until > time);
    return this.old.length < before;
  }

  wipe() {
    this.current.wipe();
    for (const { psk, authenticator } of this.keys.values()) {
      psk.fill(0);
      authenticator.fill(0);
    }
    this.keys.clear();
    this.old = [];
  }

  get deadlines() {
    return this.old.flatMap(({ until }) => until ?? []);
  }
}

/** A leaf of one's own. @typedef {{ generation: number, publicKey: import("../../sealed/bytes.js").Bytes, privateKey: import("../../sealed/kem.js").PrivateKey, since: number, used: boolean, until: number | undefined }} OwnLeaf */

/** One's own leaves, the newest last. */
export class Leaves {
  constructor() {
    /** @type {OwnLeaf[]} */
    this.all = [];
    /** The generation in the card that the relay has. */
    this.inCard = -1;
  }

  /** Makes the next one. @param {number} time @returns {Promise<OwnLeaf>} */
  async next(time) {
    const generation = this.newest === undefined ? 0 : this.newest.generation + 1;
    if (generation > MAX_U32) throw new RangeError("no leaf generation is left");
    const pair = await (await kem()).generate();
    /** @type {OwnLeaf} */
    const leaf = { generation, ...pair, since: time, used: false, until: undefined };
    this.all = [...this.all, leaf].slice(-MOST_LEAVES);
    return leaf;
  }

  get newest() {
    return this.all.at(-1);
  }

  /** @param {number} generation */
  get(generation) {
    return this.all.find((leaf) => leaf.generation === generation);
  }

  /** The relay has taken a card with this leaf. @param {number} generation @param {number} time */
  cardAnswered(generation, time) {
    this.inCard = Math.max(this.inCard, generation);
    for (const leaf of this.all) if (leaf.generation < this.inCard) leaf.until ??= time + OLD_LEAF_MS;
  }

  /** @param {number} time */
  expire(time) {
    this.all = this.all.filter(({ until }) => until === undefined || until > time);
  }

  get deadlines() {
    return this.all.flatMap(({ until }) => until ?? []);
  }
}
