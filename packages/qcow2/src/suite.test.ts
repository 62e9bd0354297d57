/** The shared conformance suite over the format's variants: shadow model, power cuts, faults. */
import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { qcow2 } from './index.ts';

const base = new Uint8Array(200_000).map((_, i) => (i * 7 + (i >> 8)) & 255);
const backing = (options: Readonly<Record<string, string>> = {}) => ({
  name: 'base',
  content: base,
  options: { backing_file: 'base', backing_fmt: 'raw', ...options },
});
const test = { describe, it };
const few = { shadowPrograms: 2, cuts: 60, faults: 25 };

describeBlockDriver({ test, driver: qcow2, name: '4 KiB clusters', options: { cluster_size: '4096' }, ...few });
describeBlockDriver({
  test,
  driver: qcow2,
  name: '512 byte clusters, 1 bit refcounts',
  options: { cluster_size: '512', refcount_bits: '1' },
  ...few,
});
describeBlockDriver({
  test,
  driver: qcow2,
  name: 'version 2 over a backing file',
  backing: backing({ cluster_size: '4096', compat: '0.10' }),
  ...few,
});
describeBlockDriver({
  test,
  driver: qcow2,
  name: 'subclusters over a backing file',
  backing: backing({ cluster_size: '16384', extended_l2: 'on' }),
  ...few,
});
describeBlockDriver({
  test,
  driver: qcow2,
  name: 'lazy refcounts',
  options: { cluster_size: '4096', lazy_refcounts: 'on' },
  ...few,
});
describeBlockDriver({
  test,
  driver: qcow2,
  name: 'external data file',
  options: { cluster_size: '4096', data_file: 'data' },
  ...few,
});
