/** The shared conformance suite. There is no metadata that a write changes, so a power cut leaves what it leaves of any disk. */
import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { createLuksDriver } from './index.ts';

const secret = (): Uint8Array => new TextEncoder().encode('tiger');

describeBlockDriver({
  test: { describe, it },
  driver: createLuksDriver({ iterations: () => Promise.resolve(1000) }),
  options: { 'cipher-alg': 'aes-128', 'cipher-mode': 'cbc', 'hash-alg': 'sha1' },
  secret,
  openOptions: { secret },
  fresh: 'any',
  isElastic: true,
  granularity: 512,
  size: 32 * 1024,
  shadowPrograms: 1,
  cuts: 10,
  faults: 8,
});
