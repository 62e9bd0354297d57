/**
 * The raw format: no header, no metadata; a file's bytes are the disk's. Fits everything, so it is what remains when no other format
 * does (probe score 1). Options in QEMU's names: `offset` and `size` on opening, `preallocation` on creation.
 */
import { BlockError, checkAborted, writable } from '@emkit/storage';
import type {
  BlockDriver,
  BlockImage,
  CreateOptions,
  Measurement,
  OpenOptions,
  OptionSpec,
  Storage,
} from '@emkit/storage';
import { SECTOR } from './limits.ts';
import { offsetStorage } from './offset-storage.ts';
import { checkPreallocation, preallocate } from './preallocate.ts';
import { RawImage } from './raw-image.ts';
import { parseSize } from './size-option.ts';

/** As `qemu-img create -f raw -o help FILE`, 7.2, prints them. The hints for a host's file system are taken and not needed here. */
const CREATE_OPTIONS: readonly OptionSpec[] = [
  { name: 'size', type: 'size', help: 'Virtual disk size' },
  { name: 'extent_size_hint', type: 'size', help: 'Extent size hint for the image file, 0 to disable' },
  { name: 'nocow', type: 'bool', help: 'Turn off copy-on-write (valid only on btrfs)' },
  {
    name: 'preallocation',
    type: 'enum',
    values: ['off', 'falloc', 'full'],
    help: 'Preallocation mode (allowed values: off, falloc, full)',
  },
];

/** Score of a format that anything could be. */
const FALLBACK_SCORE = 1;

export const raw: BlockDriver = {
  name: 'raw',
  createOptions: CREATE_OPTIONS,
  probe: () => FALLBACK_SCORE,
  open: async (storage, options = {}) => open(storage, options),
  create,
  measure: async (options) => measure(options),
};

function open(storage: Storage, options: OpenOptions): BlockImage {
  checkAborted(options.signal);
  const driverOptions = new Map(Object.entries(options.driverOptions ?? {}));
  const offset = parseSize('offset', driverOptions.get('offset') ?? '0');
  const sizeText = driverOptions.get('size');
  const fixedSize = sizeText === undefined ? undefined : parseSize('size', sizeText);
  for (const name of driverOptions.keys())
    if (name !== 'offset' && name !== 'size')
      throw new BlockError('invalid-option', `raw has no option '${name}'`, { field: name });
  if (fixedSize !== undefined && fixedSize % SECTOR !== 0)
    throw new BlockError('invalid-option', `Specified size is not multiple of ${SECTOR}`, { field: 'size' });
  if (storage.size > Number.MAX_SAFE_INTEGER - SECTOR)
    throw new BlockError('out-of-bounds', `a storage of ${storage.size} bytes is too large`);
  // the window's own checks of `offset` and `size`
  if (offset !== 0 || fixedSize !== undefined) offsetStorage(storage, { offset, size: fixedSize });
  return new RawImage(storage, { offset, fixedSize }, options.readOnly ?? storage.write === undefined);
}

async function create(storage: Storage, options: CreateOptions): Promise<void> {
  const { size, mode } = checkCreate(options);
  const target = writable(storage);
  await target.truncate(0, options);
  await target.truncate(size, options);
  await preallocate(target, 0, size, mode, options);
  await target.flush(options);
}

function measure(options: CreateOptions): Measurement {
  const { size } = checkCreate(options);
  return { required: size, fullyAllocated: size };
}

function checkCreate(options: CreateOptions) {
  const given = new Map(Object.entries(options.options ?? {}));
  for (const name of given.keys())
    if (!CREATE_OPTIONS.some((option) => option.name === name))
      throw new BlockError('invalid-option', `Invalid parameter '${name}'`, { field: name });
  const sizeText = given.get('size');
  const size = sizeText === undefined ? options.size : parseSize('size', sizeText);
  if (!Number.isSafeInteger(size) || size < 0 || size > Number.MAX_SAFE_INTEGER - SECTOR)
    throw new BlockError('invalid-option', `size ${size} is no number of bytes`, { field: 'size' });
  const mode = checkPreallocation(given.get('preallocation') ?? 'off');
  return { size: Math.ceil(size / SECTOR) * SECTOR, mode };
}
