/**
 * A waiting x87 instruction found an unmasked exception pending. CR0.NE = 1: #MF. NE = 0: the FERR# pin goes up, and
 * the instruction waits for the interrupt that a PC makes of it (IRQ 13). SDM Vol. 3A §2.5 (NE), Vol. 1 Appendix D.
 */
import type { X86Cpu } from '../cpu.ts';
import { EXC } from '../state.ts';
import { CR0_NE } from './cr-bits.ts';

/** Leaves EIP at the instruction, which is tried again; the block exits and looks for interrupts. */
export function fpuFerr(cpu: X86Cpu): number {
  if ((cpu.cr(0) & CR0_NE) !== 0) cpu.raise(EXC.MF);
  cpu.host.ferr?.(true);
  cpu.eip = cpu.currentEip();
  return 0;
}
