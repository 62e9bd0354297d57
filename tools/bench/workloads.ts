/** The workloads of the benchmark guest by group. The groups are fixed: numbers of different times are compared by them. */
const INTEGER = ['sieve', 'collatz', 'muldiv', 'alu64', 'sha256', 'crc32', 'fib', 'chase', 'vm', 'icall'] as const;

export const GROUPS = {
  integer: INTEGER,
  compute: [...INTEGER, 'memcpy', 'x87', 'sse2', 'simd'],
  system: ['paging', 'pgfault', 'portio', 'syscall', 'syscall64'],
} as const;

export type GroupName = keyof typeof GROUPS;
/** In the order of the summary lines. */
export const GROUP_NAMES: readonly GroupName[] = ['compute', 'integer', 'system'];

/** Reported singly: single mechanisms, in which emulators differ by orders of magnitude. */
const SINGLE = ['repmov', 'smc', 'smcdata', 'jitgen', 'pit'];

/** Sleeps by HLT until a timer's interrupts: all take the same time, and only the CPU time tells them apart. */
export const IDLE_WORKLOAD = 'pit';

export const ALL_WORKLOADS: readonly string[] = [...GROUPS.compute, ...GROUPS.system, ...SINGLE];
