/**
 * Space-efficient sparse extents (SESPARSE, the deltas of VMFS-6). VMware has published no document; the facts are those that readers of
 * the format agree on, and QEMU is the oracle (e2e). Reading only, and only what was closed in order (no journal to replay).
 *
 * Constant header (sector 0), then a volatile one; all fields are 64 bits, offsets and sizes in sectors. A directory entry is 0 or
 * 0x1000_0000_tttt_tttt with the number of a table. A table entry has its kind in the top four bits: 0 unallocated, 1 unmapped by the
 * guest, 2 zeroed, 3 a grain, whose number has its low 12 bits in bits 48-59 and the rest in bits 0-47.
 */
import { BlockError, type IoOptions, type Storage } from '@emkit/storage';
import { SECTOR, UNALLOCATED, ZEROED, type GrainLayout } from './grain-layout.ts';
import { MAX_DIRECTORY_ENTRIES } from './limits.ts';

const CONST_MAGIC = 0xcafebabe;
const VOLATILE_MAGIC = 0xcafecafe;

/** Byte offsets of the fields of the constant header. */
export const SeSparseHeader = {
  magic: 0,
  version: 8,
  capacity: 16,
  grainSize: 24,
  grainTableSize: 32,
  flags: 40,
  volatileHeaderOffset: 80,
  volatileHeaderSize: 88,
  journalHeaderOffset: 96,
  journalOffset: 112,
  grainDirOffset: 128,
  grainDirSize: 136,
  grainTablesOffset: 144,
  grainTablesSize: 152,
  grainsOffset: 192,
} as const;

/** Byte offsets of the fields of the volatile header. */
export const SeSparseVolatileHeader = { magic: 0, freeGtNumber: 8, nextTxnSeqNumber: 16, replayJournal: 24 } as const;

/** The only sizes that were ever seen: grains of 4 KiB, tables of 4096 entries. */
const GRAIN_SECTORS = 8;
const TABLE_SECTORS = 64;
const VERSION_HIGH = 2;
const VERSION_LOW = 1;

export function isSeSparse(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, 8);
  return view.getUint32(0, true) === CONST_MAGIC && view.getUint32(4, true) === 0;
}

/** `head`: the first 512 bytes. */
export async function readSeSparseHeader(file: Storage, head: Uint8Array, options?: IoOptions): Promise<GrainLayout> {
  const view = new DataView(head.buffer, head.byteOffset, SECTOR);
  const invalid = (message: string, name: keyof typeof SeSparseHeader): BlockError =>
    new BlockError('invalid-format', message, { offset: SeSparseHeader[name], field: name });
  const u64 = (name: keyof typeof SeSparseHeader): number => {
    const at = SeSparseHeader[name];
    const value = view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
    if (value > Number.MAX_SAFE_INTEGER / SECTOR) throw invalid(`${name} is out of range`, name);
    return value;
  };
  if (!isSeSparse(head)) throw invalid('the extent has no seSparse magic number', 'magic');
  if (view.getUint32(8, true) !== VERSION_LOW || view.getUint32(12, true) !== VERSION_HIGH)
    throw new BlockError('unsupported-feature', 'unsupported version of seSparse', { offset: 8, field: 'version' });
  if (u64('grainSize') !== GRAIN_SECTORS) throw invalid('unsupported grain size', 'grainSize');
  if (u64('grainTableSize') !== TABLE_SECTORS) throw invalid('unsupported grain table size', 'grainTableSize');
  if (u64('flags') !== 0)
    throw new BlockError('unsupported-feature', 'unsupported seSparse flags', { offset: 40, field: 'flags' });

  const capacity = u64('capacity') * SECTOR;
  const grainBytes = GRAIN_SECTORS * SECTOR;
  const tableBytes = TABLE_SECTORS * SECTOR;
  const tableEntries = tableBytes / 8;
  const directoryEntries = (u64('grainDirSize') * SECTOR) / 8;
  if (directoryEntries > MAX_DIRECTORY_ENTRIES) throw invalid('L1 size too big', 'grainDirSize');
  if (directoryEntries * tableEntries * grainBytes < capacity)
    throw invalid('the grain directory does not cover the capacity', 'grainDirSize');
  const tablesOffset = u64('grainTablesOffset') * SECTOR;
  const tables = Math.floor(u64('grainTablesSize') / TABLE_SECTORS);
  const grainsOffset = u64('grainsOffset') * SECTOR;
  const directoryOffset = u64('grainDirOffset') * SECTOR;
  await readVolatileHeader(file, u64('volatileHeaderOffset') * SECTOR, options);

  return {
    format: 'sesparse',
    capacity,
    grainBytes,
    tableEntries,
    directoryOffset,
    directoryEntries,
    redundantOffset: 0,
    entryBytes: 8,
    dataStart: grainsOffset,
    compressed: false,
    markers: false,
    zeroedGrains: false,
    readOnlyReason: 'No write support for seSparse images available',
    directoryEntry(entries, at, index) {
      const low = entries.getUint32(at, true);
      const high = entries.getUint32(at + 4, true);
      if (high === 0 && low === 0) return 0;
      if (high !== 0x10000000 || low >= tables)
        throw new BlockError('corrupt-image', `grain directory entry ${index} is invalid`, {
          offset: directoryOffset + index * 8,
          field: 'grain directory',
        });
      return tablesOffset + low * tableBytes;
    },
    decodeTable(entries, offsets) {
      for (let i = 0; i < offsets.length; i++)
        offsets[i] = decodeEntry(entries.getUint32(i * 8 + 4, true), entries.getUint32(i * 8, true), grainsOffset);
    },
  };
}

/** NaN: an entry that cannot be; reading it is an error. */
function decodeEntry(high: number, low: number, grainsOffset: number): number {
  switch (high >>> 28) {
    case 0:
      return high === 0 && low === 0 ? UNALLOCATED : NaN;
    case 1:
    case 2:
      return ZEROED;
    case 3: {
      const upper = (high & 0xffff) * 0x100000000 + low;
      const offset = grainsOffset + (upper * 4096 + ((high >>> 16) & 0xfff)) * GRAIN_SECTORS * SECTOR;
      return offset <= Number.MAX_SAFE_INTEGER - GRAIN_SECTORS * SECTOR ? offset : NaN;
    }
    default:
      return NaN;
  }
}

async function readVolatileHeader(file: Storage, at: number, options?: IoOptions): Promise<void> {
  const bytes = new Uint8Array(SECTOR);
  await file.read(at, bytes, options);
  const view = new DataView(bytes.buffer);
  if (view.getUint32(0, true) !== VOLATILE_MAGIC || view.getUint32(4, true) !== 0)
    throw new BlockError('invalid-format', 'the volatile header has no magic number', { offset: at, field: 'magic' });
  if (bytes[SeSparseVolatileHeader.replayJournal] !== 0)
    throw new BlockError('unsupported-feature', 'Image has a journal that must be replayed', {
      offset: at + SeSparseVolatileHeader.replayJournal,
      field: 'replayJournal',
    });
}
