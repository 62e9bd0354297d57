/** Named limits of keyboard, mouse and their controller. */

/** Bytes of key events that wait; presses are refused beyond half of it, so that releases find room. */
export const KEY_QUEUE_SIZE = 256;
/** Bytes of replies that wait, of one device. */
export const REPLY_QUEUE_SIZE = 16;
/** Bytes of mouse packets that wait; movement is summed up while there is no room. */
export const MOUSE_QUEUE_SIZE = 64;
/** Movement that is kept while the guest does not take it, each axis. */
export const MAX_PENDING_MOVEMENT = 4096;
/** Shortest time between two bytes of the devices, ns: software that reads port 0x60 twice gets the same byte. */
export const BYTE_GAP_NS = 100_000;
