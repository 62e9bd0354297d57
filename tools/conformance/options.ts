/** The command line of `npm run conformance`. */
import type { Tier, UserMode } from './rig.ts';

const USAGE =
  'usage: npm run conformance -- native-vectors|80286|test386|disk-images DIR [--tier cold|hot|both] [--filter GLOB,GLOB] [--verbose N]\n' +
  '       native-vectors also: --mode 32,64,compat (default 32,64), --causes N (the N most frequent kinds of failure), --every N (each Nth vector)\n' +
  '       npm run conformance -- host-vectors [--seed N] [--count N] [the same options]: instructions run on this CPU first\n' +
  '       npm run conformance -- coverage native-vectors-DIR: the table of instruction forms in docs/conformance.md';

const MODES: readonly UserMode[] = ['32', '64', 'compat'];

export interface Options {
  readonly suite: string;
  readonly dir: string;
  readonly tiers: readonly Tier[];
  readonly filter: RegExp;
  readonly verbose: number;
  readonly causes: number;
  readonly every: number;
  /** host-vectors: seed, and instructions per group. */
  readonly seed: number;
  readonly count: number;
  readonly modes: readonly UserMode[];
}

export function fail(message: string): never {
  process.stderr.write(`conformance: ${message}\n${USAGE}\n`);
  process.exit(2);
}

export function parseOptions(args: readonly string[]): Options {
  const plain: string[] = [];
  let tier = 'both';
  let filter = '*';
  let verbose = 0;
  let causes = 0;
  let every = 1;
  let seed = 1;
  let count = 1000;
  let mode = '32,64';
  for (let k = 0; k < args.length; k++) {
    const value = (): string => args[++k] ?? fail(`${args[k - 1]} needs a value`);
    if (args[k] === '--tier') tier = value();
    else if (args[k] === '--filter') filter = value();
    else if (args[k] === '--verbose') verbose = Number(value());
    else if (args[k] === '--causes') causes = Number(value());
    else if (args[k] === '--every') every = Math.max(1, Math.trunc(Number(value())));
    else if (args[k] === '--seed') seed = Math.trunc(Number(value()));
    else if (args[k] === '--count') count = Math.trunc(Number(value()));
    else if (args[k] === '--mode') mode = value();
    else if (args[k].startsWith('--')) fail(`unknown option ${args[k]}`);
    else plain.push(args[k]);
  }
  const [suite, dir = ''] = plain;
  if (suite === undefined || (dir === '' && suite !== 'host-vectors')) fail('SUITE and DIR are needed');
  if (!['coverage', 'host-vectors', 'native-vectors', '80286', 'test386', 'disk-images'].includes(suite))
    fail(`unknown suite '${suite}'`);
  if (!['cold', 'hot', 'both', 'ir'].includes(tier)) fail(`unknown tier '${tier}'`);
  const modes = mode.split(',').map((m) => MODES.find((known) => known === m) ?? fail(`unknown mode '${m}'`));
  const tiers: Tier[] = tier === 'both' ? ['cold', 'hot'] : [tier as Tier];
  const glob = filter
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.')
    .replace(/,/g, '|');
  return { suite, dir, tiers, filter: new RegExp(`^(${glob})(\\..*)?$`), verbose, causes, every, seed, count, modes };
}
