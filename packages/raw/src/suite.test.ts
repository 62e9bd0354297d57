import { describeBlockDriver } from '@emkit/storage-testbed';
import { describe, it } from 'vitest';
import { raw } from './index.ts';

describeBlockDriver({
  test: { describe, it },
  driver: raw,
  opensAnything: true,
  shadowPrograms: 4,
  cuts: 200,
  faults: 60,
});
