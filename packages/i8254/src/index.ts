export { I8254, ISA_PIT } from './i8254.ts';
export { MIN_EDGE_NS, PIT_HZ } from './limits.ts';
export { nsToTicks, ticksToNs } from './ticks.ts';
