/**
 * The sizes of X-Wing, in bytes.
 */

/** A public key. */
export const PUBLIC_BYTES = 1216;
/** What is sent to the holder of the private key. */
export const ENC_BYTES = 1120;
