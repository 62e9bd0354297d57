/**
 * One line of "Extent description": `ACCESS SECTORS TYPE ["NAME" [OFFSET ...]]`. Virtual Disk Format 5.0 "The Extent Section".
 * Types of raw devices are not among those known here: such a line is malformed to us.
 */

export type ExtentAccess = 'RW' | 'RDONLY' | 'NOACCESS';

export const EXTENT_TYPES = ['FLAT', 'SPARSE', 'ZERO', 'VMFS', 'VMFSSPARSE', 'SESPARSE'] as const;

export type ExtentType = (typeof EXTENT_TYPES)[number];

export interface DescriptorExtent {
  readonly access: ExtentAccess;
  /** 512 bytes each. */
  readonly sectors: number;
  readonly type: ExtentType;
  /** Relative to the descriptor; absent for ZERO only. */
  readonly name?: string | undefined;
  /** Sectors into the file where the extent begins; FLAT (always there) and VMFS. */
  readonly offset?: number | undefined;
  /** Empty lines directly before this one: see `asQemuReads`. */
  readonly blankLinesBefore?: number | undefined;
}

const LINE = /^\s*(RW|RDONLY|NOACCESS)\s+(\d{1,16})\s+([A-Z]+)(?:\s+"([^"]*)"(?:\s+(\d{1,16}))?)?/;

/** Whether the line means to be an extent. */
export function looksLikeExtent(line: string): boolean {
  return /^\s*(RW|RDONLY|NOACCESS)\s/.test(line);
}

/** Undefined: malformed, or of a kind that is not known. */
export function parseExtent(line: string, blankLinesBefore = 0): DescriptorExtent | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, access, count, word, name, start] = match;
  const type = EXTENT_TYPES.find((known) => known === word);
  const sectors = Number(count);
  const offset = start === undefined ? undefined : Number(start);
  // as bytes both must be exact integers
  if (type === undefined || !isSectors(sectors) || (offset !== undefined && !isSectors(offset))) return undefined;
  if (type !== 'ZERO' && (name === undefined || name === '')) return undefined;
  if (type === 'FLAT' && offset === undefined) return undefined;
  const takesOffset = type === 'FLAT' || type === 'VMFS';
  return {
    access: access as ExtentAccess,
    sectors,
    type,
    ...(type === 'ZERO' ? {} : { name }),
    ...(takesOffset ? { offset: offset ?? 0 } : {}),
    ...(blankLinesBefore > 0 ? { blankLinesBefore } : {}),
  };
}

export function formatExtent(extent: DescriptorExtent): string {
  const { access, sectors, type, name, offset } = extent;
  if (type === 'ZERO') return `${access} ${sectors} ZERO`;
  return `${access} ${sectors} ${type} "${name ?? ''}"${type === 'FLAT' ? ` ${offset ?? 0}` : ''}`;
}

/**
 * QEMU's scanner takes an extent line once more for every empty line directly before it (white space in its pattern runs over line ends).
 * The disk has to be the same size here as there, so this is how images are opened. No writer that we know puts an empty line there.
 * Oracle: the image d-crlf of the disk-images conformance data.
 */
export function asQemuReads(extents: readonly DescriptorExtent[], limit: number): DescriptorExtent[] {
  const all: DescriptorExtent[] = [];
  for (const extent of extents)
    for (let n = extent.blankLinesBefore ?? 0; n >= 0 && all.length <= limit; n--) all.push(extent);
  return all;
}

function isSectors(count: number): boolean {
  return count <= Number.MAX_SAFE_INTEGER / 512;
}
