/**
 * The hash of the server's public key, if its certificate is not publicly trusted. Native clients need it in links. A browser that has accepted the
 * certificate trusts the server's answer.
 */
import { fromBase64 } from "../sealed/bytes.js";

const PIN_BYTES = 32;

/**
 * @param {string} origin
 * @returns {Promise<import("../sealed/bytes.js").Bytes | null>} null where authorities vouch for the certificate
 */
export async function serverPin(origin) {
  const answer = await fetch(`${origin}/`, { headers: { accept: "application/json" }, cache: "no-store" });
  const { pin } = await answer.json();
  if (typeof pin !== "string") return null;
  const bytes = fromBase64(pin);
  return bytes.length === PIN_BYTES ? bytes : null;
}
