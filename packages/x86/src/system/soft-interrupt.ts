/** INT n, INT3, INTO, INT1 as instructions. A fault on the way in restarts the instruction (EXT = 0; 1 for INT1). */
import type { X86Cpu } from '../cpu.ts';
import { ENV } from '../state.ts';
import { EVENT_INT1, EVENT_INT3, EVENT_INT_N, enterEvent } from './interrupt.ts';

const KINDS = [EVENT_INT_N, EVENT_INT3, EVENT_INT3, EVENT_INT1];

/** kind: 0 INT n, 1 INT3, 2 INTO (taken), 3 INT1. */
export function softInterrupt(cpu: X86Cpu, vector: number, nextEip: number, kind: number): number {
  cpu.ext = kind === 3 ? 1 : 0;
  enterEvent(cpu, vector & 0xff, KINDS[kind & 3], -1, nextEip >>> 0);
  cpu.ext = 0;
  if (cpu.e32[ENV.PENDING_DR6 >> 2] !== 0) cpu.deliverPendingTrap();
  return 0;
}
