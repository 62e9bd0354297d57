/**
 * The CPU models, made from their rows (rows-models.ts): features by name become words of bits, versions and their aliases become models.
 */
import {
  FEATURE_NAMES,
  FEATURE_WORD_NAMES,
  IMPLEMENTED,
  F_INVTSC,
  F_LA57,
  F_TSC_DEADLINE,
  features,
} from './features.ts';
import type { CpuFeatures, FeatureWord } from './features.ts';
import { DEFAULT_CACHES, DEFAULT_LEAF2, MODEL_ROWS } from './rows-models.ts';
import type { ModelRow } from './rows-models.ts';
import { modelSignature } from './model.ts';
import type { CpuModel } from './model.ts';

const BIT = new Map(FEATURE_NAMES.map(([word, mask, name]) => [name, [word, mask] as const]));

/** `base` with the named features set, and cleared where a name begins with `-`. */
function withFeatures(base: CpuFeatures, names: string): CpuFeatures {
  const out: Record<FeatureWord, number> = { ...base };
  for (const given of names.split(' ')) {
    if (given === '') continue;
    const off = given[0] === '-';
    const found = BIT.get(off ? given.slice(1) : given);
    if (found === undefined) throw new Error(`rows-models.ts: no feature ${given}`);
    const [word, mask] = found;
    out[word] = off ? out[word] & ~mask : out[word] | mask;
  }
  return out;
}

function build(row: ModelRow, base: CpuFeatures): CpuModel {
  const brand = row.brand ?? '';
  return {
    name: row.name,
    description: row.description ?? brand,
    vendor: row.vendor,
    signature: modelSignature(...row.id),
    maxLeaf: row.leaves[0],
    maxExtendedLeaf: row.leaves[1],
    brand,
    features: withFeatures(base, row.features ?? ''),
    leaf2: row.leaf2 ?? DEFAULT_LEAF2,
    caches: row.caches ?? DEFAULT_CACHES,
  };
}

/** What every version of a row is called besides its alias: NAME-v2 and so on. */
const versionName = (row: ModelRow, index: number): string => `${row.name}-v${index + 2}`;

function buildAll(): Map<string, CpuModel> {
  const all = new Map<string, CpuModel>();
  for (const row of MODEL_ROWS) {
    const base = row.from === undefined ? features({}) : all.get(row.from)!.features;
    const model = build(row, base);
    all.set(row.name, model);
    (row.versions ?? []).forEach((version, index) => {
      const name = versionName(row, index);
      const made = build({ ...row, ...version, name, description: version.brand ?? model.description }, model.features);
      all.set(name, made);
      if (version.alias !== undefined) all.set(version.alias, { ...made, name: version.alias });
    });
  }
  const qemu64 = all.get('qemu64')!;
  all.set('max', {
    ...qemu64,
    name: 'max',
    description: 'Everything that is implemented',
    // as with QEMU: what would make a saved machine depend on its clock is asked for by name
    // A kernel uses five levels of page tables wherever it can, at the price of a step more in each walk.
    // On a busy host Linux loses ticks with the TSC deadline while jiffies are its only clock, and then distrusts the TSC.
    features: {
      ...IMPLEMENTED,
      ecx1: IMPLEMENTED.ecx1 & ~F_TSC_DEADLINE,
      ecx7: IMPLEMENTED.ecx7 & ~F_LA57,
      edxExt7: IMPLEMENTED.edxExt7 & ~F_INVTSC,
    },
  });
  return all;
}

const ALL: ReadonlyMap<string, CpuModel> = buildAll();

/** In the order of `-cpu help`: versions that have a name of their own show under it only. */
export const CPU_MODELS: readonly CpuModel[] = [...ALL.values()]
  .filter((m) => !/-v\d+$/.test(m.name) || m.name.startsWith('x86-64-'))
  .sort((a, b) => (a.name < b.name ? -1 : 1));

/** A model by any of its names: as listed, NAME-v1 for NAME itself, and NAME-vN. */
export function findCpuModel(name: string): CpuModel | undefined {
  const first = /^(.+)-v1$/.exec(name)?.[1];
  return ALL.get(name) ?? (first !== undefined && first !== 'x86-64' ? ALL.get(first) : undefined);
}

/** Is each bit of `part` in `whole`? */
export function includesFeatures(whole: CpuFeatures, part: CpuFeatures): boolean {
  return FEATURE_WORD_NAMES.every((w) => (part[w] & ~whole[w]) === 0);
}
