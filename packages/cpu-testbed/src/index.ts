export { CpuBench, SYSTEM_BASE } from './cpu-bench.ts';
export type { CpuBenchOptions, StopInfo } from './cpu-bench.ts';
export { LongBench } from './long-bench.ts';
