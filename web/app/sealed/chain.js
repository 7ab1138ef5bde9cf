/**
 * The chain of owners: who owned the room after its creator, each signed for by the one before. `(new key 32 ‖ signature 64)…`
 */
import { concat, equal, lengthPrefixed } from "./bytes.js";
import { SealedError } from "./error.js";
import { KEY_BYTES, SIGNATURE_BYTES, verify } from "./identity.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

const HAND_OVER_BYTES = KEY_BYTES + SIGNATURE_BYTES;
/** The most hand-overs that a room can have. */
export const MAX_HAND_OVERS = 256;
const LABEL = "subrosa v1 owner";

/** A verified list of owners. From bytes it is only made by checking every signature. */
export class OwnerChain {
  /**
   * @param {Bytes} root
   * @param {Bytes} [bytes] verified already
   */
  constructor(root, bytes = new Uint8Array()) {
    /** The creator's key, which names the room. */
    this.root = root;
    this.bytes = bytes;
  }

  /** Reads a chain and checks every signature from `root` on. @param {Bytes} root @param {Bytes} bytes */
  static async read(root, bytes) {
    if (bytes.length % HAND_OVER_BYTES !== 0 || bytes.length > MAX_HAND_OVERS * HAND_OVER_BYTES) throw new SealedError("bad-length");
    let owner = root;
    for (let at = 0; at < bytes.length; at += HAND_OVER_BYTES) {
      const next = bytes.slice(at, at + KEY_BYTES);
      try {
        await verify(owner, lengthPrefixed(LABEL, root, owner, next), bytes.slice(at + KEY_BYTES, at + HAND_OVER_BYTES));
      } catch {
        throw new SealedError("bad-chain");
      }
      owner = next;
    }
    return new OwnerChain(root, bytes);
  }

  /**
   * The chain with one more owner, signed for by `owner`.
   *
   * @param {import("./identity.js").Identity} owner
   * @param {Bytes} next
   */
  async handedTo(owner, next) {
    const full = this.bytes.length === MAX_HAND_OVERS * HAND_OVER_BYTES;
    if (full || !equal(owner.key, this.owner)) throw new SealedError("bad-chain");
    const signature = await owner.sign(lengthPrefixed(LABEL, this.root, this.owner, next));
    return new OwnerChain(this.root, concat(this.bytes, next, signature));
  }

  /** Everyone who has owned the room, the creator first. */
  get owners() {
    const owners = [this.root];
    for (let at = 0; at < this.bytes.length; at += HAND_OVER_BYTES) owners.push(this.bytes.slice(at, at + KEY_BYTES));
    return owners;
  }

  /** The present owner's key. */
  get owner() {
    const owners = this.owners;
    return owners[owners.length - 1];
  }

  /** @param {OwnerChain} other */
  equals(other) {
    return equal(this.root, other.root) && equal(this.bytes, other.bytes);
  }

  /** Whether this chain is `earlier` with exactly one more owner. @param {OwnerChain} earlier */
  follows(earlier) {
    const length = earlier.bytes.length;
    const longer = this.bytes.length === length + HAND_OVER_BYTES;
    return longer && equal(this.root, earlier.root) && equal(this.bytes.subarray(0, length), earlier.bytes);
  }
}
