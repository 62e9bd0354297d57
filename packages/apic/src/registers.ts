/** Registers of the local APIC. Intel SDM Vol. 3A, chapter "APIC", table "Local APIC Register Address Map". */

/** Register number = offset / 16. */
export const ApicReg = {
  ID: 0x02,
  VERSION: 0x03,
  TPR: 0x08,
  APR: 0x09,
  PPR: 0x0a,
  EOI: 0x0b,
  RRD: 0x0c,
  LDR: 0x0d,
  DFR: 0x0e,
  SVR: 0x0f,
  ISR: 0x10,
  TMR: 0x18,
  IRR: 0x20,
  ESR: 0x28,
  ICR_LOW: 0x30,
  ICR_HIGH: 0x31,
  LVT_TIMER: 0x32,
  LVT_THERMAL: 0x33,
  LVT_PERFORMANCE: 0x34,
  LVT_LINT0: 0x35,
  LVT_LINT1: 0x36,
  LVT_ERROR: 0x37,
  TIMER_INITIAL: 0x38,
  TIMER_CURRENT: 0x39,
  TIMER_DIVIDE: 0x3e,
  /** x2APIC mode only. */
  SELF_IPI: 0x3f,
} as const;

/** Places in the array of local vector table entries. */
export const Lvt = { TIMER: 0, THERMAL: 1, PERFORMANCE: 2, LINT0: 3, LINT1: 4, ERROR: 5 } as const;
export const LVT_COUNT = 6;

export const LVT_MASKED = 1 << 16;
/** Timer mode, bits 18-17: 00 one-shot, 01 periodic, 10 TSC-deadline (where the processor has it). */
export const LVT_PERIODIC = 1 << 17;
export const LVT_TSC_DEADLINE = 1 << 18;
export const LVT_LEVEL = 1 << 15;
export const LVT_REMOTE_IRR = 1 << 14;
export const LVT_DELIVERY_STATUS = 1 << 12;
/** Bits that software may write, by entry; delivery status and remote IRR are read-only. */
const LVT_WRITABLE: readonly number[] = [0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];
export const lvtWritable = (hasTscDeadline: boolean): readonly number[] =>
  hasTscDeadline ? LVT_WRITABLE.map((bits, n) => (n === Lvt.TIMER ? bits | LVT_TSC_DEADLINE : bits)) : LVT_WRITABLE;

/** Integrated APIC, 6 entries. */
export const VERSION = 0x14 | ((LVT_COUNT - 1) << 16);

export const SVR_ENABLE = 1 << 8;
export const SVR_MASK = 0x3ff;

export const ESR_SEND_ILLEGAL = 1 << 5;
export const ESR_RECEIVE_ILLEGAL = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;
/** Vectors 0 to 15 are illegal. */
export const FIRST_VECTOR = 16;

/** Bits 10-8 of LVT entries, ICR and redirection entries. */
export const DeliveryMode = { FIXED: 0, LOWEST: 1, SMI: 2, NMI: 4, INIT: 5, STARTUP: 6, EXTINT: 7 } as const;

export const ICR_LOGICAL = 1 << 11;
export const ICR_ASSERT = 1 << 14;
export const ICR_LEVEL = 1 << 15;
export const ICR_SHORTHAND_SHIFT = 18;
export const Shorthand = { NONE: 0, SELF: 1, ALL: 2, OTHERS: 3 } as const;
export const ICR_LOW_MASK = 0xccfff;

/** IA32_APIC_BASE. */
export const BASE_BSP = 1 << 8;
/** EXTD: x2APIC mode, together with BASE_ENABLE. */
export const BASE_X2APIC = 1 << 10;
export const BASE_ENABLE = 1 << 11;
export const DEFAULT_BASE = 0xfee00000;
