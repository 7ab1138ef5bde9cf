/**
 * How long to wait before connecting again: exponential back-off with full jitter. Each wait is drawn evenly from zero up to a ceiling that
 * doubles, so that clients that lost their server at the same moment do not all reconnect at the same moment.
 */
const FIRST_MS = 500;
const LAST_MS = 30_000;

/** Counts attempts; starts anew after a success. */
export class Backoff {
  /** @param {() => number} [random] evenly from [0, 1) */
  constructor(random = Math.random) {
    this.random = random;
    this.attempts = 0;
  }

  /** The ceiling of the next wait, in milliseconds. */
  get ceiling() {
    return Math.min(FIRST_MS * 2 ** Math.min(this.attempts, 16), LAST_MS);
  }

  /** The wait before the next attempt, in milliseconds. */
  next() {
    const wait = this.random() * this.ceiling;
    this.attempts += 1;
    return wait;
  }

  reset() {
    this.attempts = 0;
  }
}
