/** Bits of the x87 status and control words, and how HFLAGS follows from them. SDM Vol. 1 §8.1.3, §8.1.5. */
import { HF_FPU_ES, HF_FPU_UNMASKED } from '../state.ts';

/** Exception flags of FSW; the masks of FCW have the same positions. */
export const X87_IE = 1;
export const X87_DE = 2;
export const X87_ZE = 4;
export const X87_OE = 8;
export const X87_UE = 16;
export const X87_FLAGS = 0x3f;
/** Stack fault. */
export const FSW_SF = 0x40;
/** Error summary, and its copy B. */
export const FSW_ES = 0x80;
export const FSW_B = 0x8000;
export const FSW_C0 = 0x100;
export const FSW_C1 = 0x200;
export const FSW_C2 = 0x400;
export const FSW_C3 = 0x4000;
/** All four. */
export const FSW_CC = 0x4700;
/** C0 C2 C3: the outcome "unordered". */
export const FSW_UNORDERED = 0x4500;
export const FSW_TOP = 0x3800;
export const FSW_TOP_SHIFT = 11;

/** FCW bits that can be written; bit 6 reads as one. */
export const FCW_WRITABLE = 0x1f3f;
export const FCW_ONE = 0x40;
export const FCW_INIT = 0x37f;

/** What a masked stack fault gives: underflow clears C1, overflow sets it. SDM Vol. 1 §8.5.1.1. */
export const STACK_UNDERFLOW = X87_IE | FSW_SF;
export const STACK_OVERFLOW = X87_IE | FSW_SF | FSW_C1;

/** FSW (without TOP) with ES and B as its flags and the masks say. */
export function withErrorSummary(fsw: number, fcw: number): number {
  return (fsw & ~fcw & X87_FLAGS) !== 0 ? fsw | FSW_ES | FSW_B : fsw & ~(FSW_ES | FSW_B);
}
export function withX87Flags(hflags: number, fsw: number, fcw: number): number {
  let h = hflags & ~(HF_FPU_ES | HF_FPU_UNMASKED);
  if ((fsw & FSW_ES) !== 0) h |= HF_FPU_ES;
  if ((fcw & X87_FLAGS) !== X87_FLAGS) h |= HF_FPU_UNMASKED;
  return h;
}

/** What the script helper `x87_commit` is to finish: fields of its descriptor argument. */
export const COMMIT_REG = 0; // result to register DST, then pops
export const COMMIT_PUSH = 1;
export const COMMIT_TWO = 2; // first result to ST(0), second pushed; C2: nothing
export const COMMIT_COMPARE = 3;
export const COMMIT_COMI = 4;
export const COMMIT_STORE = 5;
export const COMMIT_XCHG = 6;
export const COMMIT_PREM = 7; // as REG, C0-C3 from the flags
export const COMMIT_TRIG = 8; // as REG, C2: nothing
export const COMMIT_MOVE = 9; // as REG, C1 stays unless the stack faults
export const DST_SHIFT = 4;
export const POPS_SHIFT = 7;
export const SIZE_SHIFT = 9;
export const FOP_SHIFT = 13;
export const SEGMENT_SHIFT = 24;
export const NO_SEGMENT = 7;
