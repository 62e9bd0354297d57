/** The storage run as a table: time ratio to qemu-img (below 1, emkit takes less), and the speed ratio's geometric mean. */
import { geomean, median } from './ratios.ts';
import type { Result } from './markdown.ts';
import type { StorageRun } from './storage-bench.ts';
import type { StorageWork } from './storage-work.ts';
import { ms, ratio } from './table.ts';

export function storageReport(run: StorageRun, work: readonly StorageWork[]): Result {
  const speeds: { x: string; y: number; series: string }[] = [];
  const rows = work.map(({ name, limit }) => {
    const { emkit = [], 'qemu-img': peer = [] } = run.samples.get(name) ?? {};
    const rounds = Math.min(emkit.length, peer.length);
    // within one round, so that a slow minute of the machine's slows both
    const times = Array.from({ length: rounds }, (_, n) => emkit[n].wallMs / peer[n].wallMs);
    const middle = median(times);
    if (rounds > 0) speeds.push({ x: name, y: 1 / middle, series: 'qemu-img' });
    const verdict = limit === undefined || Number.isNaN(middle) ? '' : middle <= limit ? 'yes' : 'no';
    return [
      name,
      ms(median(emkit.map((s) => s.wallMs))),
      ms(median(peer.map((s) => s.wallMs))),
      ratio(middle),
      limit === undefined ? '' : `${limit}`,
      verdict,
      Math.max(0, ...emkit.map((s) => s.peakMib)).toFixed(0),
    ];
  });
  return {
    table: { head: ['operation', 'emkit ms', 'qemu-img ms', 'time ratio', 'aim', 'met', 'peak MiB'], rows },
    errors: run.errors,
    summary: [`geomean storage emkit/qemu-img ${ratio(geomean(speeds.map(({ y }) => y)))}`],
    plots: [
      {
        kind: 'bars',
        title: 'Speed of emkit-img, qemu-img = 1',
        x: 'operation',
        y: "times qemu-img's speed",
        line: 1,
        points: speeds,
      },
    ],
  };
}
