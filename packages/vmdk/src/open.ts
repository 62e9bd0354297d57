/** Opens a disk: tells what the file is, reads its descriptor, opens the extents and the parent. */
import { BlockError, type OpenOptions, type Resolver, type Storage } from '@emkit/storage';
import { Caches } from './caches.ts';
import { platformRandom } from './cid.ts';
import type { GrainCodec } from './codec.ts';
import { COWD_MAGIC, parseCowdHeader } from './cowd-header.ts';
import type { ParsedDescriptor } from './descriptor.ts';
import { asQemuReads, type DescriptorExtent } from './descriptor-extent.ts';
import { DescriptorPlace } from './descriptor-place.ts';
import type { VmdkExtent } from './extent.ts';
import { FlatExtent, VoidExtent } from './flat-extent.ts';
import { SECTOR, type GrainLayout } from './grain-layout.ts';
import { MAX_DESCRIPTOR_BYTES, MAX_EXTENTS, MAX_PARENTS } from './limits.ts';
import { relativeTo } from './names.ts';
import { openParent, type Parent } from './parent.ts';
import { isSeSparse, readSeSparseHeader } from './sesparse-header.ts';
import { SparseExtent } from './sparse-extent.ts';
import { readSparseHeader, SPARSE_MAGIC, type SparseHeader } from './sparse-header.ts';
import { ParentView, VmdkImage } from './vmdk-image.ts';

/** Kinds of disks whose descriptor is a file of its own. Others stand for raw devices. */
const DESCRIPTOR_TYPES = [
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'vmfs',
  'vmfsSparse',
  'seSparse',
  // names of the format's document, and disks that were put together by hand
  '2GbMaxExtentSparse',
  '2GbMaxExtentFlat',
  'vmfsThin',
  'monolithicSparse',
  'custom',
];

interface Context {
  readonly file: Storage;
  readonly options: OpenOptions;
  readonly codec: GrainCodec;
  readonly below: ParentView;
  readonly caches: Caches;
  readonly wantsWrite: boolean;
  readonly remarks: string[];
  /** What was opened, by name. */
  readonly opened: Map<string, Storage>;
}

export async function openVmdk(file: Storage, options: OpenOptions, codec: GrainCodec, depth = 0): Promise<VmdkImage> {
  for (const name of Object.keys(options.driverOptions ?? {}))
    throw new BlockError('invalid-option', `Invalid parameter '${name}'`);
  const head = await readHead(file, options);
  const magic = new DataView(head.buffer).getUint32(0, true);
  const header = magic === SPARSE_MAGIC ? await readSparseHeader(file, head, options) : undefined;
  const place = descriptorPlace(file, header);
  const descriptor = await place.read(options);
  const context: Context = {
    file,
    options,
    codec,
    below: new ParentView(descriptor.parentCid),
    caches: new Caches(),
    wantsWrite: file.write !== undefined && options.readOnly !== true,
    remarks: [],
    opened: new Map(),
  };
  let parent: Parent | undefined;
  const release = async (): Promise<void> => {
    await parent?.close();
    for (const storage of context.opened.values()) await storage.close?.();
  };
  try {
    const isWhole = header !== undefined && (header.layout.capacity > 0 || descriptor.extents.every(isEmpty));
    const extents = isWhole
      ? [sparseExtent(context, header.layout, { start: 0, number: 0, format: '', filename: file.name ?? '', file })]
      : await openExtents(context, descriptor);
    remark(context, header, descriptor);
    const reason = extents.find((extent) => extent.readOnlyReason !== undefined)?.readOnlyReason;
    // a disk of which a part is read-only by its descriptor can be written elsewhere
    const isReadOnly = !context.wantsWrite || extents.every((extent) => extent.readOnlyReason !== undefined);
    if (isReadOnly && options.readOnly === false && reason !== undefined) throw new BlockError('read-only', reason);
    parent = await openBelow(context, descriptor, depth);
    return new VmdkImage({
      file,
      readOnly: isReadOnly,
      descriptor,
      place,
      extents,
      remarks: context.remarks,
      below: context.below,
      random: platformRandom,
      release,
    });
  } catch (error) {
    await release().catch(() => undefined);
    throw error;
  }
}

