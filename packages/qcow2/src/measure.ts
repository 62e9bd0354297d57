/** Space that an image takes, before it is made. As `qemu-img measure`: metadata is counted as if all of the disk were written. */
import type { CreateOptions, Measurement } from '@emkit/storage';
import { parseCreateOptions, type CreateSettings } from './create-options.ts';
import { measureEncryption } from './parts.ts';

export async function measureImage(
  options: CreateOptions,
  dataBytes: (granularity: number) => Promise<number>,
): Promise<Measurement> {
  const settings = parseCreateOptions(options.options);
  const clusterSize = 2 ** settings.clusterBits;
  const disk = Math.ceil(options.size / clusterSize) * clusterSize;
  const fullyAllocated =
    metadataSize(settings, disk) + disk + (await measureEncryption(settings.encryption, clusterSize));
  const isAll = settings.preallocation === 'full' || settings.preallocation === 'falloc';
  const data = isAll ? disk : Math.min(disk, await dataBytes(clusterSize));
  return { required: fullyAllocated - disk + data, fullyAllocated };
}

function metadataSize(settings: CreateSettings, disk: number): number {
  const clusterSize = 2 ** settings.clusterBits;
  const entrySize = settings.isExtended ? 16 : 8;
  const alignUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
  const l2Entries = alignUp(disk / clusterSize, clusterSize / entrySize);
  const l1Entries = alignUp((l2Entries * entrySize) / clusterSize, clusterSize / 8);
  const tables = clusterSize + l2Entries * entrySize + l1Entries * 8;
  return tables + refcountSize(tables / clusterSize + disk / clusterSize, clusterSize, settings.refcountOrder);
}

/** Blocks and table that count so many clusters and themselves. */
function refcountSize(clusters: number, clusterSize: number, order: number): number {
  const perBlock = (clusterSize * 8) / 2 ** order;
  let blocks = 0;
  let table = 0;
  for (let last = -1; last !== blocks + table;) {
    last = blocks + table;
    blocks = Math.ceil((clusters + blocks + table) / perBlock);
    table = Math.ceil(blocks / (clusterSize / 8));
  }
  return (blocks + table) * clusterSize;
}
