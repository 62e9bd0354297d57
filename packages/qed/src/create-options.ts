/** `-o` options of `create`, in QEMU's names and order. */
import type { OptionSpec } from '@emkit/storage';

export const DEFAULT_CLUSTER_SIZE = 65536;

/** As `qemu-img create -f qed -o help`, 7.2, prints them. */
export const CREATE_OPTIONS: readonly OptionSpec[] = [
  { name: 'size', type: 'size', help: 'Virtual disk size' },
  { name: 'backing_file', type: 'string', help: 'File name of a base image' },
  { name: 'backing_fmt', type: 'string', help: 'Image format of the base image' },
  { name: 'cluster_size', type: 'size', default: String(DEFAULT_CLUSTER_SIZE), help: 'Cluster size (in bytes)' },
  { name: 'table_size', type: 'size', help: 'L1/L2 table size (in clusters)' },
];
