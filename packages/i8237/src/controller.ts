/**
 * One 8237A: four channels with base and current registers, mode, mask, request and status. Ports are the caller's
 * (`I8237`), so is the memory; here are the registers and the counting.
 * Invariants: address and count are 16 bits; a channel that reaches terminal count is masked unless it re-initialises.
 */
import { field, type VmField } from '@emkit/qdev';
import {
  COMMAND_DISABLE,
  DmaReg,
  MODE_AUTO_INIT,
  MODE_DECREMENT,
  MODE_CASCADE,
  MODE_SELECT_MASK,
} from './registers.ts';

export interface ChannelState {
  baseAddress: number;
  baseCount: number;
  address: number;
  /** Units left minus one; 0xFFFF after terminal count. */
  count: number;
  mode: number;
}

export interface ControllerState {
  channels: ChannelState[];
  command: number;
  /** Bit n: channel n is masked. */
  mask: number;
  /** Bit n: software request. */
  request: number;
  /** Bit n: DREQ is high. */
  dreq: number;
  /** Bit n: terminal count reached since the status was read. */
  terminalCount: number;
  /** Next byte of a 16-bit register is the high one. */
  flipFlop: boolean;
}

export const CONTROLLER_FIELDS: readonly VmField[] = [
  field.structs(
    'channels',
    [field.u16('baseAddress'), field.u16('baseCount'), field.u16('address'), field.u16('count'), field.u8('mode')],
    4,
  ),
  field.u8('command'),
  field.u8('mask', { max: 15 }),
  field.u8('request', { max: 15 }),
  field.u8('dreq', { max: 15 }),
  field.u8('terminalCount', { max: 15 }),
  field.bool('flipFlop'),
];

export function createControllerState(): ControllerState {
  const channels = Array.from({ length: 4 }, () => ({ baseAddress: 0, baseCount: 0, address: 0, count: 0, mode: 0 }));
  return { channels, command: 0, mask: 0xf, request: 0, dreq: 0, terminalCount: 0, flipFlop: false };
}

export class Controller {
  readonly state: ControllerState;

  constructor(state: ControllerState) {
    this.state = state;
  }

  /** RESET and the master clear command: registers but not the channels' addresses. "Master Clear". */
  clear(): void {
    const s = this.state;
    s.command = s.request = s.terminalCount = 0;
    s.flipFlop = false;
    s.mask = 0xf;
  }

  /** Hardware reset also leaves no trace of a former program, so that two runs are alike. */
  reset(): void {
    this.clear();
    this.state.dreq = 0;
    for (const channel of this.state.channels)
      channel.baseAddress = channel.baseCount = channel.address = channel.count = channel.mode = 0;
  }

  /** Is channel `n` requested, unmasked, not the cascade, and the controller enabled? */
  isReady(n: number): boolean {
    const s = this.state;
    const bit = 1 << n;
    return (s.command & COMMAND_DISABLE) === 0 && ((s.dreq | s.request) & bit) !== 0 && this.isOpen(n);
  }

  /** May channel `n` transfer, were it requested? */
  isOpen(n: number): boolean {
    const s = this.state;
    const isCascade = ((s.channels[n] as ChannelState).mode & MODE_SELECT_MASK) === MODE_CASCADE;
    return (s.command & COMMAND_DISABLE) === 0 && (s.mask & (1 << n)) === 0 && !isCascade;
  }

  read(register: number): number {
    const s = this.state;
    if (register < 8) return this.#readWord(s.channels[register >> 1] as ChannelState, (register & 1) !== 0);
    switch (register) {
      case DmaReg.COMMAND: {
        const status = s.terminalCount | ((s.dreq | s.request) << 4);
        s.terminalCount = 0;
        return status;
      }
      case DmaReg.ALL_MASK: // not on the 8237A; PC chip sets read the mask back (82371SB §2.5.1.9)
        return s.mask;
      default:
        return 0; // the temporary register, and codes that are illegal to read
    }
  }

  write(register: number, value: number): void {
    const s = this.state;
    const bit = 1 << (value & 3);
    switch (register) {
      case DmaReg.COMMAND:
        s.command = value;
        return;
      case DmaReg.REQUEST:
        s.request = value & 4 ? s.request | bit : s.request & ~bit;
        return;
      case DmaReg.MASK:
        s.mask = value & 4 ? s.mask | bit : s.mask & ~bit;
        return;
      case DmaReg.MODE:
        (s.channels[value & 3] as ChannelState).mode = value & 0xfc;
        return;
      case DmaReg.CLEAR_FLIP_FLOP:
        s.flipFlop = false;
        return;
      case DmaReg.MASTER_CLEAR:
        this.clear();
        return;
      case DmaReg.CLEAR_MASK:
        s.mask = 0;
        return;
      case DmaReg.ALL_MASK:
        s.mask = value & 0xf;
        return;
      default:
        this.#writeWord(s.channels[register >> 1] as ChannelState, (register & 1) !== 0, value);
    }
  }

  /** Current registers are read, through the flip-flop. */
  #readWord(channel: ChannelState, isCount: boolean): number {
    const word = isCount ? channel.count : channel.address;
    const shift = this.state.flipFlop ? 8 : 0;
    this.state.flipFlop = !this.state.flipFlop;
    return (word >> shift) & 0xff;
  }

  /** Base and current registers are written together. */
  #writeWord(channel: ChannelState, isCount: boolean, value: number): void {
    const isHigh = this.state.flipFlop;
    this.state.flipFlop = !isHigh;
    const merge = (word: number): number => (isHigh ? (word & 0x00ff) | (value << 8) : (word & 0xff00) | value);
    if (isCount) channel.baseCount = channel.count = merge(channel.baseCount);
    else channel.baseAddress = channel.address = merge(channel.baseAddress);
  }

  /** Units left to terminal count, 1 .. 0x10000. */
  unitsLeft(n: number): number {
    return (this.state.channels[n] as ChannelState).count + 1;
  }

  /** Counts `units` (at most `unitsLeft`) done. Returns true at terminal count. */
  advance(n: number, units: number): boolean {
    const s = this.state;
    const channel = s.channels[n] as ChannelState;
    channel.address = (channel.address + (channel.mode & MODE_DECREMENT ? -units : units)) & 0xffff;
    const isDone = units > channel.count;
    channel.count = (channel.count - units) & 0xffff;
    if (!isDone) return false;
    s.terminalCount |= 1 << n;
    s.request &= ~(1 << n);
    if (channel.mode & MODE_AUTO_INIT) {
      channel.address = channel.baseAddress;
      channel.count = channel.baseCount;
    } else {
      s.mask |= 1 << n;
    }
    return true;
  }
}
