/** Power cuts in the middle of jobs; more cuts, on all chains, are in CI's `crash` layer. */
import { describe, expect, it } from 'vitest';
import { runJobCrash } from './job-crash.ts';
import { SCENARIOS } from './job-scenarios.ts';
import { CHAINS } from './job-chains.ts';

const CUTS = 30;
const NAMES = ['raw base', 'qcow2 base'];

describe.each(Object.keys(SCENARIOS))('%s', (job) => {
  it.each(NAMES)('a cut at any moment loses nothing that was flushed: %s', async (chain) => {
    const setup = CHAINS[chain];
    if (setup === undefined) throw new Error('no such chain');
    expect(await runJobCrash(setup, job, { limit: CUTS })).toBeGreaterThan(CUTS / 2);
  });
});
