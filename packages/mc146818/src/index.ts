export { CMOS_SIZE, MAX_START_MS, MAX_ZONE_MINUTES } from './limits.ts';
export { MC146818, Mc146818 } from './mc146818.ts';
