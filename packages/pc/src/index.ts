export { createPc } from './create-pc.ts';
export type { Pc, PcExit } from './create-pc.ts';
export type { Board } from './board.ts';
export { MAX_MEMORY, PcError } from './options.ts';
export type { DeviceOption, IcountOptions, LogOptions, PcOptions, RtcOptions, SerialBackend } from './options.ts';
export { USER_DEVICES } from './user-devices.ts';
export { cpuFeatures, cpuModels } from './cpu-lists.ts';
export { formatCpu } from './format-cpu.ts';
