/**
 * CPU feature bits: one table of CPUID words, bits and names (QEMU's names, lower case), and the named masks that
 * translator and helpers test. SDM Vol. 2A, CPUID, Tables 3-10 and 3-11; AMD APM Vol. 3, Fn8000_0001.
 * `IMPLEMENTED` says what the translator and helpers really do: a model or option cannot turn on more.
 */

/** The words of feature bits that translation depends on. */
export interface CpuFeatures {
  /** Leaf 1 EDX. */
  readonly edx1: number;
  /** Leaf 1 ECX. */
  readonly ecx1: number;
  /** Leaf 7.0 EBX. */
  readonly ebx7: number;
  /** Leaf 8000_0001 EDX and ECX. */
  readonly edxExt: number;
  readonly ecxExt: number;
}
export type FeatureWord = keyof CpuFeatures;

/** Leaf 1 EDX. */
export const F_FPU = 1 << 0;
export const F_VME = 1 << 1;
export const F_DE = 1 << 2;
export const F_PSE = 1 << 3;
export const F_TSC = 1 << 4;
export const F_MSR = 1 << 5;
export const F_PAE = 1 << 6;
export const F_MCE = 1 << 7;
export const F_CX8 = 1 << 8;
export const F_APIC = 1 << 9;
export const F_SEP = 1 << 11;
export const F_MTRR = 1 << 12;
export const F_PGE = 1 << 13;
export const F_MCA = 1 << 14;
export const F_CMOV = 1 << 15;
export const F_PAT = 1 << 16;
export const F_PSE36 = 1 << 17;
export const F_CLFLUSH = 1 << 19;
export const F_ACPI = 1 << 22;
export const F_MMX = 1 << 23;
export const F_FXSR = 1 << 24;
export const F_SSE = 1 << 25;
export const F_SSE2 = 1 << 26;
export const F_SS = 1 << 27;
/** Leaf 1 ECX. */
export const F_SSE3 = 1 << 0;
export const F_PCLMULQDQ = 1 << 1;
export const F_MONITOR = 1 << 3;
export const F_SSSE3 = 1 << 9;
export const F_CX16 = 1 << 13;
export const F_SSE41 = 1 << 19;
export const F_SSE42 = 1 << 20;
export const F_MOVBE = 1 << 22;
export const F_POPCNT = 1 << 23;
export const F_AES = 1 << 25;
export const F_RDRAND = 1 << 30;
export const F_HYPERVISOR = 0x8000_0000 | 0;
/** Leaf 7.0 EBX. */
export const F_BMI1 = 1 << 3;
export const F_BMI2 = 1 << 8;
export const F_ERMS = 1 << 9;
export const F_RDSEED = 1 << 18;
export const F_ADX = 1 << 19;
/** Leaf 8000_0001 EDX. */
export const F_SYSCALL = 1 << 11;
export const F_NX = 1 << 20;
export const F_RDTSCP = 1 << 27;
export const F_LM = 1 << 29;
export const F_3DNOWEXT = 1 << 30;
export const F_3DNOW = 0x8000_0000 | 0;
/** Leaf 8000_0001 ECX. */
export const F_LAHF_LM = 1 << 0;
export const F_ABM = 1 << 5;
export const F_SSE4A = 1 << 6;
export const F_3DNOWPREFETCH = 1 << 8;

const row = (word: FeatureWord, first: number, names: string): readonly (readonly [FeatureWord, number, string])[] =>
  names.split(' ').flatMap((n, i) => (n === '-' ? [] : [[word, (1 << (first + i)) | 0, n] as const]));

/** Every feature name that `-cpu` accepts: word, mask, name. */
export const FEATURE_NAMES: readonly (readonly [FeatureWord, number, string])[] = [
  ...row(
    'edx1',
    0,
    'fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe',
  ),
  ...row(
    'ecx1',
    0,
    'pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm - pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx f16c rdrand hypervisor',
  ),
  ...row(
    'ebx7',
    0,
    'fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - avx512f avx512dq rdseed adx smap',
  ),
  ...row('edxExt', 11, 'syscall - - - - - - - mp nx - mmxext - - fxsr-opt pdpe1gb rdtscp - lm 3dnowext 3dnow'),
  ...row('ecxExt', 0, 'lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw'),
];

/** Other spellings of the same bits. */
export const FEATURE_ALIASES: Readonly<Record<string, string>> = {
  sse3: 'pni',
  'sse4-1': 'sse4.1',
  'sse4-2': 'sse4.2',
  sse4_1: 'sse4.1',
  sse4_2: 'sse4.2',
  xd: 'nx',
  i64: 'lm',
  pclmuldq: 'pclmulqdq',
  lahf_lm: 'lahf-lm',
  tsc_deadline: 'tsc-deadline',
  tsc_adjust: 'tsc-adjust',
};

/** What this processor implements: the ceiling of every model. */
export const IMPLEMENTED: CpuFeatures = {
  edx1:
    F_FPU |
    F_VME |
    F_DE |
    F_PSE |
    F_TSC |
    F_MSR |
    F_PAE |
    F_MCE |
    F_CX8 |
    F_APIC |
    F_SEP |
    F_MTRR |
    F_PGE |
    F_MCA |
    F_CMOV |
    F_PAT |
    F_PSE36 |
    F_CLFLUSH |
    F_ACPI |
    F_MMX |
    F_FXSR |
    F_SSE |
    F_SSE2 |
    F_SS,
  ecx1: F_SSE3 | F_PCLMULQDQ | F_MONITOR | F_SSSE3 | F_SSE41 | F_SSE42 | F_MOVBE | F_POPCNT | F_AES | F_HYPERVISOR,
  ebx7: F_BMI1 | F_BMI2 | F_ERMS | F_ADX,
  edxExt: F_NX | F_RDTSCP,
  ecxExt: F_ABM | F_3DNOWPREFETCH,
};
