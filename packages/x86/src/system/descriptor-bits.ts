/**
 * Bits of the second dword of a descriptor, and the system-descriptor types. SDM Vol. 3A §3.4.5 "Segment
 * Descriptors", §3.5 Table 3-2 "System-Segment and Gate-Descriptor Types".
 */
export const DESC_A = 1 << 8;
/** Data: writable. Code: readable. */
export const DESC_RW = 1 << 9;
/** Data: expand-down. */
export const DESC_EXPAND_DOWN = 1 << 10;
/** Code: conforming (the same bit). */
export const DESC_CONFORMING = 1 << 10;
export const DESC_CODE = 1 << 11;
/** 1: code or data; 0: system. */
export const DESC_S = 1 << 12;
export const DESC_DPL_SHIFT = 13;
export const DESC_DPL = 3 << 13;
export const DESC_P = 1 << 15;
export const DESC_AVL = 1 << 20;
export const DESC_L = 1 << 21;
/** D/B: default operand size, stack size, upper bound of expand-down. */
export const DESC_B = 1 << 22;
export const DESC_G = 1 << 23;
export const DESC_TYPE_SHIFT = 8;
export const DESC_TYPE = 15 << 8;
/** Busy bit of a TSS descriptor's type. */
export const DESC_TSS_BUSY = 1 << 9;
/** What a segment cache keeps of the second dword: all but base and limit. */
export const DESC_KEPT = 0x00f0ff00;

/** System types (S = 0). */
export const SYS_TSS16 = 1;
export const SYS_LDT = 2;
export const SYS_TSS16_BUSY = 3;
export const SYS_CALL_GATE16 = 4;
export const SYS_TASK_GATE = 5;
export const SYS_INT_GATE16 = 6;
export const SYS_TRAP_GATE16 = 7;
export const SYS_TSS32 = 9;
export const SYS_TSS32_BUSY = 11;
export const SYS_CALL_GATE32 = 12;
export const SYS_INT_GATE32 = 14;
export const SYS_TRAP_GATE32 = 15;
