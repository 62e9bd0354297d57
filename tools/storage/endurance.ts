/**
 * npx tsx --conditions=@emkit/source tools/storage/endurance.ts [--format F] [--seconds N] [--seed S] [--cuts N] [--faults N]
 * Torments the disk formats for as long as wanted. --seconds: random use of each image beside a byte array, in all (default 60 when nothing else is
 * asked for). --cuts, --faults: so many power cuts and injected faults, in all. --format: a format, or one variant's name ("qcow2 lazy").
 * Ends with `N passed, N failed` (variants).
 */
import { parseArgs } from 'node:util';
import { cutRun, enduranceRun, faultRun, Tally } from './runs.ts';
import { SETUPS, share } from './setups.ts';

const { values } = parseArgs({
  options: {
    format: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    cuts: { type: 'string', default: '0' },
    faults: { type: 'string', default: '0' },
  },
});
const [seed, cuts, faults] = [values.seed, values.cuts, values.faults].map(Number) as [number, number, number];
const seconds = Number(values.seconds ?? (cuts + faults > 0 ? 0 : 60));
const { format } = values;
const setups = SETUPS.filter((s) => format === undefined || s.format === format || s.name === format);
if (![seed, cuts, faults, seconds].every((n) => n >= 0) || setups.length === 0) {
  const names = SETUPS.map(({ name }) => name).join(', ');
  console.error(
    `usage: endurance.ts [--format F] [--seconds N] [--seed S] [--cuts N] [--faults N]; F is a format or one of: ${names}`,
  );
  process.exit(2);
}

const tally = new Tally();
for (const setup of setups) {
  if (cuts > 0) await cutRun(tally, setup, share(cuts, setup, setups), seed);
  if (faults > 0) await faultRun(tally, setup, share(faults, setup, setups), seed);
  if (seconds > 0) await enduranceRun(tally, setup, { seconds: share(seconds * 1000, setup, setups) / 1000 }, seed);
}
tally.end();
