/** Power cuts within the jobs of `@emkit/block`, every job on one chain of images: one passed or failed. */
import { CHAINS } from '../../packages/block/test/job-chains.ts';
import { runJobCrash } from '../../packages/block/test/job-crash.ts';
import { SCENARIOS } from '../../packages/block/test/job-scenarios.ts';
import type { Tally } from './runs.ts';

/** `wanted`: cuts of each job, about. */
export async function jobCutRun(tally: Tally, chain: string, wanted: number, seed: number): Promise<void> {
  await tally.count(`jobs on ${chain}, power cuts`, async () => {
    const setup = CHAINS[chain];
    if (setup === undefined) throw new Error(`no chain '${chain}'`);
    const jobs = Object.keys(SCENARIOS);
    let cuts = 0;
    for (const [i, job] of jobs.entries()) {
      const done = await runJobCrash(setup, job, { seed: seed + i, limit: wanted });
      cuts += done;
      tally.cuts += done;
    }
    return `${cuts} cut points in ${jobs.length} jobs from seed ${seed}`;
  });
}
