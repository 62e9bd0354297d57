/**
 * Reading the local APIC's registers: no register changes by being read. Writes, which act, are in local-apic.ts.
 * Intel SDM Vol. 3A table "Local APIC Register Address Map".
 */
import type { DeviceClock } from '@emkit/qdev';
import { currentCount } from './apic-timer.ts';
import { type LocalApicState, processorPriority } from './local-apic-state.ts';
import { ApicReg, VERSION } from './registers.ts';
import { isX2apicReadable, logicalX2apicId } from './x2apic.ts';

/** Value of register `reg` (offset / 16); -1 for a reserved one. */
export function readRegister(s: LocalApicState, reg: number, clock: DeviceClock): number {
  if (reg >= ApicReg.ISR && reg < ApicReg.ESR) {
    const words = reg < ApicReg.TMR ? s.isr : reg < ApicReg.IRR ? s.tmr : s.irr;
    return (words[reg & 7] as number) >>> 0;
  }
  if (reg >= ApicReg.LVT_TIMER && reg <= ApicReg.LVT_ERROR) return s.lvt[reg - ApicReg.LVT_TIMER] as number;
  switch (reg) {
    case ApicReg.ID:
      return (s.apicId << 24) >>> 0;
    case ApicReg.VERSION:
      return VERSION;
    case ApicReg.TPR:
      return s.tpr;
    case ApicReg.APR:
    case ApicReg.PPR:
      return processorPriority(s);
    case ApicReg.LDR:
      return s.ldr;
    case ApicReg.DFR:
      return s.dfr;
    case ApicReg.SVR:
      return s.svr;
    case ApicReg.ESR:
      return s.esr;
    case ApicReg.ICR_LOW:
      return s.icrLow;
    case ApicReg.ICR_HIGH:
      return s.icrHigh;
    case ApicReg.TIMER_INITIAL:
      return s.timer.initial;
    case ApicReg.TIMER_CURRENT:
      return currentCount(s.timer, clock.now());
    case ApicReg.TIMER_DIVIDE:
      return s.timer.divide;
    case ApicReg.EOI:
    case ApicReg.RRD:
      return 0;
    default:
      return -1;
  }
}

export function isReadOnly(reg: number): boolean {
  return (
    (reg >= ApicReg.ISR && reg < ApicReg.ESR) ||
    reg === ApicReg.VERSION ||
    reg === ApicReg.APR ||
    reg === ApicReg.PPR ||
    reg === ApicReg.RRD ||
    reg === ApicReg.TIMER_CURRENT
  );
}

/** The same in x2APIC mode, into out[0] and out[1]. `id`: the x2APIC ID. False: there is no such register, or it cannot be read. */
export function readX2apicRegister(
  s: LocalApicState,
  reg: number,
  id: number,
  clock: DeviceClock,
  out: Uint32Array,
): boolean {
  const value = reg === ApicReg.ID ? id : reg === ApicReg.LDR ? logicalX2apicId(id) : readRegister(s, reg, clock);
  if (value < 0 || !isX2apicReadable(reg)) return false;
  out[0] = value;
  out[1] = reg === ApicReg.ICR_LOW ? s.icrHigh : 0;
  return true;
}
