/**
 * The owner chain: who owned the room after its creator, each signed for by the one before. `(new key 32 ‖ kind 1 ‖ epoch 4 ‖ signature 64)…`
 *
 * A signature covers all links before it and the epoch it is good in, so that none can be used again.
 */
import { be32, concat, equal, lengthPrefixed, readBe32, sha256 } from "./bytes.js";
import { SealedError } from "./error.js";
import { checkKey, KEY_BYTES, SIGNATURE_BYTES, verify } from "./identity.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */

/** How an owner comes to its office: handed over by the present one, or as an heir when that one is gone. @typedef {"hand-over" | "heir"} LinkKind */
/** @typedef {{ key: Bytes, kind: LinkKind, epoch: number }} OwnerLink */

const LINK_BYTES = KEY_BYTES + 1 + 4 + SIGNATURE_BYTES;
/** The most owners after the creator. */
export const MAX_LINKS = 32;
const LABEL = "subrosa v2 owner";

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
    if (bytes.length % LINK_BYTES !== 0 || bytes.length > MAX_LINKS * LINK_BYTES) throw new SealedError("bad-length");
    const chain = new OwnerChain(root, bytes);
    let owner = root;
    let epoch = 0;
    for (const [i, link] of chain.rawLinks().entries()) {
      const kind = link[KEY_BYTES];
      const next = link.slice(0, KEY_BYTES);
      const of = readBe32(link, KEY_BYTES + 1);
      if (kind !== 1 && kind !== 2) throw new SealedError("bad-kind");
      checkKey(next);
      if (of < epoch) throw new SealedError("bad-chain");
      try {
        await verify(owner, await statement(root, chain.prefix(i), kind, of, next), link.slice(KEY_BYTES + 5));
      } catch {
        throw new SealedError("bad-chain");
      }
      owner = next;
      epoch = of;
    }
    return chain;
  }

  /**
   * The chain with one more owner, signed for by the last one.
   *
   * @param {import("./identity.js").Identity} owner
   * @param {OwnerLink} next
   */
  async handedTo(owner, { key, kind, epoch }) {
    const last = this.links[this.length - 1];
    if (this.length === MAX_LINKS || !equal(owner.key, this.owner) || (last && last.epoch > epoch)) throw new SealedError("bad-chain");
    const code = kind === "hand-over" ? 1 : 2;
    const signature = await owner.sign(await statement(this.root, this.bytes, code, epoch, key));
    return new OwnerChain(this.root, concat(this.bytes, key, new Uint8Array([code]), be32(epoch), signature));
  }

  /** How many owners came after the creator. */
  get length() {
    return this.bytes.length / LINK_BYTES;
  }

  /** The bytes of the first links. @param {number} links @returns {Bytes} */
  prefix(links) {
    return this.bytes.slice(0, links * LINK_BYTES);
  }

  /** @returns {OwnerLink[]} */
  get links() {
    return this.rawLinks().map((link) => ({
      key: link.slice(0, KEY_BYTES),
      kind: link[KEY_BYTES] === 1 ? "hand-over" : "heir",
      epoch: readBe32(link, KEY_BYTES + 1),
    }));
  }

  /** Everyone who has owned the room, the creator first. */
  get owners() {
    return [this.root, ...this.links.map(({ key }) => key)];
  }

  /** The present owner's key. */
  get owner() {
    return this.owners[this.length];
  }

  /** @param {OwnerChain} other */
  equals(other) {
    return equal(this.root, other.root) && equal(this.bytes, other.bytes);
  }

  /** The links that this chain has behind `earlier`; undefined if it does not begin with it. @param {OwnerChain} earlier */
  linksAfter(earlier) {
    const begins = equal(this.root, earlier.root) && equal(this.bytes.subarray(0, earlier.bytes.length), earlier.bytes);
    return begins && this.length >= earlier.length ? this.links.slice(earlier.length) : undefined;
  }

  rawLinks() {
    return Array.from({ length: this.length }, (_, i) => this.bytes.slice(i * LINK_BYTES, (i + 1) * LINK_BYTES));
  }
}

/** @param {Bytes} root @param {Bytes} before @param {number} kind @param {number} epoch @param {Bytes} next */
const statement = async (root, before, kind, epoch, next) =>
  lengthPrefixed(LABEL, root, await sha256(before), new Uint8Array([kind]), be32(epoch), next);
