/** The order in which metadata reaches the disk, where random programs come by too seldom. */
import { Disk, powerCuts, Recorder, WriteLog } from '@emkit/storage-testbed';
import { expect, it } from 'vitest';
import { qcow2 } from './index.ts';

const CLUSTER = 512;
/** What one refcount block counts. */
const COVERED = CLUSTER / 2;

// A run of clusters that ends in the next block's part makes that block first, and the block before counts the cluster it is in.
it.each([0, 1, 2, 3])(
  'a new refcount block is counted before the table refers to it: %i clusters off',
  async (shift) => {
    const made = new Disk();
    await qcow2.create?.(made, { size: 2 * COVERED * CLUSTER, options: { cluster_size: String(CLUSTER) } });
    const log = new WriteLog();
    const image = await qcow2.open(new Recorder(made, log));
    let at = shift * CLUSTER;
    await image.write?.(0, new Uint8Array(at).fill(1));
    for (; at < 1.2 * COVERED * CLUSTER; at += 4 * CLUSTER) {
      await image.write?.(at, new Uint8Array(4 * CLUSTER).fill(2));
      if (at > 0.8 * COVERED * CLUSTER) await image.flush?.();
    }
    await image.close();
    for (const { disks, time } of powerCuts(log, { subsets: 6 })) {
      const after = await qcow2.open(disks[0] as Disk, { forCheck: true });
      expect([time, (await after.check?.())?.corruptions]).toEqual([time, 0]);
      await after.close();
    }
  },
);
