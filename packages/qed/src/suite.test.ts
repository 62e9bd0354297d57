import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { qed } from './index.ts';

const test = { describe, it };
const small = { cluster_size: '4096', table_size: '1' };

const amounts = { shadowPrograms: 8, cuts: 500, faults: 120 };

describeBlockDriver({ test, driver: qed, options: small, size: 128 * 1024, ...amounts });
describeBlockDriver({ test, name: 'as created by default', driver: qed, shadowPrograms: 3, cuts: 100, faults: 40 });
describeBlockDriver({
  test,
  name: 'over a backing file',
  driver: qed,
  options: small,
  size: 128 * 1024,
  ...amounts,
  backing: {
    name: 'base',
    content: Uint8Array.from({ length: 100_000 }, (_, i) => ((i * 37) % 255) + 1),
    options: { backing_file: 'base', backing_fmt: 'raw' },
  },
});
