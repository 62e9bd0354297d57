/** The long runs over all formats, in counted units: a setup that gets through is one passed, a finding is one failed and says how to repeat it. */
import { randomProgram, runCrash, runEndurance, runFaults, runShadow } from '@emkit/storage-testbed';
import type { EnduranceResult, FaultRunOptions } from '@emkit/storage-testbed';
import type { NamedSetup } from './setups.ts';

export class Tally {
  passed = 0;
  failed = 0;
  cuts = 0;
  faults = 0;
  operations = 0;

  /** `work` gives what is printed after the name. */
  async count(name: string, work: () => Promise<string>): Promise<void> {
    const begun = performance.now();
    try {
      const said = await work();
      this.passed++;
      console.log(`${name}: ${said}, ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    } catch (error) {
      this.failed++;
      const text = error instanceof Error ? error.message : String(error);
      console.log(`${name}: FAILED\n    ${text.replaceAll('\n', '\n    ')}`);
    }
  }

  end(): void {
    const total = [
      [this.cuts, 'cut points'],
      [this.faults, 'injected faults'],
      [this.operations, 'operations compared'],
    ] as const;
    console.log(total.map(([n, what]) => `${n.toLocaleString('en')} ${what}`).join(', '));
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exitCode = this.failed === 0 ? 0 : 1;
  }
}

/** Cuts per program: several programs see more than all moments of one. */
const PER_PROGRAM = 120;

export async function cutRun(tally: Tally, { name, setup }: NamedSetup, wanted: number, seed: number): Promise<void> {
  await tally.count(`${name}, power cuts`, async () => {
    let cuts = 0;
    let programs = 0;
    for (; cuts < wanted; programs++) {
      const limit = Math.min(PER_PROGRAM, wanted - cuts);
      const options = { seed: seed + programs, depth: ((seed + programs) % 4) * 4 + 1, limit };
      const done = await runCrash(setup, options);
      cuts += done;
      tally.cuts += done;
    }
    return `${cuts} cut points in ${programs} programs from seed ${seed}`;
  });
}

export async function faultRun(tally: Tally, { name, setup }: NamedSetup, wanted: number, seed: number): Promise<void> {
  await tally.count(`${name}, faults`, async () => {
    let faults = 0;
    let programs = 0;
    for (; faults < wanted; programs++) {
      const done = await runFaults(setup, { ...faultOptions(seed + programs), limit: Math.min(40, wanted - faults) });
      faults += done;
      tally.faults += done;
    }
    return `${faults} injected faults in ${programs} programs from seed ${seed}`;
  });
}

function faultOptions(seed: number): FaultRunOptions {
  return {
    seed,
    // every position costs a whole program: short ones, and many
    operations: 8 + (seed % 3) * 4,
    depth: (seed % 3) * 3 + 1,
    sticky: seed % 2 === 0,
    error: seed % 5 === 0 ? 'no-space' : 'io',
    leaves: (['nothing', 'half', 'everything'] as const)[seed % 3] ?? 'nothing',
    ...(seed % 4 === 0 ? { kinds: ['write', 'flush'] as const } : {}),
  };
}

/** Operations between two looks at everything. */
const ROUND = 2000;

/** How long a variant is used: a time, or so much that it is the same every time. */
export type Budget = { readonly seconds: number } | { readonly programs: number; readonly rounds: number };

/** Short programs from ever new images, then one long life. */
export async function enduranceRun(tally: Tally, named: NamedSetup, budget: Budget, seed: number): Promise<void> {
  const { name, setup, weight = 1 } = named;
  await tally.count(`${name}, endurance`, async () => {
    const begun = performance.now();
    const isAfter = (part: number, seconds: number): boolean => performance.now() - begun > part * seconds * 1000;
    const enough = (done: number): boolean =>
      'seconds' in budget ? isAfter(0.2, budget.seconds) : done >= budget.programs * weight;
    let programs = 0;
    for (; !enough(programs); programs++) {
      const program = randomProgram({ seed: seed + programs, operations: 150, depth: programs % 2 === 0 ? 1 : 16 });
      tally.operations += await runShadow(setup, program).catch((error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        throw new Error(`program of seed ${seed + programs}: ${text}`, { cause: error });
      });
    }
    const isOver = ({ rounds }: EnduranceResult): boolean =>
      'seconds' in budget ? isAfter(1, budget.seconds) : rounds >= budget.rounds;
    const life = await runEndurance(setup, { seed, isOver, round: Math.max(100, ROUND * weight) });
    tally.operations += life.operations;
    const written = (life.written / 2 ** 20).toFixed(0);
    return `${programs} programs; one image with ${life.operations} operations, ${written} MiB written, ${life.rounds} times compared and checked`;
  });
}
