export { buildSoftFloatModule } from './module.ts';
export type { SoftFloatOptions } from './module.ts';
export { SOFTFLOAT_FUNCTIONS } from './functions.ts';
export type { SoftFloatFunction } from './functions.ts';
