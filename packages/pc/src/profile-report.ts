/** A processor's profile as plain data with names: what `--profile` writes as JSON, and what tables and flame graphs are made of. */
import type { CallCounts, ProfileData, RegionCounts } from '@emkit/accel-tcg';

/** Finds a symbol by linear number. */
export interface Symbols {
  find(address: number): { readonly name: string; readonly offset: number } | undefined;
}

interface Place {
  /** Hexadecimal. */
  readonly address: string;
  /** With `+offset` behind it unless that is 0. */
  readonly symbol?: string;
}

export interface ReportedRegion extends Place {
  readonly mode: 'user' | 'kernel';
  /** Time of its samples. */
  readonly ms: number;
  readonly entries: number;
  readonly exits: Readonly<Record<string, number>>;
  /** Where it goes on in the cold tier, and why: an instruction that only script can do, or a check that failed. */
  readonly coldAt: readonly (Place & { readonly count: number; readonly why: 'script' | 'check' })[];
  readonly blocks: number;
  readonly insns: number;
  readonly pages: number;
  readonly compilations: number;
  readonly dropped: number;
}

export interface ProfileReport {
  readonly version: 1;
  /** Host time of the processor by what it did: sums of the samples. */
  readonly ms: Readonly<Record<string, number>>;
  readonly totalMs: number;
  readonly instructions: number;
  readonly interrupts: number;
  readonly leaves: Readonly<Record<string, number>>;
  readonly slow: Readonly<Record<'load' | 'store' | 'fault', CallCounts>>;
  readonly helpers: readonly (CallCounts & { readonly name: string })[];
  readonly tlb: ProfileData['tlb'];
  readonly compiler: ProfileData['compiler'];
  readonly translations: ProfileData['blocks'];
  /** Instructions in runs of cold blocks that began at the block's start. */
  readonly coldInstructions: number;
  readonly regions: readonly ReportedRegion[];
  readonly coldBlocks: readonly (Place & {
    readonly mode: 'user' | 'kernel';
    readonly executions: number;
    readonly insns: number;
    readonly coldOnly: boolean;
  })[];
  readonly stacks: readonly {
    /** Outermost first: mode, callers, the place itself, what the processor did. */
    readonly frames: readonly string[];
    readonly ms: number;
  }[];
}

/** Cold blocks and cold exits that are listed. */
const MOST_BLOCKS = 500;
const MOST_EXITS = 12;

export const hexNumber = (address: number): string =>
  `0x${(address < 0 ? BigInt.asUintN(64, BigInt(address)) : BigInt(address)).toString(16)}`;

export function profileReport(data: ProfileData, symbols: readonly Symbols[]): ProfileReport {
  const find = (address: number): { name: string; offset: number } | undefined => {
    for (const table of symbols) {
      const hit = table.find(address);
      if (hit !== undefined) return hit;
    }
    return undefined;
  };
  const place = (address: number): Place => {
    const hit = find(address);
    const at = { address: hexNumber(address) };
    return hit === undefined
      ? at
      : { ...at, symbol: hit.offset === 0 ? hit.name : `${hit.name}+0x${hit.offset.toString(16)}` };
  };
  const mode = (user: boolean): 'user' | 'kernel' => (user ? 'user' : 'kernel');
  const ms: Record<string, number> = {};
  const regionMs = new Map<number, number>();
  for (const s of data.samples) {
    const name = s.kind.startsWith('helper ') ? 'helper' : s.kind;
    ms[name] = (ms[name] ?? 0) + s.ms;
    if (s.region !== undefined) regionMs.set(s.region, (regionMs.get(s.region) ?? 0) + s.ms);
  }
  const region = (r: RegionCounts): ReportedRegion => ({
    ...place(r.address),
    mode: mode(r.user),
    ms: regionMs.get(r.address) ?? 0,
    entries: r.entries,
    exits: Object.fromEntries(r.exits),
    coldAt: [...r.coldAt]
      .sort((a, b) => b[1] - a[1])
      .slice(0, MOST_EXITS)
      .map(([at, count]) => ({ ...place(at), count, why: data.coldOnly.has(at) ? 'script' : 'check' })),
    blocks: r.blocks,
    insns: r.insns,
    pages: r.pages,
    compilations: r.compilations,
    dropped: r.dropped,
  });
  const work = (b: ProfileData['coldBlocks'][number]): number => b.executions * b.insns;
  const stacks = new Map<string, { frames: readonly string[]; ms: number }>();
  for (const s of data.samples) {
    const names = s.stack.map((address) => find(address)?.name ?? hexNumber(address)).reverse();
    const frames = [mode(s.user), ...names, `[${s.kind}]`];
    const key = frames.join('\n');
    const known = stacks.get(key);
    if (known === undefined) stacks.set(key, { frames, ms: s.ms });
    else known.ms += s.ms;
  }
  return {
    version: 1,
    ms,
    totalMs: data.ms.run,
    instructions: data.retired,
    interrupts: data.interrupts,
    leaves: Object.fromEntries(data.leaves),
    slow: data.slow,
    helpers: [...data.helpers].map(([name, counts]) => ({ name, ...counts })).sort((a, b) => b.ms - a.ms),
    tlb: data.tlb,
    compiler: data.compiler,
    translations: data.blocks,
    coldInstructions: data.coldBlocks.reduce((sum, b) => sum + work(b), 0),
    regions: data.regions.map(region).sort((a, b) => b.ms - a.ms || b.entries - a.entries),
    coldBlocks: [...data.coldBlocks]
      .sort((a, b) => work(b) - work(a))
      .slice(0, MOST_BLOCKS)
      .map((b) => ({
        ...place(b.address),
        mode: mode(b.user),
        executions: b.executions,
        insns: b.insns,
        coldOnly: b.coldOnly,
      })),
    stacks: [...stacks.values()].sort((a, b) => b.ms - a.ms),
  };
}
