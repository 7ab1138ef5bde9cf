/**
 * Padding to buckets, so that sizes tell little: 0x80, then zeros, up to 256, 512, 1,024 … 16,384 bytes, and beyond that to multiples of 16,384.
 */
import { SealedError } from "./error.js";

/** The smallest bucket, in bytes. */
export const SMALLEST = 256;
const LARGEST_DOUBLING = 16 * 1024;

/**
 * The bucket that `length` bytes and their mark go into, at least `least` bytes.
 *
 * @param {number} length
 * @param {number} least
 */
export function bucket(length, least) {
  const needed = Math.max(length + 1, least, SMALLEST);
  if (needed > LARGEST_DOUBLING) return Math.ceil(needed / LARGEST_DOUBLING) * LARGEST_DOUBLING;
  let size = SMALLEST;
  while (size < needed) size *= 2;
  return size;
}

/**
 * @param {Uint8Array} data
 * @param {number} [least] bytes of the padded whole, at least
 */
export function pad(data, least = 0) {
  const out = new Uint8Array(bucket(data.length, least));
  out.set(data);
  out[data.length] = 0x80;
  return out;
}

/**
 * Takes the padding off. A bucket larger than needed is allowed: a sender may hide more.
 *
 * @param {Uint8Array<ArrayBuffer>} padded
 */
export function unpad(padded) {
  if (padded.length === 0 || bucket(padded.length - 1, 0) !== padded.length) throw new SealedError("bad-padding");
  let mark = padded.length - 1;
  while (mark >= 0 && padded[mark] === 0) mark--;
  if (padded[mark] !== 0x80) throw new SealedError("bad-padding");
  return padded.subarray(0, mark);
}
