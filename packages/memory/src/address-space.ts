/**
 * What a bus master sees: the flat view of one region tree, with access functions. The CPU, and each DMA-capable device,
 * reach guest memory and device registers only through one of these.
 *
 * Addresses are safe integers >= 0; values are unsigned numbers. A read of nothing returns the open-bus value; `txResult`
 * tells how the last access went. No access throws, whatever the address.
 * Not here: paging and segmentation (the CPU's), and any rule on who may use the space.
 */
import { mapRam, checkRam, readAny, readRam, writeAny, writeRam, writeRom } from './bulk.ts';
import { flatten, FlatView, type FlatRange } from './flat-view.ts';
import type { IoHandler } from './io-ops.ts';
import { PAGE_SIZE } from './limits.ts';
import { MemTxResult } from './mem-tx.ts';
import type { MemoryRegion, RegionObserver } from './memory-region.ts';
import type { RamBlock } from './ram-block.ts';

export interface AddressSpaceOptions {
  readonly name: string;
  readonly root: MemoryRegion;
  /** Value of every byte where nothing answers. @default 0xff */
  readonly openBus?: number;
}

/** Told about changes of the view, in the order `regionRemoved`*, `regionAdded`*, `commit`. */
export interface AddressSpaceListener {
  regionRemoved?(range: FlatRange): void;
  regionAdded?(range: FlatRange): void;
  /** The new view is in force. An accelerator flushes its TLB here. */
  commit?(): void;
}

/** {@link PageInfo.kind}. */
export const PAGE_NONE = 0;
/** The whole page is RAM in a WebAssembly memory: loads and (dirty bits permitting) stores may go there directly. */
export const PAGE_RAM = 1;
/** As PAGE_RAM for loads; stores must take the slow path, where they are ignored. */
export const PAGE_ROM = 2;
/** Device registers, a page made of several ranges, or storage outside any WebAssembly memory: always the slow path. */
export const PAGE_IO = 3;

/** Filled by {@link AddressSpace.lookupPage}; keep one and reuse it. */
export interface PageInfo {
  kind: number;
  /** Byte offset of the page in the WebAssembly.Memory of `block`; -1 unless PAGE_RAM or PAGE_ROM. */
  hostOffset: number;
  block: RamBlock | null;
  /** Index of the page in `block.dirty.flags`; -1 unless PAGE_RAM or PAGE_ROM. */
  blockPage: number;
}

export function createPageInfo(): PageInfo {
  return { kind: PAGE_NONE, hostOffset: -1, block: null, blockPage: -1 };
}

export class AddressSpace implements RegionObserver {
  readonly name: string;
  readonly root: MemoryRegion;
  /** Result of the last access. */
  txResult: MemTxResult = MemTxResult.OK;
  /** High half of the last `read64`. */
  high = 0;

  readonly #openBus: number;
  readonly #listeners: AddressSpaceListener[] = [];
  readonly #wide = new Uint32Array(2);
  #view = new FlatView([]);
  #hit: FlatRange | null = null;
  #holds = 0;
  #stale = false;

  constructor(options: AddressSpaceOptions) {
    this.name = options.name;
    this.root = options.root;
    const byte = (options.openBus ?? 0xff) & 0xff;
    this.#openBus = (byte * 0x01010101) >>> 0;
    this.root.observers.add(this);
    this.#view = flatten(this.root);
  }

  get view(): FlatView {
    return this.#view;
  }

  /** Open-bus value, 32 bits. */
  get openBus(): number {
    return this.#openBus;
  }

  /** Disconnects from the tree; the view stays as it is. */
  dispose(): void {
    this.root.observers.delete(this);
  }

