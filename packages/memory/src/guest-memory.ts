/**
 * The small interface that loaders (kernel, initrd, option ROMs, tables) need of guest memory; any provider will do.
 * `createGuestMemory` gives it over an address space: RAM and ROM only, all or nothing, no device is ever touched.
 */
import type { AddressSpace } from './address-space.ts';
import { MemTxResult } from './mem-tx.ts';

export interface GuestMemory {
  /** True when every byte of the range can be written by `write`. */
  contains(address: number, length: number): boolean;
  /** Copies out; false, with `target` unchanged, when a part of the range is not memory. */
  read(address: number, target: Uint8Array): boolean;
  /** Copies in; false, with memory unchanged, when a part of the range is not memory. */
  write(address: number, source: Uint8Array): boolean;
  /** Sets `length` bytes to `value`; false, with memory unchanged, when a part of the range is not memory. */
  fill(address: number, length: number, value: number): boolean;
}

export interface GuestMemoryOptions {
  /** Also store into ROM regions. @default false */
  readonly writeRom?: boolean;
}

const FILL_CHUNK = 65536;

export function createGuestMemory(space: AddressSpace, options: GuestMemoryOptions = {}): GuestMemory {
  const toRom = options.writeRom ?? false;
  const contains = (address: number, length: number): boolean =>
    space.dmaCheck(address, length, !toRom) === MemTxResult.OK;
  return {
    contains,
    read: (address, target) => space.dmaRead(address, target) === MemTxResult.OK,
    write: (address, source) =>
      (toRom ? space.writeRom(address, source) : space.dmaWrite(address, source)) === MemTxResult.OK,
    fill(address, length, value) {
      if (!contains(address, length)) return false;
      const chunk = new Uint8Array(Math.min(length, FILL_CHUNK)).fill(value);
      for (let done = 0; done < length; done += FILL_CHUNK) {
        const part = chunk.subarray(0, Math.min(FILL_CHUNK, length - done));
        if (toRom) space.writeRom(address + done, part);
        else space.dmaWrite(address + done, part);
      }
      return true;
    },
  };
}
