/** What `luks-driver.ts` does with a file that is one LUKS1 volume. */
import {
  BlockError,
  writable,
  type BlockImage,
  type CreateOptions,
  type Measurement,
  type OpenOptions,
  type Storage,
} from '@emkit/storage';
import type { AesProvider } from './aes.ts';
import { SECTOR_SIZE } from './limits.ts';
import { LuksImage } from './luks-image.ts';
import { LUKS_CREATE_OPTIONS } from './luks-options.ts';
import {
  createLuks,
  luksPayloadOffset,
  openLuks,
  parseLuksOptions,
  readLuksHeader,
  type CreateLuksDependencies,
} from './luks-volume.ts';

const KEY_REQUIRED = "Parameter 'key-secret' is required for cipher";

export async function openDisk(
  storage: Storage,
  options: OpenOptions,
  aes: AesProvider | undefined,
): Promise<BlockImage> {
  for (const name of Object.keys(options.driverOptions ?? {}))
    if (name !== 'key-secret') throw new BlockError('invalid-option', `Parameter '${name}' is unexpected`);
  const readOnly = options.readOnly ?? storage.write === undefined;
  if (!readOnly) writable(storage);
  const { secret } = options;
  const header = await readLuksHeader(storage, options);
  const payload = header.payloadSector * SECTOR_SIZE;
  if (storage.size < payload)
    throw new BlockError('invalid-format', `the file ends before its payload at ${payload}`, {
      field: 'payload-offset',
      offset: 104,
    });
  const parts = { file: storage, header, readOnly, secret, aes };
  if (options.metadataOnly === true) return new LuksImage({ ...parts, cipher: undefined });
  if (secret === undefined) throw new BlockError('key', KEY_REQUIRED);
  const { cipher } = await openLuks(storage, await secret(), { aes, signal: options.signal });
  return new LuksImage({ ...parts, cipher });
}

export async function createDisk(
  storage: Storage,
  options: CreateOptions,
  dependencies: CreateLuksDependencies,
): Promise<void> {
  const file = writable(storage);
  const { secret, size } = options;
  const names = LUKS_CREATE_OPTIONS.map((option) => option.name);
  for (const name of Object.keys(options.options ?? {}))
    if (!names.includes(name)) throw new BlockError('invalid-option', `Invalid parameter '${name}'`);
  if (!Number.isSafeInteger(size) || size < 0 || size > Number.MAX_SAFE_INTEGER - 2 ** 32)
    throw new BlockError('invalid-option', `a disk of ${size} bytes cannot be made`);
  parseLuksOptions(options.options ?? {});
  if (secret === undefined) throw new BlockError('key', KEY_REQUIRED);
  const random = options.random ?? dependencies.random;
  const volume = await createLuks(await secret(), options.options ?? {}, { ...dependencies, random });
  await file.truncate(0);
  await file.truncate(volume.header.payloadSector * SECTOR_SIZE + size);
  for (const { offset, bytes } of volume.writes) await file.write(offset, bytes, options);
  await file.flush(options);
}

export async function measureDisk(options: CreateOptions): Promise<Measurement> {
  const required = luksPayloadOffset(options.options ?? {}) + options.size;
  return { required, fullyAllocated: required };
}
