/**
 * The way into the page-fault handler as a block of IR of its own, for the accelerator to deliver faults without script: what
 * system/exception.ts does for the faults that its page walker finds. CR2, the error code and RIP are in env. SDM Vol. 3A §6.15 "Interrupt 14".
 */
import type { IrBuilder, Optimisations } from '@emkit/ir';
import { ENV, EXC, HF_CPL, HF_DEBUG, HF_INHIBIT_IRQ, HF_LMA, HF_PE, HF_RF, HF_TF, HF_VM } from '../state.ts';
import { SEGMENT_BITS } from '../system/hflags.ts';
import { quickFault32 } from './quick-interrupt-32.ts';
import { quickFault64 } from './quick-interrupt-64.ts';
import { Translator } from './translator.ts';

/** Block flags that the block depends on; the others go through it. */
const DEPENDS_ON = HF_CPL | HF_PE | HF_VM | HF_LMA | HF_TF | HF_RF | HF_INHIBIT_IRQ | HF_DEBUG | SEGMENT_BITS;

/** Offsets in env: CR2 is where the address goes. */
export const FAULT_ENTRY = { flags: DEPENDS_ON, address: ENV.CR + 16, error: ENV.EXCEPTION_ERROR } as const;

/** False: under these flags all faults are the exact form's. */
export function translateFaultEntry(
  b: IrBuilder,
  flags: number,
  features: Uint8Array,
  optimisations: Optimisations,
): boolean {
  const t = new Translator(b);
  t.begin({ flags, csBase: 0, entryCcOp: -1, hot: true, movable: false, optimisations }, features);
  b.insnStart(0);
  return quickFault64(t, EXC.PF) || quickFault32(t, EXC.PF);
}
