/**
 * The two clocks of a membership: one that only goes on, for waits, and the wall's, for what people read and for invites that run out.
 */

/** A computer that slept has not waited: a step that is longer than this counts as this long, in milliseconds. */
const LONGEST_STEP_MS = 30_000;

/** Reads both clocks. */
export class Clock {
  /** @param {() => number} [mono] @param {() => number} [wall] */
  constructor(mono = () => performance.now(), wall = () => Date.now()) {
    this.read = { mono, wall };
    this.last = mono();
    this.mono = 0;
  }

  /** @returns {import("./room/machine.js").Now} */
  now() {
    const last = this.last;
    this.last = this.read.mono();
    this.mono += Math.min(Math.max(this.last - last, 0), LONGEST_STEP_MS);
    return { mono: this.mono, wall: this.read.wall() };
  }
}
