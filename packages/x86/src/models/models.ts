/**
 * The CPU models as data: signatures and feature sets of the named processors. Names are QEMU's; identification follows
 * the processors' CPUID data (Intel application note 485, "Processor Identification and the CPUID Instruction").
 * A model may ask for more than is implemented: `buildModel` (cpu-option.ts) cuts it down.
 */
import {
  F_ACPI,
  F_APIC,
  F_CLFLUSH,
  F_CMOV,
  F_CX8,
  F_DE,
  F_FPU,
  F_FXSR,
  F_HYPERVISOR,
  F_LAHF_LM,
  F_MCA,
  F_MCE,
  F_MMX,
  F_MONITOR,
  F_MOVBE,
  F_MSR,
  F_MTRR,
  F_NX,
  F_PAE,
  F_PAT,
  F_PGE,
  F_PSE,
  F_PSE36,
  F_SEP,
  F_SS,
  F_SSE,
  F_SSE2,
  F_SSE3,
  F_SSSE3,
  F_TSC,
  F_VME,
  IMPLEMENTED,
  features,
} from './features.ts';
import type { CacheInfo, CpuModel } from './model.ts';

const I486 = F_FPU | F_VME | F_PSE;
const PENTIUM = I486 | F_DE | F_TSC | F_MSR | F_MCE | F_CX8 | F_APIC | F_MMX;
const PENTIUM2 = PENTIUM | F_PAE | F_SEP | F_MTRR | F_PGE | F_MCA | F_CMOV | F_PAT | F_PSE36 | F_FXSR;
const PENTIUM3 = PENTIUM2 | F_SSE;
const QEMU32 =
  F_FPU |
  F_DE |
  F_PSE |
  F_TSC |
  F_MSR |
  F_PAE |
  F_MCE |
  F_CX8 |
  F_APIC |
  F_SEP |
  F_PGE |
  F_CMOV |
  F_PAT |
  F_MMX |
  F_FXSR |
  F_SSE |
  F_SSE2;
const CORE = QEMU32 | F_VME | F_MTRR | F_MCA | F_CLFLUSH | F_ACPI | F_SS;

/** Signature of leaf 1: family < 16, model < 256. */
const signature = (family: number, model: number, stepping: number): number =>
  ((model >> 4) << 16) | (family << 8) | ((model & 15) << 4) | stepping;

const NO_CACHES: readonly CacheInfo[] = [];
const cache = (type: 1 | 2 | 3, level: number, kib: number, ways: number): CacheInfo => ({
  type,
  level,
  lineSize: 64,
  ways,
  sets: (kib * 1024) / (64 * ways),
});
/** L1 32K + 32K, L2 2M. */
const CORE_CACHES = [cache(1, 1, 32, 8), cache(2, 1, 32, 8), cache(3, 2, 2048, 8)];
/** Leaf 2 descriptors: B0h 4K code TLB, B3h 4K data TLB, 30h 32K L1I, 2Ch 32K L1D, 7Dh 2M L2; and the older 16K + 16K, 512K L2. */
const CORE_LEAF2 = [0x00b3b001, 0, 0, 0x002c307d] as const;
const P6_LEAF2 = [0x03020101, 0, 0, 0x0c040843] as const;
const NO_LEAF2 = [1, 0, 0, 0] as const;

interface Row {
  name: string;
  description: string;
  signature: number;
  maxLeaf: number;
  maxExtendedLeaf: number;
  brand: string;
  edx1: number;
  ecx1: number;
  edxExt: number;
  ecxExt: number;
  leaf2: readonly [number, number, number, number];
  caches: readonly CacheInfo[];
}

const row = (r: Row): CpuModel => ({
  name: r.name,
  description: r.description,
  vendor: 'GenuineIntel',
  signature: r.signature,
  maxLeaf: r.maxLeaf,
  maxExtendedLeaf: r.maxExtendedLeaf,
  brand: r.brand,
  features:
    r.name === 'max'
      ? IMPLEMENTED
      : features({ edx1: r.edx1, ecx1: r.ecx1 | F_HYPERVISOR, edxExt: r.edxExt, ecxExt: r.ecxExt }),
  leaf2: r.leaf2,
  caches: r.caches,
});

