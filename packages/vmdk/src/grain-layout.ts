/**
 * What the three sparse formats have in common: a grain directory whose entries give grain tables, whose entries give grains. Their
 * entries are decoded once, when a table is read, into byte offsets, so that nothing after that knows which format it was.
 */

/** The entry of a grain that is not here: the parent decides, or it is zeroes. */
export const UNALLOCATED = 0;
/** The entry of a grain that is zeroes and has no place. No grain can begin at byte 1. */
export const ZEROED = 1;

export interface GrainLayout {
  readonly format: 'hosted' | 'cowd' | 'sesparse';
  /** Virtual bytes. */
  readonly capacity: number;
  readonly grainBytes: number;
  readonly tableEntries: number;
  readonly directoryOffset: number;
  readonly directoryEntries: number;
  /** The redundant directory; 0: none. */
  readonly redundantOffset: number;
  /** Bytes of an entry, in both the directory and the tables. */
  readonly entryBytes: 4 | 8;
  /** Where grains may begin. */
  readonly dataStart: number;
  readonly compressed: boolean;
  /** A compressed grain begins with its marker. */
  readonly markers: boolean;
  /** ZEROED can be written. */
  readonly zeroedGrains: boolean;
  /** Why it cannot be written, if so. */
  readonly readOnlyReason?: string | undefined;
  /** Byte offset of a grain table; 0: none. `index` is for messages. */
  directoryEntry(view: DataView, at: number, index: number): number;
  /** Fills `offsets` from the bytes of a table. */
  decodeTable(view: DataView, offsets: Float64Array): void;
}

export const SECTOR = 512;

/** Entries that count sectors, 32 bits each: hosted sparse and COWD. */
export function sectorEntry(view: DataView, at: number): number {
  return view.getUint32(at, true) * SECTOR;
}

export function sectorTable(view: DataView, offsets: Float64Array): void {
  for (let i = 0; i < offsets.length; i++) offsets[i] = view.getUint32(i * 4, true) * SECTOR;
}

/** The same where sector 1 stands for zeroes. */
export function sectorTableWithZeroed(view: DataView, offsets: Float64Array): void {
  for (let i = 0; i < offsets.length; i++) {
    const sector = view.getUint32(i * 4, true);
    offsets[i] = sector === 1 ? ZEROED : sector * SECTOR;
  }
}
