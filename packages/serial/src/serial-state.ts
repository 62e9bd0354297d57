/**
 * What a UART 16550A holds, and how it is saved. What the registers do is in serial.ts.
 * Loaded states are checked here: counts within the FIFO, no character timeout without a character.
 */
import { defineVmState, type DeviceTimer, field } from '@emkit/qdev';
import { FIFO_SIZE } from './limits.ts';
import { makeReceiveFifo, type ReceiveFifoState } from './receive-fifo.ts';
import {
  FCR_ENABLE,
  IER_MASK,
  LSR_CHARACTER_ERRORS,
  LSR_ERRORS,
  MCR_MASK,
  MSR_CTS,
  MSR_DCD,
  MSR_DSR,
} from './registers.ts';

/** The back end's modem lines, always on. */
export const IDLE_MODEM_LINES = MSR_CTS | MSR_DSR | MSR_DCD;

export interface SerialState {
  divisor: number;
  ier: number;
  lcr: number;
  mcr: number;
  msr: number;
  scr: number;
  /** FCR as far as it is programmed: enable bit and trigger. */
  fcr: number;
  /** LSR bits 1 to 4. */
  errors: number;
  rx: ReceiveFifoState;
  /** The THRE interrupt is pending: reading IIR takes it back. */
  thrEmptyPending: boolean;
  timeoutPending: boolean;
  timeout: DeviceTimer;
}

export const SERIAL_VMSTATE = defineVmState<SerialState>({
  name: '16550A',
  version: 1,
  fields: [
    field.u16('divisor'),
    field.u8('ier', { max: IER_MASK }),
    field.u8('lcr'),
    field.u8('mcr', { max: MCR_MASK }),
    field.u8('msr'),
    field.u8('scr'),
    field.u8('fcr'),
    field.u8('errors', { max: LSR_ERRORS }),
    field.struct('rx', [
      field.buffer('data', FIFO_SIZE),
      field.buffer('errors', FIFO_SIZE, { max: LSR_CHARACTER_ERRORS }),
      field.u8('head', { max: FIFO_SIZE - 1 }),
      field.u8('count', { max: FIFO_SIZE }),
    ]),
    field.bool('thrEmptyPending'),
    field.bool('timeoutPending'),
    field.timer('timeout'),
  ],
  check: (s) => {
    if ((s.fcr & FCR_ENABLE) === 0 && s.rx.count > 1) return 'more than one character without FIFO';
    return s.timeoutPending && s.rx.count === 0 ? 'character timeout without a character' : null;
  },
});

/** State at power-on. */
export function makeSerial(timeout: DeviceTimer): SerialState {
  return {
    divisor: 12,
    ier: 0,
    lcr: 0,
    mcr: 0,
    msr: IDLE_MODEM_LINES,
    scr: 0,
    fcr: 0,
    errors: 0,
    rx: makeReceiveFifo(),
    thrEmptyPending: false,
    timeoutPending: false,
    timeout,
  };
}
