/** The `luks` format: a file that is one LUKS1 volume. Formats with LUKS inside use `luks-volume.ts`. */
import type { BlockDriver, OptionSpec } from '@emkit/storage';
import { isLuks } from './luks-magic.ts';
import type { CreateLuksDependencies } from './luks-volume.ts';

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

/** The ciphers and hashes are large: a program that only probes does not load them. */
const loadVolumes = (): Promise<typeof import('./luks-disk.ts')> => import('./luks-disk.ts');

/** A driver with its own AES, randomness or measure of time; `luks` has the defaults. */
export function createLuksDriver(dependencies: CreateLuksDependencies = {}): BlockDriver {
  return {
    name: 'luks',
    createOptions: LUKS_CREATE_OPTIONS,

    probe: (head) => (isLuks(head) ? 100 : 0),

    open: async (storage, options = {}) => (await loadVolumes()).openDisk(storage, options, dependencies.aes),
    create: async (storage, options) => (await loadVolumes()).createDisk(storage, options, dependencies),
    measure: async (options) => (await loadVolumes()).measureDisk(options),
  };
}

/** LUKS1 disks with AES in JavaScript and the platform's key derivation. */
export const luks: BlockDriver = createLuksDriver();
