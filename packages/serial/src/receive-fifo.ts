/**
 * The receiver's FIFO: up to 16 characters, each with its own error bits. PC16550D §8.5, §8.4 notes on FIFO mode.
 * The error bits of a character show in LSR only while it is the oldest one.
 */
import { FIFO_SIZE } from './limits.ts';

export interface ReceiveFifoState {
  data: Uint8Array;
  /** LSR error bits of each place; 0 in places that are empty. */
  errors: Uint8Array;
  head: number;
  count: number;
}

export function makeReceiveFifo(): ReceiveFifoState {
  return { data: new Uint8Array(FIFO_SIZE), errors: new Uint8Array(FIFO_SIZE), head: 0, count: 0 };
}

export function clearFifo(fifo: ReceiveFifoState): void {
  fifo.head = fifo.count = 0;
  fifo.errors.fill(0);
}

/** The caller has checked that there is room. */
export function pushFifo(fifo: ReceiveFifoState, byte: number, errors: number): void {
  const at = (fifo.head + fifo.count) % FIFO_SIZE;
  fifo.data[at] = byte;
  fifo.errors[at] = errors;
  fifo.count++;
}

/** The oldest character; when empty, what was read last. */
export function popFifo(fifo: ReceiveFifoState): number {
  if (fifo.count === 0) return fifo.data[(fifo.head + FIFO_SIZE - 1) % FIFO_SIZE] as number;
  const byte = fifo.data[fifo.head] as number;
  fifo.errors[fifo.head] = 0;
  fifo.head = (fifo.head + 1) % FIFO_SIZE;
  fifo.count--;
  return byte;
}

/** Error bits of the oldest character; they are moved out, as reading LSR clears them. */
export function takeErrors(fifo: ReceiveFifoState): number {
  const errors = fifo.errors[fifo.head] as number;
  fifo.errors[fifo.head] = 0;
  return fifo.count === 0 ? 0 : errors;
}

export function hasErrors(fifo: ReceiveFifoState): boolean {
  if (fifo.count === 0) return false;
  for (let i = 0; i < FIFO_SIZE; i++) if (fifo.errors[i] !== 0) return true;
  return false;
}
