import { Disk, powerCuts, Recorder } from '@emkit/storage-testbed';
import { isZero } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { vmdk } from './index.ts';

const GRAIN = 65536;
const GRAINS = 9;

describe('a stream that is cut while it is written', () => {
  it('has every grain that was flushed, and is clean', async () => {
    const recorder = new Recorder(new Disk());
    await vmdk.create?.(recorder, { size: GRAINS * GRAIN, options: { subformat: 'streamOptimized' } });
    const now = (): number => recorder.log.entries.at(-1)?.done ?? 0;
    const image = await vmdk.open(recorder);
    const flushed: { time: number; grains: number }[] = [{ time: now(), grains: 0 }];
    const grain = (n: number): Uint8Array => Uint8Array.from({ length: GRAIN }, (_, i) => (i * (n + 3)) >> 4);
    for (let n = 0; n < GRAINS; n += 3) {
      await Promise.all([0, 1, 2].map((more) => image.writeCompressed?.((n + more) * GRAIN, grain(n + more))));
      await image.flush?.();
      flushed.push({ time: now(), grains: n + 3 });
    }
    await image.close();
    let cuts = 0;
    const start = flushed[0]?.time ?? 0;
    for (const cut of powerCuts(recorder.log, { seed: 3, subsets: 2 })) {
      if (cut.time < start || ++cuts % 3 !== 0) continue;
      const disk = await vmdk.open(cut.disks[0] as Disk, { forCheck: true });
      await disk.check?.();
      const safe = flushed.filter(({ time }) => time <= cut.time).at(-1)?.grains ?? 0;
      const bytes = new Uint8Array(GRAIN);
      for (let n = 0; n < GRAINS; n++) {
        await disk.read(n * GRAIN, bytes);
        if (n < safe || !isZero(bytes)) expect(same(bytes, grain(n)), `grain ${n} at ${cut.time}`).toBe(true);
      }
    }
    expect(cuts).toBeGreaterThan(50);
  });
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
