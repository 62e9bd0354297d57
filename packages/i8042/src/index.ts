export { I8042, KeyboardController } from './i8042.ts';
export { findKey, KEYS } from './keys.ts';
export type { Key } from './keys.ts';
export { BYTE_GAP_NS, KEY_QUEUE_SIZE, MAX_PENDING_MOVEMENT, MOUSE_QUEUE_SIZE, REPLY_QUEUE_SIZE } from './limits.ts';
