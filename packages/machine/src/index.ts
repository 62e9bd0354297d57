export { createSpaces, Machine, MachineError } from './machine.ts';
export type { MachineExit, MachineOptions, MachineStatus, Vcpu } from './machine.ts';
