/** Makes new, empty disks, laid out byte for byte as qemu-img 7.2 lays them out (but for the CID). Virtual Disk Format 5.0. */
import {
  BlockError,
  writable,
  type CreateOptions,
  type IoOptions,
  type Resolver,
  type Storage,
  type WritableStorage,
} from '@emkit/storage';
import { newCid, platformRandom } from './cid.ts';
import type { GrainCodec } from './codec.ts';
import { parseCreateOptions, type VmdkCreateOptions } from './create-options.ts';
import { CID_NOPARENT, type Descriptor } from './descriptor.ts';
import type { DescriptorExtent } from './descriptor-extent.ts';
import { formatDescriptor } from './format-descriptor.ts';
import { SECTOR } from './grain-layout.ts';
import { MAX_DESCRIPTOR_BYTES, MAX_EXTENTS } from './limits.ts';
import { directoryOf, splitName } from './names.ts';
import { openVmdk } from './open.ts';
import { cidOf, openParent } from './parent.ts';
import { DESCRIPTOR_SECTORS, writeSparseMetadata } from './sparse-metadata.ts';
import { encodeText } from './text.ts';

/** Where a disk is split. */
const TWO_GIB = 2 ** 31;

export async function createVmdk(storage: Storage, options: CreateOptions, codec: GrainCodec): Promise<void> {
  const file = writable(storage);
  const { size, resolver } = options;
  if (!Number.isSafeInteger(size) || size < 0 || size > Number.MAX_SAFE_INTEGER - SECTOR)
    throw new BlockError('invalid-option', `${size} is no size for a disk`, { field: 'size' });
  const wanted = parseCreateOptions(options.options ?? {});
  const sectors = Math.ceil(size / SECTOR);
  const parentCid = wanted.backingFile === undefined ? CID_NOPARENT : await readParentCid(wanted, options, codec);
  const path = file.name ?? 'disk.vmdk';
  const lines = wanted.isSplit || wanted.isFlat ? pieces(path, sectors, wanted) : [ownLine(path, sectors)];
  const text = formatDescriptor(describe(options, wanted, sectors, parentCid, lines));
  const bytes = encodeText(text);
  const room = wanted.isSplit || wanted.isFlat ? MAX_DESCRIPTOR_BYTES : DESCRIPTOR_SECTORS * SECTOR;
  if (bytes.length > room) throw new BlockError('invalid-option', 'the descriptor would be too long');

  if (!wanted.isSplit && !wanted.isFlat) {
    await writeSparseMetadata(file, sectors, wanted, bytes, options);
    return file.flush(options);
  }
  await file.truncate(0, options);
  for (const line of lines) await createExtent(line, wanted, resolver, options);
  await file.write(0, bytes, options);
  await file.flush(options);
}

function ownLine(path: string, sectors: number): DescriptorExtent {
  return { access: 'RW', sectors, type: 'SPARSE', name: path.slice(directoryOf(path).length) };
}

/** Extents in files beside the descriptor: `disk-flat.vmdk`, `disk-f001.vmdk`, `disk-s001.vmdk`. */
function pieces(path: string, sectors: number, wanted: VmdkCreateOptions): DescriptorExtent[] {
  const [stem, extension] = splitName(path);
  const step = wanted.isSplit ? TWO_GIB / SECTOR : Math.max(1, sectors);
  if (sectors / step > MAX_EXTENTS)
    throw new BlockError('invalid-option', `the disk would have more than ${MAX_EXTENTS} extents`, { field: 'size' });
  const lines: DescriptorExtent[] = [];
  for (let start = 0; start < sectors || lines.length === 0; start += step) {
    const suffix = wanted.isSplit ? `${wanted.isFlat ? 'f' : 's'}${String(lines.length + 1).padStart(3, '0')}` : 'flat';
    const common = {
      access: 'RW',
      sectors: Math.min(step, sectors - start),
      name: `${stem}-${suffix}${extension}`,
    } as const;
    lines.push(wanted.isFlat ? { ...common, type: 'FLAT', offset: 0 } : { ...common, type: 'SPARSE' });
  }
  return lines;
}

async function createExtent(
  line: DescriptorExtent,
  wanted: VmdkCreateOptions,
  resolver: Resolver | undefined,
  options: IoOptions,
): Promise<void> {
  if (resolver?.create === undefined)
    throw new BlockError('refused', `the disk needs the file '${line.name ?? ''}', and no resolver makes it`, {
      field: 'subformat',
    });
  const storage = await resolver.create(line.name as string, options);
  try {
    const file: WritableStorage = writable(storage);
    if (wanted.isFlat) await file.truncate(line.sectors * SECTOR, options);
    else await writeSparseMetadata(file, line.sectors, wanted, undefined, options);
    await file.flush(options);
  } finally {
    await storage.close?.();
  }
}

function describe(
  options: CreateOptions,
  wanted: VmdkCreateOptions,
  sectors: number,
  parentCid: number,
  extents: readonly DescriptorExtent[],
): Descriptor {
  const heads = wanted.adapterType === 'ide' ? 16 : 255;
  const cylinders = Math.floor(sectors / (63 * heads));
  return {
    version: 1,
    cid: newCid(options.random ?? platformRandom, CID_NOPARENT),
    parentCid,
    createType: wanted.subformat,
    ...(wanted.backingFile === undefined ? {} : { parentFileNameHint: wanted.backingFile }),
    extents,
    ddb: new Map([
      ['ddb.virtualHWVersion', wanted.hwVersion],
      ['ddb.geometry.cylinders', String(cylinders)],
      ['ddb.geometry.heads', String(heads)],
      ['ddb.geometry.sectors', '63'],
      ['ddb.adapterType', wanted.adapterType],
      ['ddb.toolsVersion', wanted.toolsVersion],
    ]),
    other: new Map(),
  };
}

async function readParentCid(wanted: VmdkCreateOptions, options: CreateOptions, codec: GrainCodec): Promise<number> {
  const name = wanted.backingFile as string;
  const { resolver } = options;
  if (resolver === undefined)
    throw new BlockError('refused', `the CID of '${name}' is needed, and no resolver was given`, {
      field: 'backing_file',
    });
  const parent = await openParent(
    { kind: 'parent', name, format: 'vmdk' },
    resolver,
    (file) => openVmdk(file, { readOnly: true, backing: 'none', metadataOnly: true, signal: options.signal }, codec),
    options,
  );
  try {
    const cid = await cidOf(parent.disk, options);
    if (cid === undefined)
      throw new BlockError('invalid-option', `the backing file '${name}' is not in vmdk format`, {
        field: 'backing_file',
      });
    return cid;
  } finally {
    await parent.close();
  }
}
