/**
 * CPU feature bits: one table of CPUID words, bits and names (QEMU's names, lower case), and the named masks that
 * translator and helpers test. SDM Vol. 2A, CPUID, Tables 3-10 and 3-11; AMD APM Vol. 3, Fn8000_0001 to 8000_0008.
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
  /** Leaf 7.0 ECX and EDX. */
  readonly ecx7: number;
  readonly edx7: number;
  /** Leaf 7.1 EAX. */
  readonly eax71: number;
  /** Leaf 0DH.1 EAX: the XSAVE instructions. */
  readonly eaxD1: number;
  /** Leaf 6 EAX: thermal and power management. */
  readonly eax6: number;
  /** Leaf 8000_0001 EDX and ECX. */
  readonly edxExt: number;
  readonly ecxExt: number;
  /** Leaf 8000_0007 EDX and 8000_0008 EBX. */
  readonly edxExt7: number;
  readonly ebxExt8: number;
}
export type FeatureWord = keyof CpuFeatures;

/** All words, in the order of their leaves, and where CPUID shows them: leaf, register, subleaf. For lists and messages. */
export const FEATURE_WORDS: Readonly<Record<FeatureWord, readonly [leaf: number, register: string, subleaf: number]>> =
  {
    edx1: [1, 'EDX', 0],
    ecx1: [1, 'ECX', 0],
    eax6: [6, 'EAX', 0],
    ebx7: [7, 'EBX', 0],
    ecx7: [7, 'ECX', 0],
    edx7: [7, 'EDX', 0],
    eax71: [7, 'EAX', 1],
    eaxD1: [0xd, 'EAX', 1],
    edxExt: [0x80000001, 'EDX', 0],
    ecxExt: [0x80000001, 'ECX', 0],
    edxExt7: [0x80000007, 'EDX', 0],
    ebxExt8: [0x80000008, 'EBX', 0],
  };
export const FEATURE_WORD_NAMES = Object.keys(FEATURE_WORDS) as readonly FeatureWord[];

/** Every word from a partial list; absent ones are 0. */
export function features(words: Partial<CpuFeatures>): CpuFeatures {
  return Object.fromEntries(FEATURE_WORD_NAMES.map((w) => [w, words[w] ?? 0])) as unknown as CpuFeatures;
}

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
export const F_HT = 1 << 28;
/** Leaf 1 ECX. */
export const F_SSE3 = 1 << 0;
export const F_PCLMULQDQ = 1 << 1;
export const F_MONITOR = 1 << 3;
export const F_SSSE3 = 1 << 9;
export const F_FMA = 1 << 12;
export const F_CX16 = 1 << 13;
export const F_PCID = 1 << 17;
export const F_SSE41 = 1 << 19;
export const F_SSE42 = 1 << 20;
export const F_X2APIC = 1 << 21;
export const F_MOVBE = 1 << 22;
export const F_POPCNT = 1 << 23;
export const F_TSC_DEADLINE = 1 << 24;
export const F_AES = 1 << 25;
export const F_XSAVE = 1 << 26;
/** Not of a model: CPUID shows CR4.OSXSAVE here. */
export const F_OSXSAVE = 1 << 27;
export const F_AVX = 1 << 28;
export const F_F16C = 1 << 29;
export const F_RDRAND = 1 << 30;
export const F_HYPERVISOR = 0x8000_0000 | 0;
/** Leaf 7.0 EBX. */
export const F_FSGSBASE = 1 << 0;
export const F_TSC_ADJUST = 1 << 1;
export const F_BMI1 = 1 << 3;
export const F_AVX2 = 1 << 5;
export const F_SMEP = 1 << 7;
export const F_BMI2 = 1 << 8;
export const F_ERMS = 1 << 9;
export const F_INVPCID = 1 << 10;
export const F_RDSEED = 1 << 18;
export const F_ADX = 1 << 19;
export const F_SMAP = 1 << 20;
export const F_CLFLUSHOPT = 1 << 23;
export const F_CLWB = 1 << 24;
export const F_SHA = 1 << 29;
/** Leaf 7.0 ECX. */
export const F_UMIP = 1 << 2;
export const F_PKU = 1 << 3;
/** Not of a model: CPUID shows CR4.PKE here. */
export const F_OSPKE = 1 << 4;
export const F_VAES = 1 << 9;
export const F_VPCLMULQDQ = 1 << 10;
export const F_LA57 = 1 << 16;
export const F_RDPID = 1 << 22;
/** Leaf 7.0 EDX. */
export const F_FSRM = 1 << 4;
/** Leaf 0DH.1 EAX. */
export const F_XSAVEOPT = 1 << 0;
export const F_XSAVEC = 1 << 1;
export const F_XGETBV1 = 1 << 2;
export const F_XSAVES = 1 << 3;
/** Leaf 6 EAX: the APIC timer runs in all power states. */
export const F_ARAT = 1 << 2;
/** Leaf 8000_0001 EDX. */
export const F_SYSCALL = 1 << 11;
export const F_NX = 1 << 20;
export const F_MMXEXT = 1 << 22;
export const F_FXSR_OPT = 1 << 25;
export const F_PDPE1GB = 1 << 26;
export const F_RDTSCP = 1 << 27;
export const F_LM = 1 << 29;
export const F_3DNOWEXT = 1 << 30;
export const F_3DNOW = 0x8000_0000 | 0;
/** Leaf 8000_0001 ECX. */
export const F_LAHF_LM = 1 << 0;
export const F_CR8LEGACY = 1 << 4;
export const F_ABM = 1 << 5;
export const F_SSE4A = 1 << 6;
export const F_MISALIGNSSE = 1 << 7;
export const F_3DNOWPREFETCH = 1 << 8;
/** Leaf 8000_0007 EDX. */
export const F_INVTSC = 1 << 8;
/** Leaf 8000_0008 EBX. */
export const F_CLZERO = 1 << 0;
export const F_WBNOINVD = 1 << 9;

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
    'fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl',
  ),
  ...row(
    'ecx7',
    1,
    'avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni avx512bitalg - avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri movdir64b - sgxlc pks',
  ),
  ...row(
    'edx7',
    2,
    'avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - serialize - tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp - arch-capabilities core-capability ssbd',
  ),
  ...row('eax71', 4, 'avx-vnni avx512-bf16'),
  ...row('eaxD1', 0, 'xsaveopt xsavec xgetbv1 xsaves xfd'),
  ...row('eax6', 2, 'arat'),
  ...row('edxExt', 11, 'syscall - - - - - - - mp nx - mmxext - - fxsr-opt pdpe1gb rdtscp - lm 3dnowext 3dnow'),
  ...row(
    'ecxExt',
    0,
    'lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid-msr - tbm topoext perfctr-core perfctr-nb',
  ),
  ...row('edxExt7', 8, 'invtsc'),
  ...row(
    'ebxExt8',
    0,
    'clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - - - - - - amd-ssbd virt-ssbd amd-no-ssb',
  ),
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

