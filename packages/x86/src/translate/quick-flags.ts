/**
 * POPF as hot IR where it changes no block flag: at level 0, and outside where IF is not the program's. What system/flag-control.ts
 * does; see quick-descriptors.ts. Setting IF while an interrupt waits is the exact form's. SDM Vol. 2B "POPF" Table 4-16.
 */
import type { Value } from '@emkit/ir';
import {
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_TF,
  G,
  HF_IOPL_OK,
} from '../state.ts';
import { bail, bailIfOverrideEnds, quickMode } from './quick-descriptors.ts';
import type { Translator } from './translator.ts';

/** `size`: log2 of the operand's bytes; `value`: its low 32 bits at most. The caller moves the stack pointer. */
export function quickPopf(t: Translator, value: Value, size: number): boolean {
  const { b } = t;
  if ((t.cpl !== 0 && (t.flags & HF_IOPL_OK) !== 0) || !quickMode(t, 'segment-loads', true)) return false;
  let mask = FLAG_DF | FLAG_NT;
  if (size !== 1) mask |= FLAG_AC | FLAG_ID;
  if (t.cpl === 0) mask |= FLAG_IF | FLAG_IOPL;
  const old = b.get(G.EFLAGS);
  bail(t, b.and(value, b.i32(FLAG_TF)));
  const eflags = b.or(b.or(b.and(old, b.i32(~(mask | FLAGS_ARITH))), b.and(value, b.i32(mask))), b.i32(2));
  // at level 3 EFLAGS.AC may be a block flag
  if (t.cpl !== 0) bail(t, b.and(b.xor(old, eflags), b.i32(FLAG_AC)));
  else {
    bailIfOverrideEnds(t, old, eflags);
    b.bailIf(b.and(value, b.i32(FLAG_IF)), true);
  }
  t.setEflags(b.and(value, b.i32(FLAGS_ARITH)));
  b.set(G.EFLAGS, eflags);
  return true;
}
