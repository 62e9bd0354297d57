export { FIFO_SIZE, OUTPUT_BUFFER_SIZE } from './limits.ts';
export { ISA_SERIAL, Serial } from './serial.ts';
export type { SerialBackend } from './serial.ts';
