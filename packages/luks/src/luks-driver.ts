/** The `luks` format: a file that is one LUKS1 volume. Formats with LUKS inside use `luks-volume.ts`. */
import type { BlockDriver } from '@emkit/storage';
import { isLuks } from './luks-magic.ts';
import { LUKS_CREATE_OPTIONS } from './luks-options.ts';
import type { CreateLuksDependencies } from './luks-volume.ts';

/** A driver with its own AES, randomness or measure of time; `luks` has the defaults. */
export function createLuksDriver(dependencies: CreateLuksDependencies = {}): BlockDriver {
  return {
    name: 'luks',
    createOptions: LUKS_CREATE_OPTIONS,

    probe: (head) => (isLuks(head) ? 100 : 0),

    // The ciphers and hashes are large: a program that only probes does not load them.
    open: async (storage, options = {}) =>
      (await import('./luks-disk.ts')).openDisk(storage, options, dependencies.aes),
    create: async (storage, options) => (await import('./luks-disk.ts')).createDisk(storage, options, dependencies),
    measure: async (options) => (await import('./luks-disk.ts')).measureDisk(options),
  };
}

/** LUKS1 disks with AES in JavaScript and the platform's key derivation. */
export const luks: BlockDriver = createLuksDriver();
