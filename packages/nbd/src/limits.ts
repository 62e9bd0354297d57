/** Bounds of what a peer can make us hold or do. A peer that goes beyond loses its connection or gets an error; the tests say which. */

/** Longest payload of a read or write, bytes; told to clients as the maximum block size. */
export const MAX_PAYLOAD = 32 * 1024 * 1024;
/** Longest string (names, descriptions, queries, error texts), bytes of UTF-8. NBD protocol, "Strings" under "Values". */
export const MAX_STRING = 4096;
/** Longest data of one option, or of one reply to an option, bytes. */
export const MAX_OPTION_DATA = 65536;
/** Options that one client may send before it must have chosen an export. */
export const MAX_OPTIONS = 4096;
/** Replies that one option may get from a server. */
export const MAX_OPTION_REPLIES = 16384;
/** Requests of one connection at work; further ones stay unread, so that the client feels it. */
export const MAX_IN_FLIGHT = 64;
/** Payload bytes of one connection at work, reads and writes together. One request of MAX_PAYLOAD always fits. */
export const MAX_IN_FLIGHT_BYTES = 32 * 1024 * 1024;
/** Bytes of buffers that a connection keeps for its next messages. */
export const KEPT_BYTES = 2 * 1024 * 1024;
/** Connections of one server, unless its owner says otherwise. */
export const MAX_CONNECTIONS = 64;
/** Descriptors of one context in one block status reply. */
export const MAX_EXTENTS = 2048;
/** Separate pieces of a read that a client keeps account of; pieces that touch count as one. */
export const MAX_PIECES = 1024;
/** ms for the whole handshake, on both sides. */
export const HANDSHAKE_MS = 10_000;
/** ms without any progress of a peer that owes us something: a reader that never reads, a server that never answers. */
export const STALL_MS = 300_000;
/** ms that requests at work have to end when a server or client closes. */
export const DRAIN_MS = 10_000;
/** Largest export, bytes: sizes are exact numbers. */
export const MAX_EXPORT_SIZE = Number.MAX_SAFE_INTEGER;
