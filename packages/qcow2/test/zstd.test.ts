/** The shared suite with zstd: in Node alone, since the writer's WebAssembly is found by a bundler in a page. */
import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { qcow2 } from '../src/index.ts';

describeBlockDriver({
  test: { describe, it },
  driver: qcow2,
  name: 'zstd',
  options: { cluster_size: '4096', compression_type: 'zstd' },
  shadowPrograms: 2,
  cuts: 40,
  faults: 15,
});
