/** A new image: header, and an L1 table that is all zero because the file grows by it. */
import { BlockError, writable } from '@emkit/storage';
import type { CreateOptions, Storage } from '@emkit/storage';
import { CREATE_OPTIONS, DEFAULT_CLUSTER_SIZE } from './create-options.ts';
import { backingFeatures, checkedName } from './header-file.ts';
import { Field, HEADER_SIZE, isClusterSize, isTableSize, QED_MAGIC, tableGeometry, writeU64 } from './header.ts';
import { MAX_CLUSTER_SIZE, MAX_TABLE_SIZE, MIN_CLUSTER_SIZE } from './limits.ts';

const SECTOR = 512;
const DEFAULT_TABLE_SIZE = 4;

export async function create(storage: Storage, options: CreateOptions): Promise<void> {
  const { clusterSize, tableSize, size, backing } = checkOptions(options);
  const file = writable(storage);
  const header = new Uint8Array(HEADER_SIZE + (backing?.name.length ?? 0));
  const view = new DataView(header.buffer);
  view.setUint32(Field.MAGIC, QED_MAGIC, true);
  view.setUint32(Field.CLUSTER_SIZE, clusterSize, true);
  view.setUint32(Field.TABLE_SIZE, tableSize, true);
  view.setUint32(Field.HEADER_SIZE, 1, true);
  writeU64(view, Field.L1_TABLE_OFFSET, clusterSize);
  writeU64(view, Field.IMAGE_SIZE, size);
  if (backing !== undefined) {
    view.setUint32(Field.FEATURES, backingFeatures(backing.format), true);
    view.setUint32(Field.BACKING_FILENAME_OFFSET, HEADER_SIZE, true);
    view.setUint32(Field.BACKING_FILENAME_SIZE, backing.name.length, true);
    header.set(backing.name, HEADER_SIZE);
  }
  await file.truncate(0, options);
  await file.truncate(clusterSize + clusterSize * tableSize, options);
  await file.write(0, header, options);
  await file.flush(options);
}

function checkOptions(options: CreateOptions) {
  const given = new Map(Object.entries(options.options ?? {}));
  for (const name of given.keys())
    if (!CREATE_OPTIONS.some((option) => option.name === name))
      throw new BlockError('invalid-option', `Invalid parameter '${name}'`, { field: name });
  const number = (name: string, otherwise: number): number => {
    const text = given.get(name);
    if (text === undefined) return otherwise;
    if (!/^[0-9]{1,15}$/.test(text))
      throw new BlockError('invalid-option', `Parameter '${name}' expects a number of bytes`, { field: name });
    return Number(text);
  };
  const clusterSize = number('cluster_size', DEFAULT_CLUSTER_SIZE);
  if (!isClusterSize(clusterSize))
    throw new BlockError(
      'invalid-option',
      `QED cluster size must be within range [${MIN_CLUSTER_SIZE}, ${MAX_CLUSTER_SIZE}] and power of 2`,
      { field: 'cluster_size' },
    );
  const tableSize = number('table_size', DEFAULT_TABLE_SIZE);
  if (!isTableSize(tableSize))
    throw new BlockError(
      'invalid-option',
      `QED table size must be within range [1, ${MAX_TABLE_SIZE}] and power of 2`,
      { field: 'table_size' },
    );
  const asked = number('size', options.size);
  if (!Number.isSafeInteger(asked) || asked < 0)
    throw new BlockError('invalid-option', `size ${asked} is no number of bytes`, { field: 'size' });
  const size = Math.ceil(asked / SECTOR) * SECTOR;
  const { maxImageSize } = tableGeometry(clusterSize, tableSize);
  if (size > maxImageSize)
    throw new BlockError(
      'no-space',
      `QED image size must be a non-zero multiple of cluster size and less than ${maxImageSize} bytes`,
      { field: 'size' },
    );
  const name = given.get('backing_file');
  const format = given.get('backing_fmt');
  if (name === undefined || name === '') {
    if (format !== undefined && format !== '')
      throw new BlockError('invalid-option', 'a backing format needs a backing file', { field: 'backing_fmt' });
    return { clusterSize, tableSize, size, backing: undefined };
  }
  return { clusterSize, tableSize, size, backing: { name: checkedName(name), format } };
}