async function readHead(file: Storage, options: OpenOptions): Promise<Uint8Array> {
  const head = new Uint8Array(SECTOR);
  await file.read(0, head, options);
  return head;
}

function descriptorPlace(file: Storage, header: SparseHeader | undefined): DescriptorPlace {
  if (header === undefined) {
    if (file.size > MAX_DESCRIPTOR_BYTES) throw new BlockError('invalid-format', 'invalid VMDK image descriptor');
    return new DescriptorPlace(file, 0, MAX_DESCRIPTOR_BYTES);
  }
  const { descriptorOffset, descriptorBytes } = header;
  if (descriptorOffset === 0)
    throw new BlockError('invalid-format', 'the extent has no descriptor: open the descriptor file of its disk', {
      offset: 28,
      field: 'descriptorOffset',
    });
  if (!(descriptorOffset + descriptorBytes <= file.size))
    throw new BlockError('invalid-format', 'the descriptor is beyond the end of the file', {
      offset: 28,
      field: 'descriptorOffset',
    });
  return new DescriptorPlace(file, descriptorOffset, descriptorBytes);
}

function isEmpty(extent: DescriptorExtent): boolean {
  return extent.sectors === 0;
}

async function openExtents(context: Context, descriptor: ParsedDescriptor): Promise<VmdkExtent[]> {
  const { createType, malformed } = descriptor;
  if (!DESCRIPTOR_TYPES.includes(createType))
    throw new BlockError('unsupported-feature', `Unsupported image type '${createType}'`, { field: 'createType' });
  const lines = asQemuReads(descriptor.extents, MAX_EXTENTS);
  // a check looks at what there is
  if (context.options.forCheck !== true) {
    if (malformed.length > 0)
      throw new BlockError('invalid-format', `Invalid extent line: ${malformed[0] as string}`, { field: 'extent' });
    if (lines.length === 0)
      throw new BlockError('invalid-format', 'the descriptor has no extents', { field: 'extent' });
  }
  if (lines.length > MAX_EXTENTS) throw new BlockError('invalid-format', `more than ${MAX_EXTENTS} extents`);
  const extents: VmdkExtent[] = [];
  let start = 0;
  for (const line of lines) {
    const extent = await openExtent(context, line, lines, start, extents.length);
    if (start + extent.length > Number.MAX_SAFE_INTEGER)
      throw new BlockError('invalid-format', 'the disk is larger than 2^53 bytes', { field: 'extent' });
    start += extent.length;
    if (extent.length > 0) extents.push(extent);
  }
  return extents;
}

async function openExtent(
  context: Context,
  line: DescriptorExtent,
  lines: readonly DescriptorExtent[],
  start: number,
  number: number,
): Promise<VmdkExtent> {
  const { type, access, sectors } = line;
  const length = sectors * SECTOR;
  if (type === 'ZERO' || access === 'NOACCESS')
    return new VoidExtent({ start, length }, { format: type, filename: line.name ?? '' }, access !== 'NOACCESS');
  const name = line.name as string;
  const filename = relativeTo(context.file.name ?? '', name);
  const readOnlyReason = access === 'RDONLY' ? 'the descriptor says that the extent is read-only' : undefined;
  const isWritten = lines.some((other) => other.name === name && other.access === 'RW');
  const file = await openFile(context, name, context.wantsWrite && isWritten, length);
  if (type === 'FLAT' || type === 'VMFS') {
    const offset = (line.offset ?? 0) * SECTOR;
    if (offset + length > Number.MAX_SAFE_INTEGER)
      throw new BlockError('invalid-format', 'the extent ends beyond 2^53 bytes', { field: 'extent' });
    if (file === undefined) return new VoidExtent({ start, length }, { format: type, filename }, false);
    return new FlatExtent(
      file,
      { start, length, offset },
      { format: type, filename: file.name ?? filename, readOnlyReason },
    );
  }
  if (file === undefined) return new VoidExtent({ start, length }, { format: type, filename }, false);
  const layout = await readLayout(file, type, context.options);
  const words = { start, number, format: type, filename: file.name ?? filename, file, readOnlyReason };
  return sparseExtent(context, layout, words);
}

