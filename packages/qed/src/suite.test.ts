import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { qed } from './index.ts';

const test = { describe, it };
const small = { cluster_size: '4096', table_size: '1' };

describeBlockDriver({ test, driver: qed, options: small, size: 128 * 1024 });
describeBlockDriver({
  test,
  name: 'over a backing file',
  driver: qed,
  options: small,
  size: 128 * 1024,
  backing: {
    name: 'base',
    content: Uint8Array.from({ length: 100_000 }, (_, i) => ((i * 37) % 255) + 1),
    options: { backing_file: 'base', backing_fmt: 'raw' },
  },
});
