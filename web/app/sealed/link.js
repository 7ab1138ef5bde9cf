/**
 * The invite link: everything that a newcomer needs, behind the `#` that no browser sends to a server.
 */
import { be32, concat, fromBase64, fromUtf8, lengthPrefixed, readBe32, splitLengthPrefixed, toBase64, utf8, VERSION } from "./bytes.js";
import { Certificate } from "./certificate.js";
import { OwnerChain } from "./chain.js";
import { SealedError } from "./error.js";
import { checkKey, KEY_BYTES } from "./identity.js";
import { checkRoomName } from "./name.js";
import { RoomSecret, SECRET_BYTES } from "./secret.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** The longest link that is looked at, in bytes. */
export const MAX_LINK_BYTES = 64 * 1024;
const PIN_BYTES = 32;

/**
 * @typedef {object} Link An invite link, opened and checked: its chain leads from the root to the owner who signed its certificate.
 * @property {string} host a host name, an IPv4 address, or an IPv6 address in brackets
 * @property {number} port
 * @property {Bytes | null} pin the SHA-256 of the server's public key, where its certificate is not publicly trusted
 * @property {string} roomId
 * @property {string} joinKey the relay's join key, of the kind that the certificate names
 * @property {RoomSecret} secret
 * @property {string} roomName may be empty
 * @property {Certificate} certificate
 * @property {OwnerChain} chain
 */

/** Writes `https://HOST:PORT/#BASE64`. It holds the room's secret. @param {Link} link */
export function linkToUrl(link) {
  const { host, port, pin, roomId, joinKey, secret, roomName, certificate, chain } = link;
  const parts = lengthPrefixed(
    roomId,
    joinKey,
    concat(be32(secret.epoch), secret.bytes),
    chain.root,
    certificate.bytes,
    roomName,
    pin ?? new Uint8Array(),
    chain.bytes,
  );
  return `https://${host}:${port}/#${toBase64(concat(new Uint8Array([VERSION]), parts))}`;
}

/**
 * Reads a link and checks what it says about itself. Spends nothing.
 *
 * @param {string} url
 * @returns {Promise<Link>}
 */
export async function parseLink(url) {
  const text = url.trim();
  const found = /^https:\/\/([^/]*)\/#(.*)$/s.exec(text);
  if (utf8(text).length > MAX_LINK_BYTES || !found) throw new SealedError("bad-link");
  const { host, port } = splitAuthority(found[1]);
  const bytes = fromBase64(found[2]);
  if (bytes.length === 0) throw new SealedError("bad-length");
  if (bytes[0] !== VERSION) throw new SealedError("unknown-version");
  const [roomIdBytes, joinKeyBytes, secretBytes, root, certificateBytes, nameBytes, pin, chainBytes] = splitLengthPrefixed(
    bytes.subarray(1),
    8,
  );
  if (secretBytes.length !== 4 + SECRET_BYTES) throw new SealedError("bad-length");
  const secret = new RoomSecret(readBe32(secretBytes), secretBytes.slice(4));
  if (root.length !== KEY_BYTES) throw new SealedError("bad-length");
  checkKey(root);
  const certificate = new Certificate(certificateBytes);
  if (pin.length !== 0 && pin.length !== PIN_BYTES) throw new SealedError("bad-length");
  const roomId = readId(roomIdBytes);
  const joinKey = readId(joinKeyBytes);
  const roomName = readRoomName(nameBytes);
  const chain = await OwnerChain.read(root, chainBytes);
  const isLive = certificate.epoch === secret.epoch && certificate.isOfPresentOwner(chain);
  if (!isLive || !(await certificate.isSignedIn(chain))) throw new SealedError("bad-certificate");
  return { host, port, pin: pin.length ? pin : null, roomId, joinKey, secret, roomName, certificate, chain };
}

/** Ids and keys of the relay. @param {Bytes} bytes */
function readId(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 65));
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new SealedError("bad-field");
  return text;
}

/** @param {Bytes} bytes */
function readRoomName(bytes) {
  let name;
  try {
    name = fromUtf8(bytes);
  } catch {
    throw new SealedError("bad-name");
  }
  checkRoomName(name);
  return name;
}

/** @param {string} authority */
function splitAuthority(authority) {
  const found = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253})(?::([0-9]+))?$/.exec(authority);
  const port = found?.[2] === undefined ? 443 : Number(found[2]);
  if (!found || port < 1 || port > 65535 || (found[1].startsWith("[") && !isIpv6(found[1]))) throw new SealedError("bad-link");
  return { host: found[1], port };
}

/** The browser knows which addresses are IPv6. @param {string} bracketed */
function isIpv6(bracketed) {
  try {
    return new URL(`https://${bracketed}/`).hostname.startsWith("[");
  } catch {
    return false;
  }
}
