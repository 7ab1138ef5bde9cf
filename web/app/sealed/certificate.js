/**
 * The invite certificate: the owner's word that whoever shows it was invited.
 * `epoch(4) ‖ id(16) ‖ kind(1) ‖ expiry(8) ‖ signature(64)`.
 */
import { concat, be32, lengthPrefixed, readBe32, toBase64 } from "./bytes.js";
import { SealedError } from "./error.js";
import { verify } from "./identity.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {"one-time" | "forever"} InviteKind */

/** Bytes of a certificate. */
export const CERTIFICATE_BYTES = 93;
const SIGNED_BYTES = 29;
const ID_BYTES = 16;
const LABEL = "subrosa v1 invite";

/** An invite. */
export class Certificate {
  /** @param {Bytes} bytes 93 of them */
  constructor(bytes) {
    if (bytes.length !== CERTIFICATE_BYTES) throw new SealedError("bad-length");
    const kind = bytes[20];
    if (kind !== 1 && kind !== 2) throw new SealedError("bad-kind");
    this.bytes = bytes;
    /** The epoch in which it was made. */
    this.epoch = readBe32(bytes);
    /** Names this invite, in base64; a one-time id is spent by its first user. */
    this.id = toBase64(bytes.subarray(4, 20));
    /** @type {InviteKind} */
    this.kind = kind === 1 ? "one-time" : "forever";
    /** When it runs out, in unix seconds; 0 for never. */
    this.expiry = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(21));
  }

  /**
   * Makes one, signed by the room's present owner.
   *
   * @param {import("./identity.js").Identity} owner
   * @param {Bytes} root
   * @param {{ epoch: number, id: Bytes, kind: InviteKind, expiry: number }} what
   */
  static async issue(owner, root, { epoch, id, kind, expiry }) {
    if (id.length !== ID_BYTES) throw new SealedError("bad-length");
    const end = new Uint8Array(9);
    end[0] = kind === "one-time" ? 1 : 2;
    new DataView(end.buffer).setBigUint64(1, BigInt(expiry));
    const head = concat(be32(epoch), id, end);
    return new Certificate(concat(head, await owner.sign(lengthPrefixed(LABEL, root, head))));
  }

  /** Checks that `owner` signed it for the room `root`. @param {Bytes} root @param {Bytes} owner */
  verify(root, owner) {
    const head = this.bytes.slice(0, SIGNED_BYTES);
    return verify(owner, lengthPrefixed(LABEL, root, head), this.bytes.slice(SIGNED_BYTES));
  }

  /** @param {Bytes} root @param {Bytes} owner */
  async isSignedBy(root, owner) {
    return this.verify(root, owner).then(
      () => true,
      () => false,
    );
  }
}
