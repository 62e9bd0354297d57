/**
 * fw_cfg: how firmware asks the machine for its configuration. Items have a 16-bit key; a selected item is read byte by
 * byte at port 0x511, or by DMA in one step. Named files are listed in the directory item 0x19.
 * Not here: what the items contain (the board and the loaders add them); saving of their contents (the machine's
 * configuration, rebuilt from it); the memory-mapped variant of other architectures.
 * QEMU documentation, "fw_cfg: Firmware Configuration Device".
 */
import { type AddressSpace, MemoryRegion, MemTxResult } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  DeviceError,
  type DeviceInit,
  field,
  property,
  type PropertySpecs,
  type SystemBus,
} from '@emkit/qdev';
import { FwCfgKey } from './keys.ts';
import { MAX_FILE_NAME, MAX_FILES, MAX_ITEM_BYTES, ZERO_CHUNK } from './limits.ts';

const SELECTOR_PORT = 0x510;
const DMA_PORT = 0x514;
/** Bytes of the DMA address register as read: says that DMA is there. */
const DMA_SIGNATURE = asciiBytes('QEMU CFG');
const ID_TRADITIONAL = 1 << 0;
const ID_DMA = 1 << 1;
/** "Guest-side DMA Interface": FWCfgDmaAccess.control. */
const DMA_ERROR = 1 << 0;
const DMA_READ = 1 << 1;
const DMA_SKIP = 1 << 2;
const DMA_SELECT = 1 << 3;
const DMA_WRITE = 1 << 4;
const DMA_DESCRIPTOR_BYTES = 16;
/** Bit 14 of a key once meant writing and is ignored. */
const KEY_WRITE_CHANNEL = 0x4000;

const PROPERTIES = {
  dma_enabled: property.bool(true, 'offer the DMA interface'),
} satisfies PropertySpecs;

interface FwCfgState {
  key: number;
  offset: number;
  dmaHigh: number;
}
const VMSTATE = defineVmState<FwCfgState>({
  name: 'fw_cfg',
  version: 1,
  fields: [field.u16('key'), field.u32('offset', { max: MAX_ITEM_BYTES }), field.u32('dmaHigh')],
});

export interface FwCfgFileOptions {
  /** May the guest change it (by DMA)? @default false */
  readonly writable?: boolean;
  /** Called after the guest wrote `length` bytes at `offset`. */
  readonly onWrite?: (offset: number, length: number) => void;
  /** Called when the guest selects the item, before it reads: contents may be brought up to date with `modifyFile`. */
  readonly onSelect?: () => void;
}

interface Item {
  data: Uint8Array;
  readonly options: FwCfgFileOptions;
}

