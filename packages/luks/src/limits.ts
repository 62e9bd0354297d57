/** Bounds on what a header may ask for. Each has a test at the limit and beyond. */

/** A sector of LUKS1 and of qcow2's legacy encryption, bytes: the unit that has an initialisation vector of its own. */
export const SECTOR_SIZE = 512;

/** Rounds of PBKDF2 for one key: about a minute of work where no native implementation is at hand. A header decides how long `open` takes. */
export const MAX_ITERATIONS = 1 << 26;

/** Bytes of a master key: XTS over AES-256 takes two keys of 32. */
export const MAX_KEY_BYTES = 64;

/** LUKS1 specification, Figure 3 "constants": LUKS_STRIPES. Other counts are refused: no tool writes them. */
export const STRIPES = 4000;

/** Bytes of a passphrase. */
export const MAX_PASSPHRASE_BYTES = 1 << 20;

/** Sectors before the payload: 64 MiB; what tools write is 2 MiB, with room for alignment. */
export const MAX_PAYLOAD_SECTOR = 1 << 17;
