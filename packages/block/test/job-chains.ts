/** The chains that jobs are run on: what differs in the metadata, in the names, and in how the images fit over each other. */
import type { ChainSetup } from './job-world.ts';

const KIB = 1024;
const size = 192 * KIB;

export const CHAINS: Readonly<Record<string, ChainSetup>> = {
  'raw base': { size, baseFormat: 'raw', options: { cluster_size: '512' } },
  'qcow2 base': { size, baseFormat: 'qcow2', options: { cluster_size: '1024' } },
  'short raw base': { size, baseSize: 100 * KIB + 512, baseFormat: 'raw', options: { cluster_size: '4096' } },
  'short qcow2 base': { size, baseSize: 100 * KIB + 512, baseFormat: 'qcow2', options: { cluster_size: '1024' } },
  'lazy refcounts': { size, baseFormat: 'qcow2', options: { cluster_size: '1024', lazy_refcounts: 'on' } },
  'version 2': { size, baseFormat: 'qcow2', options: { cluster_size: '1024', compat: '0.10' } },
  subclusters: { size, baseFormat: 'qcow2', options: { cluster_size: '16384', extended_l2: 'on' } },
  'long names': { size, baseFormat: 'qcow2', options: { cluster_size: '4096' }, baseName: 'b'.repeat(700) },
};
