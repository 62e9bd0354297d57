/** The `-o` options of create and amend: names and help as qemu-img 7.2 prints them, and what may stand in them. */
import { BlockError, type OptionSpec, type Preallocation } from '@emkit/storage';
import { MAX_CLUSTER_BITS, MAX_REFCOUNT_ORDER, MIN_CLUSTER_BITS, MIN_EXTENDED_CLUSTER_BITS } from './limits.ts';

const string = (name: string, help: string, amendable = false): OptionSpec => ({
  name,
  type: 'string',
  help,
  amendable,
});
const bool = (name: string, help: string, amendable = false): OptionSpec => ({ name, type: 'bool', help, amendable });
const number = (name: string, help: string, amendable = false): OptionSpec => ({
  name,
  type: 'number',
  help,
  amendable,
});
const size = (name: string, help: string, amendable = false): OptionSpec => ({ name, type: 'size', help, amendable });

/** In the order in which QEMU names them when it makes an image. */
export const CREATE_OPTIONS: readonly OptionSpec[] = [
  bool('encryption', "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)"),
  string('encrypt.format', "Encrypt the image, format choices: 'aes', 'luks'"),
  string('encrypt.key-secret', 'ID of secret providing qcow AES key or LUKS passphrase'),
  string('encrypt.cipher-alg', 'Name of encryption cipher algorithm'),
  string('encrypt.cipher-mode', 'Name of encryption cipher mode'),
  string('encrypt.ivgen-alg', 'Name of IV generator algorithm'),
  string('encrypt.ivgen-hash-alg', 'Name of IV generator hash algorithm'),
  string('encrypt.hash-alg', 'Name of encryption hash algorithm'),
  number('encrypt.iter-time', 'Time to spend in PBKDF in milliseconds', true),
  { ...size('cluster_size', 'qcow2 cluster size'), default: '65536' },
  { ...bool('extended_l2', 'Extended L2 tables'), default: 'off' },
  string('preallocation', 'Preallocation mode (allowed values: off, metadata, falloc, full)'),
  { ...string('compression_type', 'Compression method used for image cluster compression'), default: 'zlib' },
  size('size', 'Virtual disk size', true),
  string('compat', 'Compatibility level (v2 [0.10] or v3 [1.1])', true),
  string('backing_file', 'File name of a base image', true),
  string('backing_fmt', 'Image format of the base image', true),
  string('data_file', 'File name of an external data file', true),
  bool('data_file_raw', 'The external data file must stay valid as a raw image', true),
  { ...bool('lazy_refcounts', 'Postpone refcount updates', true), default: 'off' },
  { ...number('refcount_bits', 'Width of a reference count entry in bits', true), default: '16' },
];

export interface CreateSettings {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly refcountOrder: number;
  readonly isZstd: boolean;
  readonly isExtended: boolean;
  readonly lazyRefcounts: boolean;
  readonly preallocation: Preallocation;
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  readonly dataFile: string | undefined;
  readonly dataFileRaw: boolean;
  /** `encrypt.*` and `encryption`, as given; empty: none. */
  readonly encryption: ReadonlyMap<string, string>;
}

const PREALLOCATIONS: readonly Preallocation[] = ['off', 'metadata', 'falloc', 'full'];

/** Checked alone and together, in QEMU's words. */
export function parseCreateOptions(options: Readonly<Record<string, string>> = {}): CreateSettings {
  for (const name of Object.keys(options))
    if (!CREATE_OPTIONS.some((spec) => spec.name === name)) throw invalid(`Invalid parameter '${name}'`);
  const version = parseCompat(options['compat'] ?? '1.1');
  const clusterBits = parseClusterSize(options['cluster_size'] ?? '65536');
  const refcountBits = parseNumber(options, 'refcount_bits', 16);
  const refcountOrder = Math.log2(refcountBits);
  if (!Number.isInteger(refcountOrder) || refcountOrder > MAX_REFCOUNT_ORDER)
    throw invalid('Refcount width must be a power of two and may not exceed 64 bits');
  if (version < 3 && refcountOrder !== 4)
    throw invalid(
      'Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)',
    );
  const compression = options['compression_type'] ?? 'zlib';
  if (compression !== 'zlib' && compression !== 'zstd') throw invalid(`Invalid parameter '${compression}'`);
  if (version < 3 && compression !== 'zlib')
    throw invalid(
      'Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)',
    );
  const isExtended = parseBool(options, 'extended_l2', false);
  const lazyRefcounts = parseBool(options, 'lazy_refcounts', false);
  if (version < 3 && lazyRefcounts)
    throw invalid('Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)');
  const dataFile = options['data_file'] === '' ? undefined : options['data_file'];
  const dataFileRaw = parseBool(options, 'data_file_raw', false);
  const backingFile = options['backing_file'] === '' ? undefined : options['backing_file'];
  if (dataFile !== undefined && version < 3)
    throw invalid(
      'External data files are only supported with compatibility level 1.1 and above (use version=v3 or greater)',
    );
  if (dataFileRaw && dataFile === undefined) throw invalid('data-file-raw requires data-file');
  if (dataFileRaw && backingFile !== undefined)
    throw invalid('Backing file and data-file-raw cannot be used at the same time');
  const preallocation = PREALLOCATIONS.find((mode) => mode === (options['preallocation'] ?? 'off'));
  if (preallocation === undefined) throw invalid(`Invalid parameter '${options['preallocation']}'`);
  if (isExtended) {
    if (version < 3)
      throw invalid(
        'Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)',
      );
    if (clusterBits < MIN_EXTENDED_CLUSTER_BITS)
      throw invalid('Extended L2 entries are only supported with cluster sizes of at least 16384 bytes');
  }
  if (backingFile !== undefined && preallocation !== 'off' && !isExtended)
    throw invalid('Backing file and preallocation can only be used at the same time if extended_l2 is enabled');
  return {
    version,
    clusterBits,
    refcountOrder,
    isZstd: compression === 'zstd',
    isExtended,
    lazyRefcounts,
    preallocation,
    backingFile,
    backingFormat: options['backing_fmt'] === '' ? undefined : options['backing_fmt'],
    dataFile,
    dataFileRaw,
    encryption: new Map(Object.entries(options).filter(([name]) => name.startsWith('encrypt'))),
  };
}

export function parseCompat(text: string): 2 | 3 {
  if (text === '0.10' || text === 'v2') return 2;
  if (text === '1.1' || text === 'v3') return 3;
  throw invalid(`Parameter 'version' does not accept value '${text}'`);
}

export function parseBool(options: Readonly<Record<string, string>>, name: string, normal: boolean): boolean {
  const text = options[name];
  if (text === undefined) return normal;
  if (text !== 'on' && text !== 'off') throw invalid(`Parameter '${name}' expects 'on' or 'off'`);
  return text === 'on';
}

export function parseNumber(options: Readonly<Record<string, string>>, name: string, normal: number): number {
  const text = options[name];
  if (text === undefined) return normal;
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw invalid(`Parameter '${name}' expects a number`);
  return Number(text);
}

function parseClusterSize(text: string): number {
  const bits = /^\d{1,16}$/.test(text) ? Math.log2(Number(text)) : NaN;
  if (!Number.isInteger(bits) || bits < MIN_CLUSTER_BITS || bits > MAX_CLUSTER_BITS)
    throw invalid(
      `Cluster size must be a power of two between ${2 ** MIN_CLUSTER_BITS} and ${2 ** (MAX_CLUSTER_BITS - 10)}k`,
    );
  return bits;
}

function invalid(message: string): BlockError {
  return new BlockError('invalid-option', message);
}
