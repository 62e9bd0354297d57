export { raw } from './driver.ts';
export { PROBE_SIZE, SECTOR, ZERO_CHUNK } from './limits.ts';
export { offsetStorage } from './offset-storage.ts';
export type { WindowOptions } from './offset-storage.ts';
export { protectHeader } from './protect-header.ts';
