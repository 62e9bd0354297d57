/** Opens the images of a command line as exports: the part of each that is served, and what can be told of it. */
import { chainStatus, openImage, type BlockEnvironment, type BlockNode } from '@emkit/block';
import { nodeEnvironment, parseKeyValues, parseSecrets } from '@emkit/block-node';
import { allocationDepth, dirtyBitmap, type MetaContext, type NbdExport } from '@emkit/nbd';
import { offsetStorage } from '@emkit/raw';
import { isBlockError, type BlockImage, type SnapshotInfo, type Storage } from '@emkit/storage';
import type { ImageOptions, ServeOptions } from './options.ts';
import { ToolError } from './tool-error.ts';
import type { Tool } from './tool.ts';

export interface OpenedImage {
  readonly export: NbdExport;
  readonly driver: string;
  close(): Promise<void>;
}

/** All of them, or none. */
export async function openImages(tool: Tool, options: ServeOptions): Promise<OpenedImage[]> {
  const environment = nodeEnvironment({
    blocking: !options.threads,
    secret: parseSecrets(options.objects),
    warn: (line) => tool.say(line),
  });
  const opened: OpenedImage[] = [];
  try {
    for (const image of options.images) opened.push(await open(tool, environment, image, options));
  } catch (error) {
    for (const image of opened) await image.close().catch(() => undefined);
    throw error;
  }
  return opened;
}

async function open(
  tool: Tool,
  environment: BlockEnvironment,
  { image, exportName, description }: ImageOptions,
  options: ServeOptions,
): Promise<OpenedImage> {
  const node = await openNode(environment, image, options, tool.signal);
  try {
    const tracked = await exported(node, options);
    const { offset } = options;
    const storage = offset === 0 ? tracked.storage : offsetStorage(tracked.storage, { offset });
    const contexts = [
      ...(options.allocationDepth ? [allocationDepth(node)] : []),
      ...options.bitmaps.map((name) => bitmapContext(node, name, tracked)),
    ].map((context) => shifted(context, offset));
    return {
      export: {
        name: exportName,
        description,
        storage,
        readOnly: options.readOnly || storage.write === undefined,
        contexts,
        maxConnections: options.shared,
      },
      driver: node.driver,
      close: () => node.close(),
    };
  } catch (error) {
    await node.close().catch(() => undefined);
    throw error;
  }
}

async function openNode(
  environment: BlockEnvironment,
  image: string,
  options: ServeOptions,
  signal: AbortSignal,
): Promise<BlockNode> {
  try {
    return await openImage(image, environment, {
      format: options.format,
      imageOpts: options.imageOpts,
      readOnly: options.readOnly,
      snapshot: options.snapshot,
      cache: options.cache,
      discard: options.discard,
      detectZeroes: options.detectZeroes,
      signal,
    });
  } catch (error) {
    if (!isBlockError(error) || error.kind === 'aborted') throw error;
    const hint = error.kind === 'locked' ? `Is another process using the image [${image}]?` : error.hint;
    throw new ToolError(`Failed to blk_new_open '${image}': ${error.message}`, hint, error);
  }
}

interface Tracked {
  readonly storage: Storage;
  /** Counts changes, so that a bitmap is read again after them. */
  writes(): number;
}

/** What clients see of a node: holes are those of the whole backing chain. */
async function exported(node: BlockNode, options: ServeOptions): Promise<Tracked> {
  const source: Storage =
    options.loadSnapshot === undefined ? node : await openSnapshot(node.image, options.loadSnapshot);
  let writes = 0;
  const { write, writeZeroes, discard, flush } = source;
  const canWrite = write !== undefined && !options.readOnly;
  const storage: Storage = {
    size: source.size,
    name: node.filename,
    mayBlock: node.mayBlock,
    read: (offset, buffer, io) => source.read(offset, buffer, io),
    async extent(offset, length, io) {
      if (source === node) {
        const status = await chainStatus(node, offset, length, io);
        return { length: status.length, data: status.data, zero: status.zero };
      }
      return source.extent?.(offset, length, io) ?? { length, data: true, zero: false };
    },
    ...(canWrite && {
      write(offset, buffer, io) {
        writes++;
        return write.call(source, offset, buffer, io);
      },
    }),
    ...(canWrite && flush !== undefined && { flush: (io) => flush.call(source, io) }),
    ...(canWrite &&
      writeZeroes !== undefined && {
        writeZeroes(offset, length, io) {
          writes++;
          return writeZeroes.call(source, offset, length, io);
        },
      }),
    ...(canWrite &&
      discard !== undefined && {
        discard(offset, length, io) {
          writes++;
          return discard.call(source, offset, length, io);
        },
      }),
  };
  return { storage, writes: () => writes };
}

async function openSnapshot(image: BlockImage, parameter: string): Promise<Storage> {
  const found = findSnapshot(image.snapshots?.list() ?? [], parameter);
  if (image.snapshots === undefined || found === undefined)
    throw new ToolError(
      "Failed to load snapshot: Can't find snapshot",
      snapshotHint(image.snapshots?.list() ?? [], image.driver),
    );
  return image.snapshots.open(found.id);
}

/** `snapshot.id=ID,snapshot.name=NAME` with one of them or both, or ID_OR_NAME. */
function findSnapshot(snapshots: readonly SnapshotInfo[], parameter: string): SnapshotInfo | undefined {
  if (!parameter.startsWith('snapshot.'))
    return snapshots.find(({ id }) => id === parameter) ?? snapshots.find(({ name }) => name === parameter);
  const wanted = new Map(parseKeyValues(parameter));
  const odd = [...wanted.keys()].find((key) => key !== 'snapshot.id' && key !== 'snapshot.name');
  if (odd !== undefined) throw new ToolError(`Invalid parameter '${odd}'`, 'snapshot.id=ID and snapshot.name=NAME');
  return snapshots.find(
    ({ id, name }) => (wanted.get('snapshot.id') ?? id) === id && (wanted.get('snapshot.name') ?? name) === name,
  );
}

function snapshotHint(snapshots: readonly SnapshotInfo[], driver: string): string {
  if (snapshots.length === 0) return `the ${driver} image has no snapshots`;
  return `it has: ${snapshots.map(({ id, name }) => `${name} (ID ${id})`).join(', ')}`;
}

/** The bitmap may be the image's or one of its backing files', as with QEMU. */
function bitmapContext(node: BlockNode, name: string, tracked: Tracked): MetaContext {
  for (let layer: Storage | undefined = node; layer !== undefined;) {
    const image: Partial<BlockImage> = 'image' in layer ? (layer as BlockNode).image : layer;
    const store = image.bitmaps;
    const info = store?.list().find((bitmap) => bitmap.name === name);
    if (store !== undefined && info !== undefined) {
      if (info.inUse)
        throw new ToolError(`Bitmap '${name}' is inconsistent and cannot be used`, 'remove it, and add it again');
      let seen = tracked.writes();
      const changed = (): boolean => {
        const before = seen;
        seen = tracked.writes();
        return info.enabled && seen !== before;
      };
      return dirtyBitmap(name, () => store.dirtyRanges(name), changed);
    }
    layer = image.backing;
  }
  throw new ToolError(`Bitmap '${name}' is not found`);
}

function shifted(context: MetaContext, by: number): MetaContext {
  if (by === 0) return context;
  return { name: context.name, extent: (offset, length) => context.extent(offset + by, length) };
}
