/**
 * A chain: the keys of one sender's room messages, one after the other. Each step gives the keys of one message and the state of the next; the states
 * before cannot be had from it.
 */
import { randomBytes } from "./bytes.js";
import { aesKey, derive, NONCE_BYTES, SECRET_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** The last index of a chain; its sender begins another then. */
export const MAX_INDEX = 127;
/** Bytes of a chain's state, and of what commits a message to it. */
export const STATE_BYTES = 32;
export const COMMIT_BYTES = 32;

/** The keys of one message. @typedef {{ key: CryptoKey, nonce: Bytes, commit: Bytes }} MessageKeys */

/**
 * One step: `HKDF(state, "subrosa v2 step")` = next state ‖ key ‖ nonce ‖ commit. The state that is given is left as it is.
 *
 * @param {Bytes} state
 * @returns {Promise<{ next: Bytes, keys: MessageKeys }>}
 */
export async function step(state) {
  const out = await derive(state, "subrosa v2 step", STATE_BYTES + SECRET_BYTES + NONCE_BYTES + COMMIT_BYTES);
  const key = await aesKey(out.slice(32, 64));
  const result = { next: out.slice(0, 32), keys: { key, nonce: out.slice(64, 76), commit: out.slice(76) } };
  out.fill(0);
  return result;
}

/** What one message is sealed with: its place, the state to hand on, and its keys. @typedef {{ index: number, state: Bytes, keys: MessageKeys }} Ticket */

/** A chain of one's own. No index is ever given out twice. */
export class SenderChain {
  /** @param {number} generation @param {Bytes} [first] in the tests */
  constructor(generation, first = randomBytes(STATE_BYTES)) {
    this.generation = generation;
    /** The next index. */
    this.index = 0;
    /** @type {Promise<Bytes>} */
    this.state = Promise.resolve(first);
  }

  get isUsedUp() {
    return this.index > MAX_INDEX;
  }

  /**
   * Takes the next index. The index is gone as soon as this is called, whatever comes of it; the caller wipes the state.
   *
   * @returns {Promise<Ticket>}
   */
  take() {
    if (this.isUsedUp) throw new RangeError("the chain is used up");
    const index = this.index++;
    const stepped = this.state.then(async (state) => ({ state, ...(await step(state)) }));
    this.state = stepped.then(({ next }) => next);
    return stepped.then(({ state, keys }) => ({ index, state, keys }));
  }

  /** Overwrites what comes next. */
  wipe() {
    this.index = MAX_INDEX + 1;
    this.state.then(
      (state) => state.fill(0),
      () => {},
    );
  }
}

/** A chain of somebody else's, as far as it was handed over: the state at `index`. @typedef {{ generation: number, index: number, state: Bytes }} ReceiverChain */

/**
 * Steps a copy to `index` and gives its keys, and the chain to keep if the message turns out to be good. What lies between is thrown away.
 *
 * @param {ReceiverChain} chain
 * @param {number} index not below the chain's
 * @returns {Promise<{ keys: MessageKeys, chain: ReceiverChain }>}
 */
export async function stepTo({ generation, index: at, state }, index) {
  let present = state.slice();
  for (let i = at; ; i++) {
    const { next, keys } = await step(present);
    present.fill(0);
    if (i === index) return { keys, chain: { generation, index: index + 1, state: next } };
    present = next;
  }
}
