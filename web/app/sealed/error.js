/**
 * Why a sealed object was refused. The identifiers are shared with every other client and with the test vectors.
 *
 * @typedef {"bad-base64" | "unknown-version" | "bad-length" | "wrong-epoch" | "hand-does-not-open" | "does-not-open" | "bad-padding"
 *   | "bad-signature" | "bad-json" | "bad-field" | "bad-name" | "bad-kind" | "bad-chain" | "not-for-me" | "bad-link" | "bad-certificate"
 *   | "bad-key"} SealedErrorId
 */

/** The refusal of a sealed object. It repeats nothing of the object. */
export class SealedError extends Error {
  /** @param {SealedErrorId} id */
  constructor(id) {
    super(id);
    this.name = "SealedError";
    /** @type {SealedErrorId} */
    this.id = id;
  }
}

/**
 * The identifier of a refusal; anything else is a fault of our own and is thrown on.
 *
 * @param {unknown} error
 * @returns {SealedErrorId}
 */
export function refusalId(error) {
  if (error instanceof SealedError) return error.id;
  throw error;
}
