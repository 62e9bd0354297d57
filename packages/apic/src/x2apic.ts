/**
 * x2APIC mode: which registers there are as MSRs, which bits of them software may set, and destinations of 32 bits. What the
 * registers do is in local-apic.ts. SDM Vol. 3A §11.12 "Extended XAPIC (x2APIC)", Table 11-6 "Local APIC Register Address Map
 * Supported by x2APIC", §11.12.10 "Determining IPI Destination in x2APIC Mode".
 */
import { ApicReg, BASE_ENABLE, BASE_X2APIC, Lvt, LVT_DELIVERY_STATUS, LVT_REMOTE_IRR, SVR_MASK } from './registers.ts';

/** First and last MSR; register number = MSR - first. */
export const X2APIC_MSR = 0x800;
export const X2APIC_MSR_END = 0x8ff;
export const X2APIC_BROADCAST = 0xffffffff;

/**
 * ICR: bits 31:20, 17:16 and 13 are reserved. Bit 12, which is the delivery status in xAPIC mode, does not exist either, but is
 * let through and reads 0: so software may write back what it has read in the other mode.
 */
const ICR_SETTABLE = 0x000cdfff;

const SETTABLE: ReadonlyMap<number, number> = new Map([
  [ApicReg.TPR, 0xff],
  [ApicReg.EOI, 0],
  [ApicReg.SVR, SVR_MASK],
  [ApicReg.ESR, 0],
  [ApicReg.ICR_LOW, ICR_SETTABLE],
  [ApicReg.TIMER_INITIAL, 0xffffffff],
  [ApicReg.TIMER_DIVIDE, 0xb],
  [ApicReg.SELF_IPI, 0xff],
]);

/** Registers of xAPIC mode that are gone, and those that cannot be read. */
const NOT_READABLE: ReadonlySet<number> = new Set([
  ApicReg.APR,
  ApicReg.EOI,
  ApicReg.RRD,
  ApicReg.DFR,
  ApicReg.ICR_HIGH,
  ApicReg.SELF_IPI,
]);

export const isX2apicReadable = (reg: number): boolean => !NOT_READABLE.has(reg);

/** May `low` be written to this register? `lvtWritable`: what local vector table entries hold. Reserved bits and read-only registers: no. */
export function isX2apicWrite(reg: number, low: number, high: number, lvtWritable: readonly number[]): boolean {
  if (high !== 0 && reg !== ApicReg.ICR_LOW) return false;
  let settable = SETTABLE.get(reg);
  if (reg >= ApicReg.LVT_TIMER && reg <= ApicReg.LVT_ERROR) {
    const index = reg - ApicReg.LVT_TIMER;
    const isLint = index === Lvt.LINT0 || index === Lvt.LINT1;
    // read-only, but not reserved
    settable = (lvtWritable[index] as number) | LVT_DELIVERY_STATUS | (isLint ? LVT_REMOTE_IRR : 0);
  }
  return settable !== undefined && (low & ~settable) === 0;
}

/** Cluster in bits 31-16, one of its 16 bits below: derived from the ID, not written. §11.12.10.2. */
export function logicalX2apicId(id: number): number {
  return ((((id >>> 4) & 0xffff) << 16) | (1 << (id & 15))) >>> 0;
}

export function isX2apicDestination(id: number, destination: number, isLogical: boolean): boolean {
  if (destination === X2APIC_BROADCAST) return true;
  if (!isLogical) return destination === id;
  const logicalId = logicalX2apicId(id);
  return destination >>> 16 === logicalId >>> 16 && (destination & logicalId & 0xffff) !== 0;
}

/** Off, xAPIC or x2APIC: the bits of IA32_APIC_BASE. */
const modeOf = (base: number): number => base & (BASE_ENABLE | BASE_X2APIC);

/**
 * §11.12.5 "x2APIC State Transitions": into x2APIC mode from xAPIC mode only, out of it to off only, and EXTD never without EN.
 */
export function isTransition(from: number, to: number): boolean {
  const next = modeOf(to);
  if (next === modeOf(from) || next === 0) return true;
  if (next === BASE_X2APIC) return false;
  return (modeOf(from) & BASE_X2APIC) === 0 && (next === BASE_ENABLE || modeOf(from) === BASE_ENABLE);
}
