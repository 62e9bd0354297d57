/** The images that the long runs work on: every format in the variants whose metadata differ, small so that much happens in little space. */
import { createLuksDriver } from '@emkit/luks';
import { qcow2 } from '@emkit/qcow2';
import { qed } from '@emkit/qed';
import { raw } from '@emkit/raw';
import { nodeAes } from '@emkit/storage-node';
import type { BlockImage } from '@emkit/storage';
import type { ImageSetup } from '@emkit/storage-testbed';
import { vmdk } from '@emkit/vmdk';

export interface NamedSetup {
  readonly format: string;
  readonly name: string;
  readonly setup: ImageSetup;
  /** Its share of cuts and faults, relative to the others; less where opening takes long by intent. @default 1 */
  readonly weight?: number;
}

const KIB = 1024;
const secret = (): Uint8Array => new TextEncoder().encode('tiger');

function backing(options: Readonly<Record<string, string>> = {}): NonNullable<ImageSetup['backing']> {
  const content = Uint8Array.from({ length: 96 * KIB + 512 }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff);
  return { name: 'base', content, options: { backing_file: 'base', backing_fmt: 'raw', ...options } };
}

function of(
  format: string,
  driver: ImageSetup['driver'],
  variants: readonly (readonly [string, Partial<ImageSetup>])[],
): NamedSetup[] {
  return variants.map(([name, more]) => ({
    format,
    name: name === '' ? format : `${format} ${name}`,
    setup: { driver, ...more },
  }));
}

/**
 * Version 2 has no dirty bit, so nothing says that the "copied" flags are out of date after a cut within a snapshot's creation. That is harmless while no
 * snapshot is there, and what repair is for.
 */
async function copiedFlagsAside(image: BlockImage): Promise<void> {
  const lines: string[] = [];
  const found = await image.check?.({ report: (line) => void lines.push(line) });
  const other = lines.filter((line) => !line.startsWith('Leaked cluster') && !line.includes('OFLAG_COPIED'));
  if (other.length > 0) throw new Error(other.slice(0, 5).join('\n'));
  if ((found?.corruptions ?? 0) === 0) return;
  await image.check?.({ repair: 'all' });
  const left = await image.check?.();
  if (left?.corruptions !== 0) throw new Error(`repair leaves ${left?.corruptions} corruptions`);
}

/** What one of `setups` gets of a total; the sum is at least the total. */
export function share(total: number, one: NamedSetup, setups: readonly NamedSetup[]): number {
  const weights = setups.reduce((sum, { weight = 1 }) => sum + weight, 0);
  return Math.ceil((total * (one.weight ?? 1)) / weights);
}

export const SETUPS: readonly NamedSetup[] = [
  ...of('raw', raw, [['', { size: 64 * KIB }]]),
  ...of('qcow2', qcow2, [
    ['512', { size: 128 * KIB, options: { cluster_size: '512' } }],
    ['1024 1-bit', { size: 128 * KIB, options: { cluster_size: '1024', refcount_bits: '1' } }],
    ['4096 64-bit', { size: 256 * KIB, options: { cluster_size: '4096', refcount_bits: '64' } }],
    ['lazy', { size: 128 * KIB, options: { cluster_size: '1024', lazy_refcounts: 'on' } }],
    ['subclusters', { size: 256 * KIB, options: { cluster_size: '16384', extended_l2: 'on' } }],
    ['backing', { size: 128 * KIB, options: { cluster_size: '1024' }, backing: backing() }],
    [
      'subclusters backing',
      { size: 128 * KIB, options: { cluster_size: '16384', extended_l2: 'on' }, backing: backing() },
    ],
    ['v2', { size: 128 * KIB, options: { cluster_size: '512', compat: '0.10' }, checkAfterCut: copiedFlagsAside }],
    [
      'v2 backing',
      {
        size: 128 * KIB,
        options: { cluster_size: '1024', compat: '0.10' },
        backing: backing(),
        checkAfterCut: copiedFlagsAside,
      },
    ],
    ['zstd', { size: 128 * KIB, options: { cluster_size: '1024', compression_type: 'zstd' } }],
    ['data file', { size: 128 * KIB, options: { cluster_size: '1024', data_file: 'data' } }],
    ['data file raw', { size: 128 * KIB, options: { cluster_size: '1024', data_file: 'data', data_file_raw: 'on' } }],
  ]),
  ...of('vmdk', vmdk, [
    ['sparse', { size: 256 * KIB }],
    ['zeroed grain', { size: 256 * KIB, options: { zeroed_grain: 'on' } }],
    ['split', { size: 256 * KIB, options: { subformat: 'twoGbMaxExtentSparse' } }],
    ['flat', { size: 128 * KIB, options: { subformat: 'monolithicFlat' } }],
  ]),
  ...of('qed', qed, [
    ['4096', { size: 256 * KIB, options: { cluster_size: '4096', table_size: '2' } }],
    ['backing', { size: 256 * KIB, options: { cluster_size: '4096', table_size: '2' }, backing: backing() }],
  ]),
  {
    format: 'luks',
    name: 'luks',
    setup: {
      driver: createLuksDriver({ aes: nodeAes }),
      size: 32 * KIB,
      options: { 'iter-time': '10' },
      secret,
      fresh: 'any',
    },
    weight: 0.02,
  },
];
