export { FPU_HELPERS } from './fpu-helpers.ts';
