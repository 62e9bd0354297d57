/**
 * The CPU models as data. Names, signatures and feature sets are QEMU's (7.2), so that a command line carries over; identification
 * follows the processors' CPUID data (Intel application note 485, AMD's revision guides). A model may ask for more than is
 * implemented: `cpu-option.ts` cuts it down and says so.
 */
import { cache } from './model.ts';
import type { CacheInfo } from './model.ts';

export interface ModelRow {
  readonly name: string;
  /** Features are those of this row, changed by `features`. */
  readonly from?: string;
  readonly vendor: string;
  /** Family, model, stepping. */
  readonly id: readonly [family: number, model: number, stepping: number];
  /** Highest basic and extended leaf; extended 0: none. */
  readonly leaves: readonly [number, number];
  /** In lists; the brand if it says enough. */
  readonly description?: string;
  readonly brand?: string;
  /** Names of features, with `-` those that are taken away. */
  readonly features?: string;
  readonly caches?: readonly CacheInfo[];
  readonly leaf2?: readonly [number, number, number, number];
  /** Version 2 and up: what differs from version 1, which is the row itself. `alias`: its own name in lists. */
  readonly versions?: readonly ModelVersion[];
}
export interface ModelVersion {
  readonly alias?: string;
  readonly features: string;
  readonly id?: readonly [number, number, number];
  readonly brand?: string;
}

const INTEL = 'GenuineIntel';
const AMD = 'AuthenticAMD';
const HYGON = 'HygonGenuine';
const BRAND = 'emkit Virtual CPU';

const L1D = cache(1, 1, 32, 8);
const NONE: readonly CacheInfo[] = [];
const CORE = [L1D, cache(2, 1, 32, 8), cache(3, 2, 2048, 8)];
/** Where a row says nothing. */
export const DEFAULT_CACHES = [L1D, cache(2, 1, 32, 8), cache(3, 2, 4096, 16), cache(3, 3, 16384, 16)];
const EPYC = [L1D, cache(2, 1, 64, 4), cache(3, 2, 512, 8), cache(3, 3, 8192, 16)];
const ROME = [L1D, cache(2, 1, 32, 8), cache(3, 2, 512, 8), cache(3, 3, 16384, 16)];
const MILAN = [L1D, cache(2, 1, 32, 8), cache(3, 2, 512, 8), cache(3, 3, 32768, 16)];

/** Leaf 2 descriptors: 30h 32K L1I, 2Ch 32K L1D, 7Dh 2M L2, 4Dh 16M L3. */
export const DEFAULT_LEAF2 = [1, 0, 0x4d, 0x002c307d] as const;
/** B0h 4K code TLB, B3h 4K data TLB; 30h, 2Ch, 7Dh. */
const CORE_LEAF2 = [0x00b3b001, 0, 0, 0x002c307d] as const;
/** 16K + 16K, 512K L2. */
const P6_LEAF2 = [0x03020101, 0, 0, 0x0c040843] as const;
const NO_LEAF2 = [1, 0, 0, 0] as const;

