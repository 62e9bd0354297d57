/**
 * The part of `endurance.ts` that CI runs: at least 20,000 power cuts and 5,000 injected faults over all formats, and a short life of each image; then
 * power cuts within jobs on chains of images. The same every time. Ends with `N passed, N failed`.
 */
import { CHAINS } from '../../packages/block/test/job-chains.ts';
import { jobCutRun } from './job-runs.ts';
import { cutRun, enduranceRun, faultRun, Tally } from './runs.ts';
import { SETUPS, share } from './setups.ts';

const CUTS = 20_000;
const FAULTS = 5_000;
/** Of each job on each chain. */
const JOB_CUTS = 40;
const USE = { programs: 4, rounds: 1 };

const tally = new Tally();
for (const setup of SETUPS) {
  await cutRun(tally, setup, share(CUTS, setup, SETUPS), 1);
  await faultRun(tally, setup, share(FAULTS, setup, SETUPS), 1);
  await enduranceRun(tally, setup, USE, 1);
}
if (tally.failed === 0 && (tally.cuts < CUTS || tally.faults < FAULTS)) {
  console.log(`only ${tally.cuts} cut points and ${tally.faults} faults`);
  tally.failed++;
}
for (const chain of Object.keys(CHAINS)) await jobCutRun(tally, chain, JOB_CUTS, 1);
tally.end();
