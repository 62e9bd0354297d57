/**
 * The CPU features that opcode rows may ask for, as dense indices: a form whose feature the CPU model lacks decodes as
 * an invalid opcode. Names are those of `models/features.ts` (CPUID bits), and 'none'.
 */
import { F_3DNOW, F_LM, FEATURE_NAMES, FEATURE_WORD_NAMES } from '../models/features.ts';
import type { CpuFeatures } from '../models/features.ts';

export type FeatureName = string;

/** Index of each feature name in the array made by `decodeFeatures`. 'none' is 0 and always present. */
export const FEATURE: Readonly<Record<FeatureName, number>> = Object.fromEntries([
  ['none', 0],
  ...FEATURE_NAMES.map(([, , name], n) => [name, n + 1] as const),
]);

/** One byte per feature, 1 = present. Made once per CPU. */
export function decodeFeatures(cpu: CpuFeatures): Uint8Array {
  const present = Uint8Array.from([1, ...FEATURE_NAMES.map(([word, mask]) => ((cpu[word] & mask) !== 0 ? 1 : 0))]);
  // PREFETCH and PREFETCHW come with any of three. AMD APM Vol. 3, PREFETCH
  if ((cpu.edxExt & (F_LM | F_3DNOW)) !== 0) present[FEATURE['3dnowprefetch']] = 1;
  return present;
}

/** Everything: for the disassembler and for tests. */
export const ALL_FEATURES: CpuFeatures = Object.fromEntries(
  FEATURE_WORD_NAMES.map((w) => [w, -1]),
) as unknown as CpuFeatures;
