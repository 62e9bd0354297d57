/**
 * Runs one program from one state in several ways (whole blocks in the cold tier; one instruction a block; compiled
 * regions, several rounds) and compares everything the guest could ever see. The reference is the cold tier without any
 * optimisation; the others have all but those that the case names.
 */
import { EXIT } from '@emkit/accel-tcg';
import { CpuBench } from '@emkit/cpu-testbed';
import { OPTIMISATION_NAMES } from '@emkit/ir';
import type { OptimisationName } from '@emkit/ir';
import { ENV, HF_SSE_FAST, XMM_STRIDE } from '@emkit/x86';
import { assemble, listing } from './program.ts';
import type { Program } from './program.ts';
import { CODE_BYTES, codeOrigin, enter, prepare } from './modes.ts';
import type { Mode } from './modes.ts';
import { Random } from './random.ts';

export interface Case {
  readonly mode: Mode;
  /** Of registers and data. */
  readonly stateSeed: number;
  /** Offset of the program in the code pages. */
  readonly entry: number;
  readonly program: Program;
  /** Optimisations that are off; none when absent. */
  readonly off?: readonly OptimisationName[];
}

const RAM_BYTES = 1 << 20;
/** Instructions after which a program counts as endless. */
const MAX_INSNS = 12_000;
const HOT_ROUNDS = 3;
const MAX_SHRINK_RUNS = 150;

interface Outcome {
  readonly stop: string;
  readonly retired: number;
  readonly eflags: number;
  readonly env: Uint8Array;
  readonly ram: Uint8Array;
}

/** Env ranges that no guest sees: lazy flags (compared as EFLAGS), helpers' scratch, the exception being raised, the time-stamp offset. */
const HIDDEN: readonly (readonly [number, number])[] = [
  [ENV.CC_OP, ENV.EFLAGS],
  [ENV.EXCEPTION_VECTOR, ENV.PENDING_DR6],
  [ENV.MSR_TSC_OFFSET, ENV.MSR_APIC_BASE],
  [ENV.SCRATCH, ENV.XMM],
];

export class TierComparison {
  #cold = newBench('cold', OPTIMISATION_NAMES);
  #baseline = this.#cold.ram.slice();
  #off: readonly OptimisationName[] = [];
  #benches = newBenches(this.#off);

