/**
 * State of the local APIC, its reset, and the rules that need nothing but the state: priorities and destinations.
 * Intel SDM Vol. 3A, chapter "APIC": "Local APIC State After Power-Up or Reset", "Determining IPI Destination",
 * "Task and Processor Priorities".
 */
import { defineVmState, type DeviceTimer, field } from '@emkit/qdev';
import type { ApicTimerState } from './apic-timer.ts';
import {
  BASE_BSP,
  BASE_ENABLE,
  BASE_X2APIC,
  DEFAULT_BASE,
  DeliveryMode,
  ICR_LOW_MASK,
  Lvt,
  LVT_COUNT,
  LVT_MASKED,
  SVR_ENABLE,
  SVR_MASK,
} from './registers.ts';
import { highestVector } from './vector-set.ts';

export const RESET_BASE = (DEFAULT_BASE | BASE_ENABLE | BASE_BSP) >>> 0;

export interface LocalApicState {
  base: number;
  apicId: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  isr: Uint32Array;
  tmr: Uint32Array;
  irr: Uint32Array;
  esr: number;
  /** Errors since ESR was last written. */
  errors: number;
  icrLow: number;
  icrHigh: number;
  lvt: Uint32Array;
  /** Levels of LINT0 and LINT1. */
  lint: number;
  /** An ExtINT message from an I/O APIC waits. */
  extInt: boolean;
  timer: ApicTimerState;
}

export const LOCAL_APIC_VMSTATE = defineVmState<LocalApicState>({
  name: 'apic',
  // 2: IA32_APIC_BASE may say x2APIC mode, the timer's entry TSC-deadline mode
  version: 2,
  fields: [
    field.u32('base'),
    field.u8('apicId'),
    field.u8('tpr'),
    field.u32('ldr'),
    field.u32('dfr'),
    field.u32('svr', { max: SVR_MASK }),
    field.array('isr', 'u32', 8),
    field.array('tmr', 'u32', 8),
    field.array('irr', 'u32', 8),
    field.u8('esr'),
    field.u8('errors'),
    field.u32('icrLow', { max: ICR_LOW_MASK }),
    field.u32('icrHigh'),
    field.array('lvt', 'u32', LVT_COUNT, { max: 0x7ffff }),
    field.u8('lint', { max: 3 }),
    field.bool('extInt'),
    field.struct('timer', [
      field.u32('initial'),
      field.u8('divide', { max: 0xb }),
      field.i64('start', { min: -(2 ** 52), max: 2 ** 52 }),
      field.bool('isPeriodic'),
      field.timer('deadline'),
    ]),
  ],
  check: (s) =>
    (s.base & (BASE_X2APIC | BASE_ENABLE)) === BASE_X2APIC ? 'x2APIC mode of an APIC that is turned off' : null,
});

export function makeLocalApic(deadline: DeviceTimer): LocalApicState {
  return {
    base: RESET_BASE,
    apicId: 0,
    tpr: 0,
    ldr: 0,
    dfr: 0xffffffff,
    svr: 0xff,
    isr: new Uint32Array(8),
    tmr: new Uint32Array(8),
    irr: new Uint32Array(8),
    esr: 0,
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
    lvt: new Uint32Array(LVT_COUNT),
    lint: 0,
    extInt: false,
    timer: { initial: 0, divide: 0, start: 0, isPeriodic: false, deadline },
  };
}

/** All registers but IA32_APIC_BASE; the levels of LINT0 and LINT1 belong to others. */
export function resetLocalApic(s: LocalApicState, id: number, isVirtualWire: boolean): void {
  s.apicId = id;
  s.tpr = s.ldr = s.esr = s.errors = s.icrLow = s.icrHigh = 0;
  s.dfr = 0xffffffff;
  s.svr = 0xff;
  s.extInt = false;
  s.isr.fill(0);
  s.tmr.fill(0);
  s.irr.fill(0);
  s.lvt.fill(LVT_MASKED);
  if (isVirtualWire) s.lvt[Lvt.LINT0] = DeliveryMode.EXTINT << 8;
  s.timer.initial = s.timer.divide = s.timer.start = 0;
  s.timer.isPeriodic = false;
  s.timer.deadline.del();
}

/** IA32_APIC_BASE bit 11. */
export function isHardwareEnabled(s: LocalApicState): boolean {
  return (s.base & BASE_ENABLE) !== 0;
}

/** PPR: the higher class of task priority and vector in service. */
export function processorPriority({ tpr, isr }: LocalApicState): number {
  const serving = Math.max(highestVector(isr), 0) & 0xf0;
  return (tpr & 0xf0) >= serving ? tpr : serving;
}

/** The highest requested vector above the processor's priority, or -1. */
export function deliverableVector(s: LocalApicState): number {
  if ((s.svr & SVR_ENABLE) === 0) return -1;
  const vector = highestVector(s.irr);
  return vector >= 0 && vector >> 4 > processorPriority(s) >> 4 ? vector : -1;
}

/** Physical, flat or cluster model. */
export function isDestination(s: LocalApicState, destination: number, isLogical: boolean): boolean {
  if (destination === 0xff) return true;
  if (!isLogical) return destination === s.apicId;
  const logicalId = s.ldr >>> 24;
  if (s.dfr >>> 28 === 0xf) return (destination & logicalId) !== 0;
  return (destination & 0xf0) === (logicalId & 0xf0) && (destination & logicalId & 0x0f) !== 0;
}
