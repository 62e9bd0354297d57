/**
 * Block transfers through an address space. Two policies: `any` reaches devices too (the debugger, a CPU's string
 * operation), `ram` refuses everything but RAM, which is what bus-mastering devices use: a device must never be entered
 * through another device's DMA (trust rule 5). RAM-only transfers are all or nothing.
 */
import type { AddressSpace } from './address-space.ts';
import type { FlatRange } from './flat-view.ts';
import { MemTxResult } from './mem-tx.ts';

/** Fills `target` from `address`; open-bus bytes where nothing answers. Devices are read in 32-bit units where aligned. */
export function readAny(space: AddressSpace, address: number, target: Uint8Array): MemTxResult {
  let result: MemTxResult = MemTxResult.OK;
  for (let done = 0; done < target.length;) {
    const at = address + done;
    const range = space.find(at);
    if (range !== null && range.block !== null) {
      const count = Math.min(target.length - done, range.end - at);
      const offset = at + range.blockDelta;
      target.set(range.block.bytes.subarray(offset, offset + count), done);
      done += count;
    } else if (at % 4 === 0 && target.length - done >= 4) {
      const value = space.read32(at);
      for (let i = 0; i < 4; i++) target[done + i] = value >>> (i * 8);
      result = Math.max(result, space.txResult) as MemTxResult;
      done += 4;
    } else {
      target[done++] = space.read8(at);
      result = Math.max(result, space.txResult) as MemTxResult;
    }
  }
  return (space.txResult = result);
}

/** Stores `source` at `address`. ROM ignores it. */
export function writeAny(space: AddressSpace, address: number, source: Uint8Array): MemTxResult {
  let result: MemTxResult = MemTxResult.OK;
  for (let done = 0; done < source.length;) {
    const at = address + done;
    const range = space.find(at);
    if (range !== null && range.block !== null) {
      const count = Math.min(source.length - done, range.end - at);
      if (!range.readonly) storeBlock(range, at, source.subarray(done, done + count));
      done += count;
    } else if (at % 4 === 0 && source.length - done >= 4) {
      const low = (source[done] as number) | ((source[done + 1] as number) << 8);
      space.write32(at, low | ((source[done + 2] as number) << 16) | ((source[done + 3] as number) << 24));
      result = Math.max(result, space.txResult) as MemTxResult;
      done += 4;
    } else {
      space.write8(at, source[done++] as number);
      result = Math.max(result, space.txResult) as MemTxResult;
    }
  }
  return (space.txResult = result);
}

/** Is `address`..`+length` RAM (or ROM, unless `writable`) from end to end? */
export function checkRam(space: AddressSpace, address: number, length: number, writable: boolean): MemTxResult {
  if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || address < 0 || length < 0)
    return MemTxResult.DECODE_ERROR;
  const end = address + length;
  for (let at = address; at < end;) {
    const range = space.find(at);
    if (range === null) return MemTxResult.DECODE_ERROR;
    if (range.block === null || (writable && range.readonly)) return MemTxResult.ACCESS_DENIED;
    at = range.end;
  }
  return MemTxResult.OK;
}

export function readRam(space: AddressSpace, address: number, target: Uint8Array): MemTxResult {
  const result = checkRam(space, address, target.length, false);
  if (result === MemTxResult.OK) readAny(space, address, target);
  return (space.txResult = result);
}

export function writeRam(space: AddressSpace, address: number, source: Uint8Array): MemTxResult {
  const result = checkRam(space, address, source.length, true);
  if (result === MemTxResult.OK) writeAny(space, address, source);
  return (space.txResult = result);
}

/** Stores into RAM and ROM alike: the loader's way to fill ROM. All or nothing. */
export function writeRom(space: AddressSpace, address: number, source: Uint8Array): MemTxResult {
  const result = checkRam(space, address, source.length, false);
  if (result !== MemTxResult.OK) return (space.txResult = result);
  for (let done = 0; done < source.length;) {
    const range = space.find(address + done) as FlatRange;
    const count = Math.min(source.length - done, range.end - address - done);
    storeBlock(range, address + done, source.subarray(done, done + count));
    done += count;
  }
  return (space.txResult = MemTxResult.OK);
}

/** The bytes themselves, without a copy, when they lie in one RAM range; else null. With `writable`, they count as written. */
export function mapRam(space: AddressSpace, address: number, length: number, writable: boolean): Uint8Array | null {
  if (length <= 0 || checkRam(space, address, length, writable) !== MemTxResult.OK) return null;
  const range = space.find(address) as FlatRange;
  if (range.block === null || address + length > range.end) return null;
  const offset = address + range.blockDelta;
  if (writable) range.block.dirty.mark(offset, length);
  return range.block.bytes.subarray(offset, offset + length);
}

function storeBlock(range: FlatRange, address: number, source: Uint8Array): void {
  const block = range.block;
  if (block === null || source.length === 0) return;
  const offset = address + range.blockDelta;
  block.bytes.set(source, offset);
  block.dirty.mark(offset, source.length);
}