export const MODEL_ROWS: readonly ModelRow[] = [
  {
    name: '486',
    vendor: INTEL,
    id: [4, 8, 0],
    leaves: [1, 0],
    description: 'Intel 486 with CPUID',
    features: 'fpu vme pse hypervisor',
    caches: NONE,
    leaf2: NO_LEAF2,
  },
  {
    name: 'pentium',
    from: '486',
    vendor: INTEL,
    id: [5, 4, 3],
    leaves: [1, 0],
    description: 'Intel Pentium MMX',
    features: 'de tsc msr mce cx8 apic mmx',
    caches: NONE,
    leaf2: NO_LEAF2,
  },
  {
    name: 'pentium2',
    from: 'pentium',
    vendor: INTEL,
    id: [6, 5, 2],
    leaves: [2, 0],
    description: 'Intel Pentium II',
    features: 'pae sep mtrr pge mca cmov pat pse36 fxsr',
    leaf2: P6_LEAF2,
    caches: NONE,
  },
  {
    name: 'pentium3',
    from: 'pentium2',
    vendor: INTEL,
    id: [6, 7, 3],
    leaves: [3, 0],
    description: 'Intel Pentium III',
    features: 'sse',
    leaf2: P6_LEAF2,
    caches: NONE,
  },
  {
    name: 'athlon',
    from: 'pentium3',
    vendor: AMD,
    id: [6, 2, 3],
    leaves: [2, 0x80000008],
    description: 'AMD Athlon',
    brand: BRAND,
    features: 'sse2 mmxext 3dnowext 3dnow',
  },
  {
    name: 'coreduo',
    vendor: INTEL,
    id: [6, 14, 8],
    leaves: [0xa, 0x80000008],
    brand: 'Genuine Intel(R) CPU           T2600  @ 2.16GHz',
    features:
      'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat clflush acpi mmx fxsr sse sse2 ss pni monitor hypervisor nx',
    caches: CORE,
    leaf2: CORE_LEAF2,
  },
  {
    name: 'n270',
    from: 'coreduo',
    vendor: INTEL,
    id: [6, 28, 2],
    leaves: [0xa, 0x80000008],
    brand: 'Intel(R) Atom(TM) CPU N270   @ 1.60GHz',
    features: 'ssse3 movbe lahf-lm',
    caches: CORE,
    leaf2: CORE_LEAF2,
  },
  {
    name: 'qemu32',
    description: 'emkit Virtual CPU, the default',
    vendor: INTEL,
    id: [6, 6, 3],
    leaves: [4, 0x80000004],
    brand: BRAND,
    features: 'fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat mmx fxsr sse sse2 pni hypervisor',
    caches: CORE,
    leaf2: CORE_LEAF2,
  },
  {
    name: 'kvm32',
    from: 'qemu32',
    vendor: INTEL,
    id: [15, 6, 1],
    leaves: [5, 0x80000008],
    brand: 'Common 32-bit KVM processor',
    features: 'mtrr mca pse36 clflush',
  },
  {
    name: 'qemu64',
    description: 'emkit Virtual CPU, the default of --arch x86_64',
    vendor: AMD,
    id: [15, 107, 1],
    leaves: [0xd, 0x80000008],
    brand: BRAND,
    features:
      'fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni cx16 hypervisor syscall nx lm lahf-lm',
  },
  {
    name: 'kvm64',
    from: 'qemu64',
    vendor: INTEL,
    id: [15, 6, 1],
    leaves: [0xd, 0x80000008],
    brand: 'Common KVM processor',
    features: '-lahf-lm',
  },
  {
    name: 'core2duo',
    from: 'kvm64',
    vendor: INTEL,
    id: [6, 15, 11],
    leaves: [0xa, 0x80000008],
    brand: 'Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz',
    features: 'vme acpi ss monitor ssse3 lahf-lm',
  },
  {
    name: 'phenom',
    from: 'qemu64',
    vendor: AMD,
    id: [16, 2, 3],
    leaves: [5, 0x8000001a],
    brand: 'AMD Phenom(tm) 9550 Quad-Core Processor',
    features: 'vme monitor popcnt mmxext fxsr-opt pdpe1gb rdtscp 3dnowext 3dnow abm sse4a',
  },
  {
    name: 'Conroe',
    vendor: INTEL,
    id: [6, 15, 3],
    leaves: [0xa, 0x80000008],
    brand: 'Intel Celeron_4x0 (Conroe/Merom Class Core 2)',
    features:
      'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni ssse3 hypervisor syscall nx lm lahf-lm',
  },
  {
    name: 'Penryn',
    from: 'Conroe',
    vendor: INTEL,
    id: [6, 23, 3],
    leaves: [0xa, 0x80000008],
    brand: 'Intel Core 2 Duo P9xxx (Penryn Class Core 2)',
    features: 'cx16 sse4.1',
  },
  {
    name: 'Nehalem',
    from: 'Penryn',
    vendor: INTEL,
    id: [6, 26, 3],
    leaves: [0xb, 0x80000008],
    brand: 'Intel Core i7 9xx (Nehalem Class Core i7)',
    features: 'sse4.2 popcnt',
    versions: [
      { alias: 'Nehalem-IBRS', features: 'spec-ctrl', brand: 'Intel Core i7 9xx (Nehalem Core i7, IBRS update)' },
    ],
  },
  {
    name: 'Westmere',
    from: 'Nehalem',
    vendor: INTEL,
    id: [6, 44, 1],
    leaves: [0xb, 0x80000008],
    brand: 'Westmere E56xx/L56xx/X56xx (Nehalem-C)',
    features: 'pclmulqdq aes arat',
    versions: [{ alias: 'Westmere-IBRS', features: 'spec-ctrl', brand: 'Westmere E56xx/L56xx/X56xx (IBRS update)' }],
  },
  {
    name: 'SandyBridge',
    from: 'Westmere',
    vendor: INTEL,
    id: [6, 42, 1],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon E312xx (Sandy Bridge)',
    features: 'x2apic tsc-deadline xsave avx xsaveopt rdtscp',
    versions: [
      { alias: 'SandyBridge-IBRS', features: 'spec-ctrl', brand: 'Intel Xeon E312xx (Sandy Bridge, IBRS update)' },
    ],
  },
  {
    name: 'IvyBridge',
    from: 'SandyBridge',
    vendor: INTEL,
    id: [6, 58, 9],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon E3-12xx v2 (Ivy Bridge)',
    features: 'f16c rdrand fsgsbase smep erms',
    versions: [{ alias: 'IvyBridge-IBRS', features: 'spec-ctrl', brand: 'Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)' }],
  },
  {
    name: 'Haswell',
    from: 'IvyBridge',
    vendor: INTEL,
    id: [6, 60, 4],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Core Processor (Haswell)',
    features: 'fma pcid movbe bmi1 hle avx2 bmi2 invpcid rtm abm',
    versions: [
      {
        alias: 'Haswell-noTSX',
        features: '-hle -rtm',
        id: [6, 60, 1],
        brand: 'Intel Core Processor (Haswell, no TSX)',
      },
      { alias: 'Haswell-IBRS', features: 'spec-ctrl', brand: 'Intel Core Processor (Haswell, IBRS)' },
      {
        alias: 'Haswell-noTSX-IBRS',
        features: 'spec-ctrl -hle -rtm',
        id: [6, 60, 1],
        brand: 'Intel Core Processor (Haswell, no TSX, IBRS)',
      },
    ],
  },
  {
    name: 'Broadwell',
    from: 'Haswell',
    vendor: INTEL,
    id: [6, 61, 2],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Core Processor (Broadwell)',
    features: 'rdseed adx smap 3dnowprefetch',
    versions: [
      { alias: 'Broadwell-noTSX', features: '-hle -rtm', brand: 'Intel Core Processor (Broadwell, no TSX)' },
      { alias: 'Broadwell-IBRS', features: 'spec-ctrl', brand: 'Intel Core Processor (Broadwell, IBRS)' },
      {
        alias: 'Broadwell-noTSX-IBRS',
        features: 'spec-ctrl -hle -rtm',
        brand: 'Intel Core Processor (Broadwell, no TSX, IBRS)',
      },
    ],
  },
  {
    name: 'Skylake-Client',
    from: 'Broadwell',
    vendor: INTEL,
    id: [6, 94, 3],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Core Processor (Skylake)',
    features: 'xsavec xgetbv1',
    versions: [
      { alias: 'Skylake-Client-IBRS', features: 'spec-ctrl', brand: 'Intel Core Processor (Skylake, IBRS)' },
      {
        alias: 'Skylake-Client-noTSX-IBRS',
        features: 'spec-ctrl -hle -rtm',
        brand: 'Intel Core Processor (Skylake, IBRS, no TSX)',
      },
      { features: 'spec-ctrl xsaves -hle -rtm', brand: 'Intel Core Processor (Skylake, IBRS, no TSX)' },
    ],
  },
  {
    name: 'Skylake-Server',
    from: 'Skylake-Client',
    vendor: INTEL,
    id: [6, 85, 4],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon Processor (Skylake)',
    features: 'avx512f avx512dq clflushopt clwb avx512cd avx512bw avx512vl pku pdpe1gb',
    versions: [
      {
        alias: 'Skylake-Server-IBRS',
        features: 'spec-ctrl -clflushopt',
        brand: 'Intel Xeon Processor (Skylake, IBRS)',
      },
      {
        alias: 'Skylake-Server-noTSX-IBRS',
        features: 'spec-ctrl -hle -rtm -clflushopt',
        brand: 'Intel Xeon Processor (Skylake, IBRS, no TSX)',
      },
      { features: 'spec-ctrl -hle -rtm -clflushopt', brand: 'Intel Xeon Processor (Skylake, IBRS, no TSX)' },
      { features: 'spec-ctrl xsaves -hle -rtm -clflushopt', brand: 'Intel Xeon Processor (Skylake, IBRS, no TSX)' },
    ],
  },
  {
    name: 'Cascadelake-Server',
    from: 'Skylake-Server',
    vendor: INTEL,
    id: [6, 85, 6],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon Processor (Cascadelake)',
    features: 'avx512vnni spec-ctrl ssbd',
    versions: [
      { features: 'arch-capabilities' },
      { alias: 'Cascadelake-Server-noTSX', features: 'arch-capabilities -hle -rtm' },
      { features: 'arch-capabilities -hle -rtm' },
      { features: 'arch-capabilities xsaves -hle -rtm' },
    ],
  },
  {
    name: 'Cooperlake',
    from: 'Cascadelake-Server',
    vendor: INTEL,
    id: [6, 85, 10],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon Processor (Cooperlake)',
    features: 'stibp arch-capabilities avx512-bf16',
    versions: [{ features: 'xsaves' }],
  },
  {
    name: 'Icelake-Server',
    from: 'Cascadelake-Server',
    vendor: INTEL,
    id: [6, 134, 0],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon Processor (Icelake)',
    features: 'avx512vbmi umip avx512vbmi2 gfni vaes vpclmulqdq avx512bitalg avx512-vpopcntdq la57 wbnoinvd',
    versions: [
      { alias: 'Icelake-Server-noTSX', features: '-hle -rtm' },
      { features: 'arch-capabilities -hle -rtm' },
      { features: 'avx512ifma sha-ni rdpid fsrm arch-capabilities -hle -rtm', id: [6, 106, 0] },
      { features: 'avx512ifma sha-ni rdpid fsrm arch-capabilities xsaves -hle -rtm', id: [6, 106, 0] },
      { features: 'avx512ifma sha-ni rdpid fsrm arch-capabilities xsaves -hle -rtm', id: [6, 106, 0] },
    ],
  },
  {
    name: 'Denverton',
    from: 'Skylake-Client',
    vendor: INTEL,
    id: [6, 95, 1],
    leaves: [0x15, 0x80000008],
    brand: 'Intel Atom Processor (Denverton)',
    features:
      'monitor mpx clflushopt sha-ni spec-ctrl arch-capabilities ssbd pdpe1gb -fma -pcid -avx -f16c -bmi1 -hle -avx2 -bmi2 -invpcid -rtm -adx -abm',
    versions: [{ features: '-monitor -mpx' }, { features: 'xsaves -monitor -mpx' }],
  },
  {
    name: 'Snowridge',
    from: 'Denverton',
    vendor: INTEL,
    id: [6, 134, 1],
    leaves: [0x1b, 0x80000008],
    brand: 'Intel Atom Processor (SnowRidge)',
    features: 'clwb umip gfni cldemote movdiri movdir64b core-capability',
    versions: [
      { features: '-mpx', brand: 'Intel Atom Processor (Snowridge, no MPX)' },
      { features: 'xsaves -mpx', brand: 'Intel Atom Processor (Snowridge, no MPX)' },
      { features: 'xsaves -mpx -core-capability', brand: 'Intel Atom Processor (Snowridge, no MPX)' },
    ],
  },
  {
    name: 'KnightsMill',
    from: 'Broadwell',
    vendor: INTEL,
    id: [6, 133, 0],
    leaves: [0xd, 0x80000008],
    brand: 'Intel Xeon Phi Processor (Knights Mill)',
    features:
      'ss avx512f avx512pf avx512er avx512cd avx512-vpopcntdq avx512-4vnniw avx512-4fmaps pdpe1gb -pcid -hle -invpcid -rtm -smap',
  },
  {
    name: 'Opteron_G1',
    vendor: AMD,
    id: [15, 6, 1],
    leaves: [5, 0x80000008],
    brand: 'AMD Opteron 240 (Gen 1 Class Opteron)',
    features:
      'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni hypervisor syscall nx lm',
  },
  {
    name: 'Opteron_G2',
    from: 'Opteron_G1',
    vendor: AMD,
    id: [15, 6, 1],
    leaves: [5, 0x8000000a],
    brand: 'AMD Opteron 22xx (Gen 2 Class Opteron)',
    features: 'cx16 lahf-lm svm',
  },
  {
    name: 'Opteron_G3',
    from: 'Opteron_G2',
    vendor: AMD,
    id: [16, 2, 3],
    leaves: [5, 0x8000000a],
    brand: 'AMD Opteron 23xx (Gen 3 Class Opteron)',
    features: 'monitor popcnt rdtscp abm sse4a misalignsse',
  },
  {
    name: 'Opteron_G4',
    from: 'Opteron_G3',
    vendor: AMD,
    id: [21, 1, 2],
    leaves: [0xd, 0x8000001a],
    brand: 'AMD Opteron 62xx class CPU',
    features: 'pclmulqdq ssse3 sse4.1 sse4.2 aes xsave avx pdpe1gb 3dnowprefetch xop fma4 -monitor',
  },
  {
    name: 'Opteron_G5',
    from: 'Opteron_G4',
    vendor: AMD,
    id: [21, 2, 0],
    leaves: [0xd, 0x8000001a],
    brand: 'AMD Opteron 63xx class CPU',
    features: 'fma f16c tbm',
  },
  {
    name: 'EPYC',
    from: 'Opteron_G5',
    vendor: AMD,
    id: [23, 1, 2],
    leaves: [0xd, 0x8000001e],
    brand: 'AMD EPYC Processor',
    features:
      'monitor movbe rdrand fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap clflushopt sha-ni xsaveopt xsavec xgetbv1 arat mmxext fxsr-opt cr8legacy osvw topoext -xop -fma4 -tbm',
    caches: EPYC,
    versions: [
      { alias: 'EPYC-IBPB', features: 'ibpb', brand: 'AMD EPYC Processor (with IBPB)' },
      { features: 'xsaves perfctr-core clzero xsaveerptr ibpb' },
    ],
  },
  {
    name: 'EPYC-Rome',
    from: 'EPYC',
    vendor: AMD,
    id: [23, 49, 0],
    leaves: [0xd, 0x8000001e],
    brand: 'AMD EPYC-Rome Processor',
    features: 'clwb umip rdpid xsaves perfctr-core clzero xsaveerptr wbnoinvd ibpb amd-stibp',
    caches: ROME,
    versions: [{ features: 'ibrs amd-ssbd' }],
  },
  {
    name: 'EPYC-Milan',
    from: 'EPYC-Rome',
    vendor: AMD,
    id: [25, 1, 1],
    leaves: [0xd, 0x8000001e],
    brand: 'AMD EPYC-Milan Processor',
    features: 'pcid erms invpcid pku fsrm ibrs amd-ssbd',
    caches: MILAN,
  },
  {
    name: 'Dhyana',
    from: 'EPYC',
    vendor: HYGON,
    id: [24, 0, 1],
    leaves: [0xd, 0x8000001e],
    brand: 'Hygon Dhyana Processor',
    features: 'ibpb -pclmulqdq -aes -sha-ni',
    caches: EPYC,
    versions: [{ features: 'xsaves' }],
  },
  // Levels of the psABI (x86-64 supplement, §3.1.1 "Processor Architecture"): names of our own.
  {
    name: 'x86-64-v1',
    from: 'qemu64',
    vendor: AMD,
    id: [15, 107, 1],
    leaves: [0xd, 0x80000008],
    description: 'x86-64-v1 of the psABI',
    brand: BRAND,
    features: '-cx16 -lahf-lm -pni',
  },
  {
    name: 'x86-64-v2',
    from: 'qemu64',
    vendor: AMD,
    id: [15, 107, 1],
    leaves: [0xd, 0x80000008],
    description: 'x86-64-v2 of the psABI',
    brand: BRAND,
    features: 'popcnt ssse3 sse4.1 sse4.2',
  },
  {
    name: 'x86-64-v3',
    from: 'x86-64-v2',
    vendor: AMD,
    id: [15, 107, 1],
    leaves: [0xd, 0x80000008],
    description: 'x86-64-v3 of the psABI',
    brand: BRAND,
    features: 'xsave xsaveopt avx avx2 bmi1 bmi2 f16c fma abm movbe',
  },
  {
    name: 'base',
    vendor: '',
    id: [0, 0, 0],
    leaves: [0, 0],
    description: 'No features',
    leaf2: NO_LEAF2,
    caches: NONE,
  },
];
