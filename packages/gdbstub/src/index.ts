export { GdbStub } from './gdb-stub.ts';
export type { GdbTarget, StopReason } from './gdb-stub.ts';
export { MAX_BREAKPOINTS, MAX_PACKET, MAX_WATCH_BYTES } from './limits.ts';
