/** Bounds of this package. */

export const LIMITS = {
  /** Bytes of one system call; Linux itself stops at 2 GiB - 4 KiB. */
  CALL_BYTES: 2 ** 30,
  /** Bytes of zeroes that are written at a time where the file system cannot make them. */
  ZERO_BYTES: 2 ** 20,
  /** Bytes that a socket holds for its reader before it stops the peer. */
  SOCKET_BYTES: 2 ** 20,
  /** ms that a closed connection has to send what was written before it is cut. */
  CLOSE_MS: 5000,
} as const;
