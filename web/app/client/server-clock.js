/**
 * Compares this device's clock with the server's.
 */

/** Beyond this nobody waits for it, in milliseconds. */
const WITHIN_MS = 4_000;

/**
 * How far this device's clock is ahead of the server's, in milliseconds; negative when it is behind, undefined when the server does not say. The
 * server tells whole seconds, and the answer's way is half a round trip: a second either way means nothing.
 *
 * @param {string} origin
 * @returns {Promise<number | undefined>}
 */
export async function clockOffset(origin) {
  const before = Date.now();
  try {
    const { headers } = await fetch(`${origin}/`, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
    const theirs = Date.parse(headers.get("date") ?? "");
    return Number.isNaN(theirs) ? undefined : (before + Date.now()) / 2 - (theirs + 500);
  } catch {
    return undefined;
  }
}