  /** Differences found, as text; empty when all ways agree. Endless programs are not compared. */
  check(c: Case): string[] {
    const off = c.off ?? [];
    if (off.join() !== this.#off.join()) this.#choose(off);
    const { hot, single } = this.#benches;
    const { ram, env } = this.#start(c);
    const slices = new Random(c.stateSeed ^ 0x5eed);
    const reference = run(this.#cold, () => MAX_INSNS);
    const found: string[] = [];
    const other = (name: string, outcome: Outcome): boolean => {
      const text = compare(reference, outcome);
      if (text.length > 0) found.push(`${name}: ${text.join('; ')}`);
      return text.length === 0;
    };
    for (let round = 0; round < HOT_ROUNDS; round++) {
      restore(hot, ram, env);
      if (round === 1) hot.compile();
      if (
        !other(
          `hot, round ${round}`,
          run(hot, () => (round === 0 ? 1 + slices.int(300) : MAX_INSNS)),
        )
      )
        return found;
    }
    if ((c.stateSeed & 31) === 0) {
      // a processor that finds what this one has translated
      const second = (this.#benches.hot = newBench('hot', off, hot.tcg.keptTranslations()));
      restore(second, ram, env);
      if (
        !other(
          'kept translations',
          run(second, () => MAX_INSNS),
        )
      )
        return found;
    }
    if ((c.stateSeed & 3) === 0 && reference.retired < 600) {
      restore(single, ram, env);
      other('single instructions', runSingle(single));
    }
    return found;
  }

  /** The same with processors that have run nothing before: what a reproducer must show. */
  checkFresh(c: Case): string[] {
    this.reset(c.off);
    return this.check(c);
  }

  reset(off: readonly OptimisationName[] = []): void {
    this.#cold = newBench('cold', OPTIMISATION_NAMES);
    this.#baseline = this.#cold.ram.slice();
    this.#choose(off);
  }

  #choose(off: readonly OptimisationName[]): void {
    this.#off = off;
    this.#benches = newBenches(off);
  }

  /** Empty items while the difference stays. Processors are reused on the way, since new ones cost more than a run. */
  shrink(c: Case): Case {
    this.reset(c.off);
    let best = c;
    let runs = 0;
    for (let size = Math.ceil(c.program.items.length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
      for (let at = 0; at < best.program.items.length && runs < MAX_SHRINK_RUNS; at += size) {
        const { items } = best.program;
        if (items.slice(at, at + size).every((i) => i.bytes.length === 0)) continue;
        const program = { ...best.program, items: items.map((i, n) => (n >= at && n < at + size ? { bytes: [] } : i)) };
        runs++;
        if (this.check({ ...best, program }).length > 0) best = { ...best, program };
      }
    }
    return this.checkFresh(best).length > 0 ? best : c;
  }

  #start(c: Case): { ram: Uint8Array; env: Uint8Array } {
    const cold = this.#cold;
    writeDifferences(cold, this.#baseline);
    cold.tcg.clearShutdown();
    const code = assemble(c.program, codeOrigin(c.mode) + c.entry).subarray(0, CODE_BYTES - c.entry);
    enter(cold, c.mode, new Random(c.stateSeed), code, c.entry);
    return { ram: cold.ram.slice(), env: cold.cpu.e8.slice(0, ENV.SIZE) };
  }
}

function newBench(tier: 'cold' | 'hot', off: readonly OptimisationName[], kept?: Uint8Array): CpuBench {
  const bench = new CpuBench({
    ramBytes: RAM_BYTES,
    tier,
    optimisations: Object.fromEntries(off.map((name) => [name, false])),
    portIn: (port) => Math.imul(port, 0x9e3779b1) >>> 0,
    translations: { key: 'fuzz', kept },
  });
  prepare(bench);
  return bench;
}

const newBenches = (off: readonly OptimisationName[]): { hot: CpuBench; single: CpuBench } => ({
  hot: newBench('hot', off),
  single: newBench('cold', off),
});

/** Each optimisation on; or a few, or any number of them, off. */
export function randomlyOff(r: Random): readonly OptimisationName[] {
  const percent = r.pick([0, 10, 50, 90]);
  return OPTIMISATION_NAMES.filter((name) => r.chance(name === 'regions' ? percent / 10 : percent));
}

/** Only what differs is written: code that has not changed keeps its translations. */
function writeDifferences(bench: CpuBench, ram: Uint8Array): void {
  const now = new Int32Array(bench.ram.buffer, bench.ram.byteOffset, RAM_BYTES >> 2);
  const then = new Int32Array(ram.buffer, ram.byteOffset, RAM_BYTES >> 2);
  for (let n = 0; n < then.length; n++) if (now[n] !== then[n]) bench.poke32(n * 4, then[n]);
}

function restore(bench: CpuBench, ram: Uint8Array, env: Uint8Array): void {
  writeDifferences(bench, ram);
  bench.cpu.e8.set(env);
  bench.tcg.clearShutdown();
  bench.cpu.afterLoad();
}

function run(bench: CpuBench, slice: () => number): Outcome {
  const { tcg } = bench;
  const before = tcg.retired;
  let stop = 'endless';
  try {
    while (tcg.retired - before < MAX_INSNS) {
      const reason = tcg.run(Math.min(slice(), MAX_INSNS - (tcg.retired - before)));
      if (reason !== EXIT.SLICE) {
        stop = nameOf(reason);
        break;
      }
    }
  } catch (error) {
    stop = `script error: ${(error as Error).message}`;
  }
  return outcome(bench, stop, tcg.retired - before);
}

function runSingle(bench: CpuBench): Outcome {
  const { tcg } = bench;
  const before = tcg.retired;
  let stop = 'endless';
  try {
    for (let n = 0; n < MAX_INSNS; n++) {
      const reason = tcg.step();
      if (reason !== EXIT.SLICE) {
        stop = nameOf(reason);
        break;
      }
    }
  } catch (error) {
    stop = `script error: ${(error as Error).message}`;
  }
  return outcome(bench, stop, tcg.retired - before);
}

const nameOf = (reason: number): string => Object.entries(EXIT).find(([, v]) => v === reason)?.[0] ?? String(reason);

const outcome = (bench: CpuBench, stop: string, retired: number): Outcome => ({
  stop,
  retired,
  eflags: bench.cpu.eflags(),
  env: bench.cpu.e8,
  ram: bench.ram,
});

const hex = (v: number): string => `0x${(v >>> 0).toString(16)}`;

function compare(a: Outcome, b: Outcome): string[] {
  if (a.stop.startsWith('script error') && !a.stop.includes('instruction fetch from device memory')) return [a.stop];
  if (a.stop === 'endless' || b.stop === 'endless') {
    // near the bound either may be cut first
    return Math.min(a.retired, b.retired) > MAX_INSNS - 1000
      ? []
      : [`stops ${a.stop}/${b.stop} after ${a.retired}/${b.retired}`];
  }
  const out: string[] = [];
  if (a.stop !== b.stop) out.push(`stop ${a.stop}/${b.stop}`);
  if (a.retired !== b.retired) out.push(`retired ${a.retired}/${b.retired}`);
  if (a.eflags !== b.eflags) out.push(`eflags ${hex(a.eflags)}/${hex(b.eflags)}`);
  for (let at = 0; at < ENV.SIZE && out.length < 12; at += 4) {
    // high halves are undefined after code that is not 64-bit: SDM Vol. 1 §3.4.1.1 "General-Purpose Registers in 64-Bit Mode"
    if ((at < ENV.EIP && at % 8 === 4) || HIDDEN.some(([from, to]) => at >= from && at < to)) continue;
    let [x, y] = [word(a.env, at), word(b.env, at)];
    if (at === ENV.HFLAGS) {
      if (!fastIsRight(b.env)) out.push('HF_SSE_FAST without its conditions');
      x &= ~HF_SSE_FAST;
      y &= ~HF_SSE_FAST;
    }
    if (x !== y) out.push(`${envName(at)} ${hex(x)}/${hex(y)}`);
  }
  for (let at = 0; at < RAM_BYTES && out.length < 16; at += 4) {
    const [x, y] = [word(a.ram, at), word(b.ram, at)];
    if (x !== y) out.push(`[${hex(at)}] ${hex(x)}/${hex(y)}`);
  }
  return out;
}

/** HF_SSE_FAST is a permission: either tier may be without it, none may have it wrongly (PE sticky, all masked, nearest). */
const fastIsRight = (env: Uint8Array): boolean =>
  (word(env, ENV.HFLAGS) & HF_SSE_FAST) === 0 || (word(env, ENV.MXCSR) & 0x7fa0) === 0x1fa0;

const word = (u8: Uint8Array, at: number): number =>
  (u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)) >>> 0;

function envName(at: number): string {
  if (at < ENV.EIP) return `gpr${at >> 3}`;
  if (at >= ENV.XMM) return `xmm${Math.floor((at - ENV.XMM) / XMM_STRIDE)}+${(at - ENV.XMM) % XMM_STRIDE}`;
  const [name, base] = Object.entries(ENV)
    .filter(([key, o]) => key !== 'SIZE' && o <= at)
    .sort((x, y) => y[1] - x[1])[0];
  return `${name}+${at - base}`;
}

/** Everything needed to repeat a case. */
export function describeCase(c: Case, differences: readonly string[]): string {
  const bytes = assemble(c.program, codeOrigin(c.mode) + c.entry);
  const raw = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return `${differences.join('\n')}\n${offText(c)}mode ${c.mode}, stateSeed ${c.stateSeed}, entry ${hex(c.entry)}, code ${raw}\n${listing(c.program, codeOrigin(c.mode) + c.entry)}`;
}

const offText = ({ off = [] }: Case): string => (off.length > 0 ? `off: ${off.join(' ')}\n` : '');
