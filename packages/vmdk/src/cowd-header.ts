/**
 * COWDisk_Header of ESX server sparse extents (VMFSSPARSE, the deltas of vSphere). Virtual Disk Format 5.0 "ESXi Host Sparse Extents".
 * Reading only. Grain tables always have 4096 entries.
 */
import { BlockError } from '@emkit/storage';
import { SECTOR, sectorEntry, sectorTable, type GrainLayout } from './grain-layout.ts';
import { MAX_DIRECTORY_ENTRIES, MAX_GRAIN_BYTES } from './limits.ts';

/** "COWD" */
export const COWD_MAGIC = 0x44574f43;

/** Byte offsets of the fields. */
export const CowdHeader = {
  magicNumber: 0,
  version: 4,
  flags: 8,
  numSectors: 12,
  grainSize: 16,
  gdOffset: 20,
  numGDEntries: 24,
  freeSector: 28,
} as const;

const TABLE_ENTRIES = 4096;

/** `head`: the first 512 bytes. */
export function parseCowdHeader(head: Uint8Array): GrainLayout {
  const view = new DataView(head.buffer, head.byteOffset, SECTOR);
  const field = (name: keyof typeof CowdHeader): number => view.getUint32(CowdHeader[name], true);
  const invalid = (message: string, name: keyof typeof CowdHeader): BlockError =>
    new BlockError('invalid-format', message, { offset: CowdHeader[name], field: name });
  if (field('version') !== 1)
    throw new BlockError('unsupported-feature', `Unsupported COWD version ${field('version')}`, {
      offset: CowdHeader.version,
      field: 'version',
    });
  const capacity = field('numSectors') * SECTOR;
  const grainBytes = field('grainSize') * SECTOR;
  if (grainBytes === 0 || grainBytes > MAX_GRAIN_BYTES)
    throw invalid('Invalid granularity, image may be corrupt', 'grainSize');
  const directoryEntries = field('numGDEntries');
  if (directoryEntries > MAX_DIRECTORY_ENTRIES) throw invalid('L1 size too big', 'numGDEntries');
  if (directoryEntries * TABLE_ENTRIES * grainBytes < capacity)
    throw invalid('the grain directory does not cover the capacity', 'numGDEntries');
  return {
    format: 'cowd',
    capacity,
    grainBytes,
    tableEntries: TABLE_ENTRIES,
    directoryOffset: field('gdOffset') * SECTOR,
    directoryEntries,
    redundantOffset: 0,
    entryBytes: 4,
    dataStart: SECTOR,
    compressed: false,
    markers: false,
    zeroedGrains: false,
    readOnlyReason: 'No write support for vmfsSparse images available',
    directoryEntry: sectorEntry,
    decodeTable: sectorTable,
  };
}
