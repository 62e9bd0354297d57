/** Registers and bits of the MC146818A. Motorola data sheet (ADI856R2), figures 12 to 16; century byte as on the PC. */

export const Reg = {
  SECONDS: 0,
  SECONDS_ALARM: 1,
  MINUTES: 2,
  MINUTES_ALARM: 3,
  HOURS: 4,
  HOURS_ALARM: 5,
  WEEKDAY: 6,
  DAY: 7,
  MONTH: 8,
  YEAR: 9,
  A: 10,
  B: 11,
  C: 12,
  D: 13,
  CENTURY: 0x32,
} as const;

export const A_UIP = 1 << 7;
export const A_DIVIDER_MASK = 0x70;
/** 32.768 kHz time base, running. */
export const A_DIVIDER_RUN = 0x20;
export const A_RATE_MASK = 0x0f;

export const B_SET = 1 << 7;
export const B_PIE = 1 << 6;
export const B_AIE = 1 << 5;
export const B_UIE = 1 << 4;
export const B_SQWE = 1 << 3;
export const B_DM_BINARY = 1 << 2;
export const B_24H = 1 << 1;
export const B_DSE = 1 << 0;

export const C_IRQF = 1 << 7;
export const C_PF = 1 << 6;
export const C_AF = 1 << 5;
export const C_UF = 1 << 4;
export const C_SOURCES = C_PF | C_AF | C_UF;

export const D_VRT = 1 << 7;

/** Top bits that make an alarm byte match anything. */
export const ALARM_ANY = 0xc0;
export const HOURS_PM = 1 << 7;
