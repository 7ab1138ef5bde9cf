/**
 * The invite certificate: the owner's word that whoever shows it was invited.
 * `epoch(4) ‖ id(16) ‖ kind(1) ‖ expiry(8) ‖ links(1) ‖ signature(64)`.
 */
import { be32, concat, lengthPrefixed, readBe32, sha256, toBase64 } from "./bytes.js";
import { MAX_LINKS } from "./chain.js";
import { SealedError } from "./error.js";
import { verify } from "./identity.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./chain.js").OwnerChain} OwnerChain */
/** @typedef {"one-time" | "forever"} InviteKind */

/** Bytes of a certificate. */
export const CERTIFICATE_BYTES = 94;
const SIGNED_BYTES = 30;
const ID_BYTES = 16;
const LABEL = "subrosa v2 invite";

/** An invite. */
export class Certificate {
  /** @param {Bytes} bytes 94 of them */
  constructor(bytes) {
    if (bytes.length !== CERTIFICATE_BYTES) throw new SealedError("bad-length");
    const kind = bytes[20];
    if (kind !== 1 && kind !== 2) throw new SealedError("bad-kind");
    if (bytes[29] > MAX_LINKS) throw new SealedError("bad-field");
    this.bytes = bytes;
    /** The epoch in which it was made. */
    this.epoch = readBe32(bytes);
    /** Names this invite, in base64; a one-time id is spent by its first user. */
    this.id = toBase64(bytes.subarray(4, 20));
    /** @type {InviteKind} */
    this.kind = kind === 1 ? "one-time" : "forever";
    /** When it runs out, in unix seconds by its owner's clock; 0 for never. */
    this.expiry = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(21));
    /** How many links of the owner chain stand before the owner that signed it. */
    this.links = bytes[29];
  }

  /**
   * Makes one, signed by the last owner of `chain`.
   *
   * @param {import("./identity.js").Identity} owner
   * @param {OwnerChain} chain
   * @param {{ epoch: number, id: Bytes, kind: InviteKind, expiry: number }} what
   */
  static async issue(owner, chain, { epoch, id, kind, expiry }) {
    if (id.length !== ID_BYTES) throw new SealedError("bad-length");
    const end = new Uint8Array(10);
    end[0] = kind === "one-time" ? 1 : 2;
    new DataView(end.buffer).setBigUint64(1, BigInt(expiry));
    end[9] = chain.length;
    const front = concat(be32(epoch), id, end);
    return new Certificate(concat(front, await owner.sign(await statement(chain, chain.length, front))));
  }

  /** Checks that the owner of `chain` signed it that it names. @param {OwnerChain} chain */
  async verify(chain) {
    if (this.links > chain.length) throw new SealedError("bad-signature");
    const signed = await statement(chain, this.links, this.bytes.slice(0, SIGNED_BYTES));
    return verify(chain.owners[this.links], signed, this.bytes.slice(SIGNED_BYTES));
  }

  /** @param {OwnerChain} chain */
  async isSignedIn(chain) {
    return this.verify(chain).then(
      () => true,
      () => false,
    );
  }

  /** Whether the present owner of `chain` made it, if it holds at all. @param {OwnerChain} chain */
  isOfPresentOwner(chain) {
    return this.links === chain.length;
  }
}

/** @param {OwnerChain} chain @param {number} links @param {Bytes} front */
const statement = async (chain, links, front) => lengthPrefixed(LABEL, chain.root, await sha256(chain.prefix(links)), front);
