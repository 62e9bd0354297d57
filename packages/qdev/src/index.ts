export { Bus, IsaBus, SystemBus } from './bus.ts';
export type { IsaBusOptions } from './bus.ts';
export { createDevice, defineDevice, Device, DeviceError } from './device.ts';
export type { AnyDeviceType, BusType, CreateDeviceOptions, DeviceInit, DeviceType } from './device.ts';
export { NO_TRACE } from './env.ts';
export type { DeviceClock, DeviceEnv, DeviceTimer, HostClock, SystemRequests, TraceSink } from './env.ts';
export { invertIrq, Irq, orIrqs, splitIrq } from './irq.ts';
export type { IrqHandler } from './irq.ts';
export type { IsaDma, IsaDmaHandler } from './isa-dma.ts';
export { checkProperty, formatProperty, parseProperty, property, PropertyError } from './property.ts';
export type { LinkResolver, PropertySpec, PropertySpecs, PropertyType, PropertyValues } from './property.ts';
export { formatQtree } from './qtree.ts';
export { DeviceRegistry, formatDeviceHelp } from './registry.ts';
export { StateError } from './state-bytes.ts';
export {
  loadSections,
  loadState,
  MAX_STATE_BYTES,
  MAX_STATE_SECTIONS,
  saveSections,
  saveState,
} from './state-stream.ts';
export type { StateSection } from './state-stream.ts';
export { defineVmState, field, MAX_FIELD_COUNT } from './vmstate.ts';
export type {
  Decoded,
  FieldKind,
  FieldLimits,
  ScalarKind,
  VmField,
  VmState,
  VmStateInit,
  VmSubsection,
} from './vmstate.ts';
