/**
 * Shape of a CPU model: data that CPUID, reset and the translator read. No behaviour.
 */
import type { CpuFeatures } from './features.ts';

export interface CpuModel {
  /** Name as given to `-cpu`. */
  readonly name: string;
  readonly description: string;
  /** 12 ASCII characters. */
  readonly vendor: string;
  /** CPUID.1:EAX, also in EDX at reset: extended family/model, type, family, model, stepping. */
  readonly signature: number;
  /** Highest basic and extended leaf; extended 0: none. */
  readonly maxLeaf: number;
  readonly maxExtendedLeaf: number;
  readonly brand: string;
  readonly features: CpuFeatures;
  /** Leaf 2 registers EAX, EBX, ECX, EDX (cache descriptors); the low byte of EAX is the call count. */
  readonly leaf2: readonly [number, number, number, number];
  /** Leaf 4 caches. */
  readonly caches: readonly CacheInfo[];
}

/** One row of CPUID leaf 4. SDM Vol. 2A, CPUID, "INPUT EAX = 04H". */
export interface CacheInfo {
  /** 1 data, 2 instruction, 3 unified. */
  readonly type: 1 | 2 | 3;
  readonly level: number;
  readonly lineSize: number;
  readonly ways: number;
  readonly sets: number;
}

/** A cache of `kib` KiB with lines of 64 bytes. */
export function cache(type: 1 | 2 | 3, level: number, kib: number, ways: number): CacheInfo {
  return { type, level, lineSize: 64, ways, sets: (kib * 1024) / (64 * ways) };
}

/** CPUID.1:EAX: a family above 15 goes to the extended field, a model above 15 likewise. SDM Vol. 2A, CPUID, Figure 3-6. */
export function modelSignature(family: number, model: number, stepping: number): number {
  const extended = family > 15 ? (family - 15) << 20 : 0;
  return extended | ((model >> 4) << 16) | (Math.min(family, 15) << 8) | ((model & 15) << 4) | stepping;
}