const bits = (...masks: number[]): number => masks.reduce((a, m) => a | m, 0);

/** What this processor implements: the ceiling of every model. */
export const IMPLEMENTED: CpuFeatures = features({
  edx1: bits(
    F_FPU,
    F_VME,
    F_DE,
    F_PSE,
    F_TSC,
    F_MSR,
    F_PAE,
    F_MCE,
    F_CX8,
    F_APIC,
    F_SEP,
    F_MTRR,
    F_PGE,
    F_MCA,
    F_CMOV,
    F_PAT,
    F_PSE36,
    F_CLFLUSH,
    F_ACPI,
    F_MMX,
    F_FXSR,
    F_SSE,
    F_SSE2,
    F_SS,
  ),
  ecx1: bits(
    F_SSE3,
    F_PCLMULQDQ,
    F_MONITOR,
    F_PCID,
    F_SSSE3,
    F_FMA,
    F_CX16,
    F_SSE41,
    F_SSE42,
    F_X2APIC,
    F_MOVBE,
    F_POPCNT,
    F_TSC_DEADLINE,
    F_AES,
    F_XSAVE,
    F_AVX,
    F_F16C,
    F_RDRAND,
    F_HYPERVISOR,
  ),
  eax6: F_ARAT,
  ebx7: bits(
    F_FSGSBASE,
    F_TSC_ADJUST,
    F_BMI1,
    F_AVX2,
    F_SMEP,
    F_BMI2,
    F_ERMS,
    F_INVPCID,
    F_RDSEED,
    F_ADX,
    F_SMAP,
    F_CLFLUSHOPT,
    F_CLWB,
    F_SHA,
  ),
  ecx7: bits(F_UMIP, F_PKU, F_VAES, F_VPCLMULQDQ, F_LA57, F_RDPID),
  edx7: 0,
  eaxD1: bits(F_XSAVEOPT, F_XSAVEC, F_XGETBV1, F_XSAVES),
  edxExt: bits(F_SYSCALL, F_NX, F_PDPE1GB, F_RDTSCP, F_LM),
  ecxExt: bits(F_LAHF_LM, F_ABM, F_3DNOWPREFETCH),
  edxExt7: F_INVTSC,
  ebxExt8: 0,
});