  addListener(listener: AddressSpaceListener): void {
    this.#listeners.push(listener);
    for (const range of this.#view.ranges) listener.regionAdded?.(range);
    listener.commit?.();
  }

  removeListener(listener: AddressSpaceListener): void {
    const index = this.#listeners.indexOf(listener);
    if (index >= 0) this.#listeners.splice(index, 1);
  }

  regionChanged(): void {
    this.#stale = true;
    if (this.#holds === 0) this.rebuild();
  }

  hold(): void {
    this.#holds++;
  }

  release(): void {
    this.#holds--;
    if (this.#holds === 0 && this.#stale) this.rebuild();
  }

  /** Makes the view again from the tree and tells the listeners what changed. */
  protected rebuild(): void {
    this.#stale = false;
    const old = this.#view.ranges;
    const view = flatten(this.root);
    const same =
      old.length === view.ranges.length && old.every((range, i) => range.equals(view.ranges[i] as FlatRange));
    if (same) return;
    this.#view = view;
    this.#hit = null;
    for (const listener of this.#listeners) this.#tell(listener, old, view.ranges);
  }

  #tell(listener: AddressSpaceListener, old: readonly FlatRange[], now: readonly FlatRange[]): void {
    if (listener.regionRemoved) for (const range of missing(old, now)) listener.regionRemoved(range);
    if (listener.regionAdded) for (const range of missing(now, old)) listener.regionAdded(range);
    listener.commit?.();
  }

  /** The range at `address`, or null for open bus. Hot path: the last hit is tried first. */
  find(address: number): FlatRange | null {
    const hit = this.#hit;
    if (hit !== null && address >= hit.start && address < hit.end) return hit;
    const index = this.#view.indexOf(address);
    if (index < 0) return null;
    return (this.#hit = this.#view.ranges[index] as FlatRange);
  }

  /** Hot path. */
  read8(address: number): number {
    const range = this.find(address);
    if (range !== null && range.block !== null) {
      this.txResult = MemTxResult.OK;
      return range.block.bytes[address + range.blockDelta] as number;
    }
    return this.#readSlow(range, address, 1);
  }

  /** Little-endian, any alignment. Hot path. */
  read16(address: number): number {
    const range = this.find(address);
    if (range !== null && range.block !== null && address + 2 <= range.end) {
      this.txResult = MemTxResult.OK;
      return range.block.view.getUint16(address + range.blockDelta, true);
    }
    return this.#readSlow(range, address, 2);
  }

  /** Little-endian, any alignment. Hot path. */
  read32(address: number): number {
    const range = this.find(address);
    if (range !== null && range.block !== null && address + 4 <= range.end) {
      this.txResult = MemTxResult.OK;
      return range.block.view.getUint32(address + range.blockDelta, true);
    }
    return this.#readSlow(range, address, 4);
  }

  /** Low half; the high half is in `high`. One access for RAM and for devices that declare 64-bit registers, else two. */
  read64(address: number): number {
    const range = this.find(address);
    const ops = range?.handler?.ops;
    if (range !== null && ops?.read64 !== undefined && address % 8 === 0 && address + 8 <= range.end) {
      this.txResult = MemTxResult.OK;
      ops.read64(address + range.regionDelta, this.#wide);
      this.high = this.#wide[1] as number;
      return this.#wide[0] as number;
    }
    const low = this.read32(address);
    const result = this.txResult;
    this.high = this.read32(address + 4);
    this.txResult = worse(result, this.txResult);
    return low;
  }

  /** Hot path. */
  write8(address: number, value: number): void {
    const range = this.find(address);
    if (range !== null && range.block !== null && !range.readonly) {
      const offset = address + range.blockDelta;
      this.txResult = MemTxResult.OK;
      range.block.bytes[offset] = value;
      range.block.dirty.mark(offset, 1);
      return;
    }
    this.#writeSlow(range, address, value & 0xff, 1);
  }

  /** Little-endian, any alignment. Hot path. */
  write16(address: number, value: number): void {
    const range = this.find(address);
    if (range !== null && range.block !== null && !range.readonly && address + 2 <= range.end) {
      const offset = address + range.blockDelta;
      this.txResult = MemTxResult.OK;
      range.block.view.setUint16(offset, value, true);
      range.block.dirty.mark(offset, 2);
      return;
    }
    this.#writeSlow(range, address, value & 0xffff, 2);
  }

  /** Little-endian, any alignment. Hot path. */
  write32(address: number, value: number): void {
    const range = this.find(address);
    if (range !== null && range.block !== null && !range.readonly && address + 4 <= range.end) {
      const offset = address + range.blockDelta;
      this.txResult = MemTxResult.OK;
      range.block.view.setUint32(offset, value, true);
      range.block.dirty.mark(offset, 4);
      return;
    }
    this.#writeSlow(range, address, value >>> 0, 4);
  }

  write64(address: number, low: number, high: number): void {
    const range = this.find(address);
    const ops = range?.handler?.ops;
    if (range !== null && ops?.write64 !== undefined && address % 8 === 0 && address + 8 <= range.end) {
      this.txResult = MemTxResult.OK;
      ops.write64(address + range.regionDelta, low >>> 0, high >>> 0);
      return;
    }
    this.write32(address, low);
    const result = this.txResult;
    this.write32(address + 4, high);
    this.txResult = worse(result, this.txResult);
  }

  /** Fills `target` from RAM, ROM, devices and holes alike. */
  readBytes(address: number, target: Uint8Array): MemTxResult {
    return readAny(this, address, target);
  }

  /** Stores `source` to RAM and devices; ROM ignores it. */
  writeBytes(address: number, source: Uint8Array): MemTxResult {
    return writeAny(this, address, source);
  }

  /** A device's read of guest memory: RAM and ROM only, all or nothing. */
  dmaRead(address: number, target: Uint8Array): MemTxResult {
    return readRam(this, address, target);
  }

  /** A device's write to guest memory: RAM only, all or nothing. */
  dmaWrite(address: number, source: Uint8Array): MemTxResult {
    return writeRam(this, address, source);
  }

  /** View of guest RAM without a copy (null unless it is one range); short-lived. The guest may change it at any time. */
  dmaMap(address: number, length: number, writable: boolean): Uint8Array | null {
    return mapRam(this, address, length, writable);
  }

  /** Would `dmaRead` (or `dmaWrite`, with `writable`) of this range succeed? */
  dmaCheck(address: number, length: number, writable: boolean): MemTxResult {
    return checkRam(this, address, length, writable);
  }

  /** For loaders: stores into ROM too. */
  writeRom(address: number, source: Uint8Array): MemTxResult {
    return writeRom(this, address, source);
  }

  /** Devices, holes, and RAM accesses that leave their range: in pieces, each as wide as device, alignment and range allow. */
  #readSlow(range: FlatRange | null, address: number, size: number): number {
    this.txResult = MemTxResult.OK;
    if (range !== null && range.handler !== null && takesWhole(range, range.handler, address, size)) {
      return range.handler.read(address + range.regionDelta, size);
    }
    let value = 0;
    for (let done = 0; done < size;) {
      const at = address + done;
      const piece = this.find(at);
      const step = pieceSize(piece, at, size - done);
      value |= this.#readPiece(piece, at, step) << (done * 8);
      done += step;
    }
    return value >>> 0;
  }

  #readPiece(range: FlatRange | null, address: number, size: number): number {
    if (range !== null && range.block !== null) return range.block.bytes[address + range.blockDelta] as number;
    if (range !== null && range.handler !== null && range.handler.accepts(address + range.regionDelta, size)) {
      return range.handler.read(address + range.regionDelta, size);
    }
    this.txResult = worse(this.txResult, range === null ? MemTxResult.DECODE_ERROR : MemTxResult.ERROR);
    return this.#openBus >>> (32 - size * 8);
  }

  #writeSlow(range: FlatRange | null, address: number, value: number, size: number): void {
    this.txResult = MemTxResult.OK;
    if (range !== null && range.handler !== null && takesWhole(range, range.handler, address, size)) {
      if (!range.readonly) range.handler.write(address + range.regionDelta, value, size);
      return;
    }
    for (let done = 0; done < size;) {
      const at = address + done;
      const piece = this.find(at);
      const step = pieceSize(piece, at, size - done);
      const part = step === 4 ? value : (value >>> (done * 8)) & ((1 << (step * 8)) - 1);
      this.#writePiece(piece, at, part, step);
      done += step;
    }
  }

  #writePiece(range: FlatRange | null, address: number, value: number, size: number): void {
    if (range === null) {
      this.txResult = worse(this.txResult, MemTxResult.DECODE_ERROR);
    } else if (range.readonly) {
      return; // ROM, or a read-only alias: the store is ignored
    } else if (range.block !== null) {
      range.block.bytes[address + range.blockDelta] = value;
      range.block.dirty.mark(address + range.blockDelta, 1);
    } else if (range.handler !== null && range.handler.accepts(address + range.regionDelta, size)) {
      range.handler.write(address + range.regionDelta, value, size);
    } else {
      this.txResult = worse(this.txResult, MemTxResult.ERROR);
    }
  }

  /**
   * What stands behind guest-physical page number `page` (address / 4096), for a TLB entry. Returns `out.kind`.
   * Valid until the next `commit`.
   */
  lookupPage(page: number, out: PageInfo): number {
    const address = page * PAGE_SIZE;
    const range = this.find(address);
    out.hostOffset = -1;
    out.block = null;
    out.blockPage = -1;
    if (range !== null && range.block !== null && range.block.hostOffset >= 0 && address + PAGE_SIZE <= range.end) {
      const offset = address + range.blockDelta;
      if (offset % PAGE_SIZE === 0) {
        out.block = range.block;
        out.hostOffset = range.block.hostOffset + offset;
        out.blockPage = offset / PAGE_SIZE;
        return (out.kind = range.readonly ? PAGE_ROM : PAGE_RAM);
      }
    }
    if (range !== null) return (out.kind = PAGE_IO);
    return (out.kind = this.#touchesPage(address) ? PAGE_IO : PAGE_NONE);
  }

  /** Does any range begin inside the page whose first byte is open bus? */
  #touchesPage(address: number): boolean {
    const ranges = this.#view.ranges;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle] as FlatRange).start < address) low = middle + 1;
      else high = middle;
    }
    const next = ranges[low];
    return next !== undefined && next.start < address + PAGE_SIZE;
  }
}

/** Does the device at `address` take all of the access in one piece? */
function takesWhole(range: FlatRange, handler: IoHandler, address: number, size: number): boolean {
  const offset = address + range.regionDelta;
  const inside = address + size <= range.end || (handler.keepsWhole && offset + size <= range.region.size);
  return inside && handler.accepts(offset, size);
}

/** Width of the next access of a split transfer: RAM and holes bytewise, devices as wide as they and the alignment allow. */
function pieceSize(range: FlatRange | null, address: number, left: number): number {
  if (range === null || range.handler === null) return 1;
  let size = left >= 4 ? 4 : left >= 2 ? 2 : 1;
  const offset = address + range.regionDelta;
  while (
    size > 1 &&
    (size > range.handler.validMax || address + size > range.end || (!range.handler.unaligned && offset % size !== 0))
  )
    size >>= 1;
  return size;
}

function worse(a: MemTxResult, b: MemTxResult): MemTxResult {
  return a > b ? a : b;
}

function missing(from: readonly FlatRange[], other: readonly FlatRange[]): FlatRange[] {
  const byStart = new Map(other.map((range) => [range.start, range]));
  return from.filter((range) => !byStart.get(range.start)?.equals(range));
}
