/** The `luks` format: a file that is one LUKS1 volume. Formats with LUKS inside use `luks-volume.ts`. */
import { BlockError, writable, type BlockDriver, type OptionSpec } from '@emkit/storage';
import { SECTOR_SIZE } from './limits.ts';
import { isLuks } from './luks-header.ts';
import { LuksImage } from './luks-image.ts';
import {
  createLuks,
  luksPayloadOffset,
  openLuks,
  parseLuksOptions,
  readLuksHeader,
  type CreateLuksDependencies,
} from './luks-volume.ts';

const KEY_REQUIRED = "Parameter 'key-secret' is required for cipher";

/** `-o` of a new volume; formats with LUKS inside put `encrypt.` before the names. */
export const LUKS_CREATE_OPTIONS: readonly OptionSpec[] = [
  { name: 'key-secret', type: 'string', help: 'ID of the secret that provides the keyslot passphrase' },
  {
    name: 'cipher-alg',
    type: 'enum',
    values: ['aes-128', 'aes-192', 'aes-256'],
    help: 'Name of encryption cipher algorithm',
  },
  { name: 'cipher-mode', type: 'enum', values: ['xts', 'cbc', 'ecb'], help: 'Name of encryption cipher mode' },
  {
    name: 'ivgen-alg',
    type: 'enum',
    values: ['plain', 'plain64', 'essiv'],
    help: 'Name of IV generator algorithm',
  },
  { name: 'ivgen-hash-alg', type: 'enum', values: ['sha256'], help: 'Name of IV generator hash algorithm' },
  {
    name: 'hash-alg',
    type: 'enum',
    values: ['sha1', 'sha256', 'sha512', 'ripemd160'],
    help: 'Name of encryption hash algorithm',
  },
  { name: 'iter-time', type: 'number', help: 'Time to spend in PBKDF in milliseconds', amendable: true },
];

/** A driver with its own AES, randomness or measure of time; `luks` has the defaults. */
export function createLuksDriver(dependencies: CreateLuksDependencies = {}): BlockDriver {
  const { aes } = dependencies;
  return {
    name: 'luks',
    createOptions: LUKS_CREATE_OPTIONS,

    probe: (head) => (isLuks(head) ? 100 : 0),

    async open(storage, options = {}) {
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
    },

    async create(storage, options) {
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
    },

    async measure(options) {
      const required = luksPayloadOffset(options.options ?? {}) + options.size;
      return { required, fullyAllocated: required };
    },
  };
}

/** LUKS1 disks with AES in JavaScript and the platform's key derivation. */
export const luks: BlockDriver = createLuksDriver();