/** In the order of `-cpu help`. */
export const CPU_MODELS: readonly CpuModel[] = [
  row({
    name: '486',
    description: 'Intel 486 with CPUID',
    signature: signature(4, 8, 0),
    maxLeaf: 1,
    maxExtendedLeaf: 0,
    brand: '',
    edx1: I486,
    ecx1: 0,
    edxExt: 0,
    ecxExt: 0,
    leaf2: NO_LEAF2,
    caches: NO_CACHES,
  }),
  row({
    name: 'coreduo',
    description: 'Genuine Intel(R) CPU           T2600  @ 2.16GHz',
    signature: signature(6, 14, 8),
    maxLeaf: 10,
    maxExtendedLeaf: 0x80000008,
    brand: 'Genuine Intel(R) CPU           T2600  @ 2.16GHz',
    edx1: CORE,
    ecx1: F_SSE3 | F_MONITOR,
    edxExt: F_NX,
    ecxExt: 0,
    leaf2: CORE_LEAF2,
    caches: CORE_CACHES,
  }),
  row({
    name: 'max',
    description: 'Everything that is implemented',
    signature: signature(6, 13, 8),
    maxLeaf: 10,
    maxExtendedLeaf: 0x80000008,
    brand: 'emkit Virtual CPU',
    edx1: IMPLEMENTED.edx1,
    ecx1: IMPLEMENTED.ecx1,
    edxExt: IMPLEMENTED.edxExt,
    ecxExt: IMPLEMENTED.ecxExt,
    leaf2: CORE_LEAF2,
    caches: CORE_CACHES,
  }),
  row({
    name: 'n270',
    description: 'Intel(R) Atom(TM) CPU N270   @ 1.60GHz',
    signature: signature(6, 28, 2),
    maxLeaf: 10,
    maxExtendedLeaf: 0x80000008,
    brand: 'Intel(R) Atom(TM) CPU N270   @ 1.60GHz',
    edx1: CORE,
    ecx1: F_SSE3 | F_MONITOR | F_SSSE3 | F_MOVBE,
    edxExt: F_NX,
    ecxExt: F_LAHF_LM,
    leaf2: CORE_LEAF2,
    caches: CORE_CACHES,
  }),
  row({
    name: 'pentium',
    description: 'Intel Pentium MMX',
    signature: signature(5, 4, 3),
    maxLeaf: 1,
    maxExtendedLeaf: 0,
    brand: '',
    edx1: PENTIUM,
    ecx1: 0,
    edxExt: 0,
    ecxExt: 0,
    leaf2: NO_LEAF2,
    caches: NO_CACHES,
  }),
  row({
    name: 'pentium2',
    description: 'Intel Pentium II',
    signature: signature(6, 5, 2),
    maxLeaf: 2,
    maxExtendedLeaf: 0,
    brand: '',
    edx1: PENTIUM2,
    ecx1: 0,
    edxExt: 0,
    ecxExt: 0,
    leaf2: P6_LEAF2,
    caches: NO_CACHES,
  }),
  row({
    name: 'pentium3',
    description: 'Intel Pentium III',
    signature: signature(6, 7, 3),
    maxLeaf: 3,
    maxExtendedLeaf: 0,
    brand: '',
    edx1: PENTIUM3,
    ecx1: 0,
    edxExt: 0,
    ecxExt: 0,
    leaf2: P6_LEAF2,
    caches: NO_CACHES,
  }),
  row({
    name: 'qemu32',
    description: 'emkit Virtual CPU',
    signature: signature(6, 6, 3),
    maxLeaf: 4,
    maxExtendedLeaf: 0x80000004,
    brand: 'emkit Virtual CPU',
    edx1: QEMU32,
    ecx1: F_SSE3,
    edxExt: 0,
    ecxExt: 0,
    leaf2: CORE_LEAF2,
    caches: CORE_CACHES,
  }),
];
