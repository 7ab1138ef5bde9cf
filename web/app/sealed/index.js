/**
 * End-to-end encryption between members: what our clients put into the opaque strings that the relay carries. Nothing here knows sockets or clocks.
 *
 * - `bytes`, `padding`, `json`, `name`: how bytes are laid out, and what is refused
 * - `identity`, `secret`, `fingerprint`: the key of one membership, the secrets of the room, and what people compare
 * - `certificate`, `chain`, `roster`, `link`, `card`: who was invited by whom, who the owner is, and who the members are
 * - `kem`, `hpke`, `ratchet`, `hand`: how keys reach those who are to read
 * - `body`, `plain`, `said`, `message`, `note`, `view`: what members say to each other
 */
export { openCard, sealCard } from "./card.js";
export { Certificate } from "./certificate.js";
export { OwnerChain } from "./chain.js";
export { SealedError } from "./error.js";
export { firstGroup, fingerprintOf, groups, words } from "./fingerprint.js";
export { Identity, isSupported } from "./identity.js";
export { linkToUrl, parseLink } from "./link.js";
export { checkName, checkRoomName, tidyName } from "./name.js";
export { RoomSecret } from "./secret.js";
export { viewOf } from "./view.js";