/** Undefined: only metadata is wanted, and there is no resolver. */
async function openFile(context: Context, name: string, writable: boolean, size: number): Promise<Storage | undefined> {
  const known = context.opened.get(name);
  if (known !== undefined) return known;
  const { resolver, metadataOnly } = context.options;
  if (resolver === undefined) {
    if (metadataOnly === true) return undefined;
    throw new BlockError('refused', `the image needs the file '${name}', and no resolver was given`, {
      field: 'extent',
    });
  }
  const storage = await resolver.open({ kind: 'extent', name, format: 'raw', writable, size }, context.options);
  context.opened.set(name, storage);
  return storage;
}

async function readLayout(file: Storage, type: string, options: OpenOptions): Promise<GrainLayout> {
  const head = await readHead(file, options);
  if (type === 'SESPARSE' || isSeSparse(head)) return readSeSparseHeader(file, head, options);
  const magic = new DataView(head.buffer).getUint32(0, true);
  if (magic === SPARSE_MAGIC) return (await readSparseHeader(file, head, options)).layout;
  if (magic === COWD_MAGIC) return parseCowdHeader(head);
  throw new BlockError('invalid-format', `${file.name ?? 'the extent'} is no sparse extent`, {
    offset: 0,
    field: 'magicNumber',
  });
}

function sparseExtent(
  context: Context,
  layout: GrainLayout,
  words: {
    start: number;
    number: number;
    format: string;
    filename: string;
    file: Storage;
    readOnlyReason?: string | undefined;
  },
): SparseExtent {
  const isWritable =
    context.wantsWrite &&
    layout.readOnlyReason === undefined &&
    words.readOnlyReason === undefined &&
    words.file.write !== undefined;
  const readOnlyReason = words.file.write === undefined ? 'the file cannot be written' : words.readOnlyReason;
  const { below, caches, codec } = context;
  return new SparseExtent({ ...words, readOnlyReason, layout, isWritable, below, caches, codec });
}

function remark(context: Context, header: SparseHeader | undefined, descriptor: ParsedDescriptor): void {
  for (const line of descriptor.malformed) context.remarks.push(`Invalid extent line: ${line}`);
  if (header?.newlinesIntact === false)
    context.remarks.push('The header says that the file was transferred as text: its data is damaged');
  if (header?.uncleanShutdown === true) context.remarks.push('The image was not closed in order');
}

async function openBelow(context: Context, descriptor: ParsedDescriptor, depth: number): Promise<Parent | undefined> {
  const { options, below } = context;
  const { parentFileNameHint: name } = descriptor;
  if (options.backing === 'none') return undefined;
  if (options.backing !== undefined) {
    below.set(options.backing);
    await below.check(options);
    return undefined;
  }
  if (name === undefined) return undefined;
  if (depth >= MAX_PARENTS) throw new BlockError('invalid-format', `more than ${MAX_PARENTS} parents: is it a loop?`);
  if (options.resolver === undefined)
    throw new BlockError('refused', `the image needs its parent '${name}', and no resolver was given`, {
      field: 'parentFileNameHint',
    });
  const openDisk = (file: Storage, resolver: Resolver): Promise<VmdkImage> =>
    openVmdk(file, { readOnly: true, resolver, signal: options.signal }, context.codec, depth + 1);
  const parent = await openParent({ kind: 'parent', name, format: 'vmdk' }, options.resolver, openDisk, options);
  below.set(parent.disk);
  try {
    await below.check(options);
  } catch (error) {
    await parent.close();
    throw error;
  }
  return parent;
}
