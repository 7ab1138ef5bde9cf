/**
 * End-to-end encryption between members: what our clients put into the opaque strings that the relay carries. Nothing here knows sockets or clocks.
 *
 * - `bytes`, `padding`, `json`, `name`: how bytes are laid out, and what is refused
 * - `public-key`, `identity`, `secret`, `fingerprint`: the keys of one membership, the secrets of the room, and what people compare
 * - `certificate`, `chain`, `link`, `card`: who was invited by whom, and who the members are
 * - `plain`, `message`, `view`: what members say to each other
 */
export { openCard, sealCard } from "./card.js";
export { Certificate } from "./certificate.js";
export { OwnerChain } from "./chain.js";
export { SealedError } from "./error.js";
export { firstGroup, fingerprintOf, groups, words } from "./fingerprint.js";
export { Identity, isSupported } from "./identity.js";
export { linkToUrl, parseLink } from "./link.js";
export { openMessage, sealMessage, signPlain, verifySigned } from "./message.js";
export { checkName, checkRoomName, tidyName } from "./name.js";
export { parsePlain, plainToJson } from "./plain.js";
export { RoomSecret } from "./secret.js";
export { viewOf } from "./view.js";
