/** The `-o` options of a new LUKS1 volume, in QEMU's names and order. */
import type { OptionSpec } from '@emkit/storage';

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