export class FwCfg extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: FwCfgState = { key: 0, offset: 0, dmaHigh: 0 };
  readonly #items = new Map<number, Item>();
  /** Name -> key. */
  readonly #files = new Map<string, number>();
  readonly #ports: MemoryRegion;
  readonly #dmaPorts: MemoryRegion;
  readonly #hasDma: boolean;
  #memory: AddressSpace | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#hasDma = init.props.dma_enabled;
    this.addBytes(FwCfgKey.SIGNATURE, asciiBytes('QEMU'));
    this.addI32(FwCfgKey.ID, ID_TRADITIONAL | (this.#hasDma ? ID_DMA : 0));
    this.#items.set(FwCfgKey.FILE_DIR, { data: this.#buildDirectory(), options: {} });
    this.#ports = MemoryRegion.io('fwcfg', 2, {
      read: (_offset, size) => (size === 1 ? this.#readByte() : 0xffff),
      write: (_offset, value, size) => {
        if (size === 2) this.#select(value);
        else this.trace('data-write-ignored', value); // the data register is read-only
      },
      valid: { max: 2 },
    });
    this.#dmaPorts = MemoryRegion.io('fwcfg.dma', 8, {
      read: (offset, size) =>
        DMA_SIGNATURE.subarray(offset, offset + size).reduce((value, byte) => value * 256 + byte, 0),
      write: (offset, value, size) => this.#writeDmaAddress(offset, value, size),
      endianness: 'big',
    });
  }

  protected override onRealize(): void {
    const bus = this.parentBus as SystemBus;
    this.#memory = bus.dma;
    bus.io.add(SELECTOR_PORT, this.#ports);
    if (this.#hasDma) bus.io.add(DMA_PORT, this.#dmaPorts);
  }

  protected override onUnrealize(): void {
    this.#ports.unmap();
    this.#dmaPorts.unmap();
  }

  protected override onReset(): void {
    this.state.key = 0;
    this.state.offset = 0;
    this.state.dmaHigh = 0;
  }

  /** Sets item `key`. The bytes are not copied. */
  addBytes(key: number, data: Uint8Array): void {
    if (!Number.isInteger(key) || key < 0 || key > 0xffff || (key & KEY_WRITE_CHANNEL) !== 0)
      throw new DeviceError(`fw_cfg: key ${key} is not possible`);
    if (data.length > MAX_ITEM_BYTES)
      throw new DeviceError(`fw_cfg: item of ${data.length} bytes exceeds ${MAX_ITEM_BYTES}`);
    this.#items.set(key, { data, options: {} });
  }

  /** With a terminating zero. */
  addString(key: number, text: string): void {
    this.addBytes(key, asciiBytes(`${text}\0`));
  }

  addI16(key: number, value: number): void {
    this.addBytes(key, little(value, 2));
  }

  addI32(key: number, value: number): void {
    this.addBytes(key, little(value, 4));
  }

  /** `value` up to 2^53 - 1. */
  addI64(key: number, value: number): void {
    this.addBytes(key, little(value, 8));
  }

  /** Adds a named file; the bytes are not copied. The directory is sorted by name, so its order does not depend on the order of adding. */
  addFile(name: string, data: Uint8Array, options: FwCfgFileOptions = {}): void {
    if (name.length === 0 || name.length >= MAX_FILE_NAME)
      throw new DeviceError(`fw_cfg: file name '${name}' must have 1..${MAX_FILE_NAME - 1} characters`);
    if (!/^[\x20-\x7e]+$/.test(name)) throw new DeviceError(`fw_cfg: file name '${name}' is not printable ASCII`);
    if (this.#files.has(name)) throw new DeviceError(`fw_cfg: duplicate file name: ${name}`);
    if (this.#files.size >= MAX_FILES) throw new DeviceError(`fw_cfg: more than ${MAX_FILES} files`);
    if (data.length > MAX_ITEM_BYTES)
      throw new DeviceError(`fw_cfg: file '${name}' of ${data.length} bytes exceeds ${MAX_ITEM_BYTES}`);
    const key = FwCfgKey.FILE_FIRST + this.#files.size;
    this.#files.set(name, key);
    this.#items.set(key, { data, options });
    this.#updateDirectory();
  }

  /** Replaces the contents of a file. */
  modifyFile(name: string, data: Uint8Array): void {
    const key = this.#files.get(name);
    if (key === undefined) throw new DeviceError(`fw_cfg: no file '${name}'`);
    if (data.length > MAX_ITEM_BYTES)
      throw new DeviceError(`fw_cfg: file '${name}' of ${data.length} bytes exceeds ${MAX_ITEM_BYTES}`);
    (this.#items.get(key) as Item).data = data;
    this.#updateDirectory();
  }

  /** Names, sorted as in the directory. */
  listFiles(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Contents of a file, for the board's own use; undefined when there is none. */
  getFile(name: string): Uint8Array | undefined {
    const key = this.#files.get(name);
    return key === undefined ? undefined : this.#items.get(key)?.data;
  }

  #updateDirectory(): void {
    (this.#items.get(FwCfgKey.FILE_DIR) as Item).data = this.#buildDirectory();
  }

  /** "File Directory": big-endian count, then size, key, reserved and name of each file. */
  #buildDirectory(): Uint8Array {
    const names = this.listFiles();
    const directory = new Uint8Array(4 + names.length * 64);
    const view = new DataView(directory.buffer);
    view.setUint32(0, names.length);
    names.forEach((name, i) => {
      const key = this.#files.get(name) as number;
      const at = 4 + i * 64;
      view.setUint32(at, (this.#items.get(key) as Item).data.length);
      view.setUint16(at + 4, key);
      directory.set(asciiBytes(name), at + 8);
    });
    return directory;
  }

  #select(key: number): void {
    this.state.key = key & ~KEY_WRITE_CHANNEL;
    this.state.offset = 0;
    this.#items.get(this.state.key)?.options.onSelect?.();
    if (!this.#items.has(this.state.key)) this.trace('select-of-nothing', key);
  }

  /** Bytes past the end of an item, and of items that do not exist, are 0. */
  #readByte(): number {
    const data = this.#items.get(this.state.key)?.data;
    if (data === undefined || this.state.offset >= data.length) return 0;
    return data[this.state.offset++] as number;
  }

  /** Address of the descriptor, big-endian: the high half waits, the low half starts the transfer. */
  #writeDmaAddress(offset: number, value: number, size: number): void {
    if (size !== 4) {
      this.trace('dma-address-width', offset, size);
    } else if (offset === 0) {
      this.state.dmaHigh = value;
    } else {
      const address = this.state.dmaHigh * 2 ** 32 + value;
      this.state.dmaHigh = 0;
      this.#transfer(address);
    }
  }

  /** Reads the descriptor once, does what it says, and stores 0 or the error bit into its control word. */
  #transfer(descriptorAddress: number): void {
    const memory = this.#memory as AddressSpace;
    const descriptor = new Uint8Array(DMA_DESCRIPTOR_BYTES);
    const view = new DataView(descriptor.buffer);
    let result = DMA_ERROR;
    if (memory.dmaRead(descriptorAddress, descriptor) === MemTxResult.OK) {
      const control = view.getUint32(0);
      const address = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
      if (control & DMA_SELECT) this.#select(control >>> 16);
      result = this.#runDma(control, view.getUint32(4), address) ? 0 : DMA_ERROR;
    }
    view.setUint32(0, result);
    memory.dmaWrite(descriptorAddress, descriptor.subarray(0, 4));
  }

  #runDma(control: number, length: number, address: number): boolean {
    const item = this.#items.get(this.state.key);
    const left = item === undefined ? 0 : Math.max(0, item.data.length - this.state.offset);
    const count = Math.min(length, left);
    if (control & DMA_READ) return this.#dmaRead(item, address, count, length);
    if (control & DMA_WRITE) return this.#dmaWrite(item, address, length, left);
    if (control & DMA_SKIP) this.state.offset += count;
    return true;
  }

  /** `count` bytes of the item, then zeroes up to `length`. Work is bounded by guest RAM: the range is checked first. */
  #dmaRead(item: Item | undefined, address: number, count: number, length: number): boolean {
    const memory = this.#memory as AddressSpace;
    if (memory.dmaCheck(address, length, true) !== MemTxResult.OK) return false;
    if (item !== undefined && count > 0) {
      memory.dmaWrite(address, item.data.subarray(this.state.offset, this.state.offset + count));
      this.state.offset += count;
    }
    const zeroes = new Uint8Array(Math.min(ZERO_CHUNK, length - count));
    for (let done = count; done < length; done += zeroes.length)
      memory.dmaWrite(address + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)));
    return true;
  }

  #dmaWrite(item: Item | undefined, address: number, length: number, left: number): boolean {
    if (item === undefined || item.options.writable !== true || length > left) return false;
    const start = this.state.offset;
    if ((this.#memory as AddressSpace).dmaRead(address, item.data.subarray(start, start + length)) !== MemTxResult.OK)
      return false;
    this.state.offset += length;
    item.options.onWrite?.(start, length);
    return true;
  }
}

export const FW_CFG = defineDevice({
  name: 'fw_cfg_io',
  description: 'Firmware configuration',
  bus: 'system',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new FwCfg(init),
});

function little(value: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = value < 0 ? value + 2 ** (size * 8) : value;
  for (let i = 0; i < size; i++) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}
