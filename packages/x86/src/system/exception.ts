/**
 * Delivery of exceptions, traps and external interrupts at env.EIP, with nested faults: benign, contributory, page
 * fault; double fault; triple fault -> shutdown. SDM Vol. 3A §6.15 "Exception and Interrupt Reference", Tables 6-4
 * and 6-5 ("Interrupt 8"). Nothing here throws.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ENV, ESP, EXC, HF_INHIBIT_IRQ, SS } from '../state.ts';
import { CPU_FAULT } from './fault.ts';
import { EVENT_EXTERNAL, EVENT_FAULT, EVENT_TRAP, enterEvent } from './interrupt.ts';

/** DE, TS, NP, SS, GP as bits. */
const CONTRIBUTORY = (1 << EXC.DE) | (1 << EXC.TS) | (1 << EXC.NP) | (1 << EXC.SS) | (1 << EXC.GP);
const contributory = (vector: number): boolean => vector < 32 && ((CONTRIBUTORY >>> vector) & 1) !== 0;
/** More faults in a row than any chain of the matrix can have. */
const MAX_NESTING = 8;

export function deliverException(cpu: X86Cpu): void {
  // A fault restarts its instruction: its data-breakpoint hits come again.
  cpu.e32[ENV.PENDING_DR6 >> 2] = 0;
  const vector = cpu.e32[ENV.EXCEPTION_VECTOR >> 2];
  deliver(cpu, vector, EVENT_FAULT, cpu.ei32[ENV.EXCEPTION_ERROR >> 2]);
}

/** #DB for the bits in PENDING_DR6, as a trap: EIP is the next instruction. */
export function deliverTrap(cpu: X86Cpu): void {
  const bits = cpu.e32[ENV.PENDING_DR6 >> 2];
  if (bits === 0) return;
  cpu.e32[ENV.PENDING_DR6 >> 2] = 0;
  // Breakpoint bits of older exceptions are software's to clear; those of this one are added. SDM §18.2.3.
  cpu.setDrRaw(6, cpu.dr(6) | bits);
  deliver(cpu, EXC.DB, EVENT_TRAP, -1);
}

export function deliverExternal(cpu: X86Cpu, vector: number): void {
  cpu.e32[ENV.HALTED >> 2] = 0;
  if (vector === EXC.NMI) cpu.e32[ENV.NMI_BLOCKED >> 2] = 1;
  deliver(cpu, vector, EVENT_EXTERNAL, -1);
}

function deliver(cpu: X86Cpu, vector: number, kind: number, error: number): void {
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    if (cpu.host.trace !== undefined) traceEvent(cpu, vector, kind, error);
    try {
      cpu.ext = 1;
      cpu.delivering = true;
      enterEvent(cpu, vector, kind, error, cpu.e32[ENV.EIP >> 2]);
      cpu.ext = 0;
      cpu.delivering = false;
      cpu.ei32[ENV.EXCEPTION_VECTOR >> 2] = -1;
      cpu.hflags &= ~HF_INHIBIT_IRQ;
      if (cpu.e32[ENV.PENDING_DR6 >> 2] !== 0) deliverTrap(cpu);
      return;
    } catch (fault) {
      cpu.ext = 0;
      cpu.delivering = false;
      if (fault !== CPU_FAULT) throw fault;
    }
    const second = cpu.e32[ENV.EXCEPTION_VECTOR >> 2];
    if (kind === EVENT_FAULT) {
      if (vector === EXC.DF) break;
      const doubled = contributory(vector)
        ? contributory(second)
        : vector === EXC.PF && (second === EXC.PF || contributory(second));
      if (doubled) {
        vector = EXC.DF;
        error = 0;
        continue;
      }
    }
    vector = second;
    kind = EVENT_FAULT;
    error = cpu.ei32[ENV.EXCEPTION_ERROR >> 2];
  }
  cpu.ei32[ENV.EXCEPTION_VECTOR >> 2] = -1;
  cpu.host.trace?.('int', 'Triple fault');
  cpu.host.shutdown('triple fault');
}

const hex = (v: number, digits: number): string => (v >>> 0).toString(16).padStart(digits, '0');

/** 16 digits in 64-bit code. */
const wide = (cpu: X86Cpu, low: number, high: number): string => (cpu.code64 ? hex(high, 8) : '') + hex(low, 8);

/** One line in the form of `-d int`. */
function traceEvent(cpu: X86Cpu, vector: number, kind: number, error: number): void {
  const cr2 =
    kind === EVENT_FAULT && vector === EXC.PF
      ? ` CR2=${wide(cpu, cpu.cr(2), cpu.crHigh(2))}`
      : ` EAX=${wide(cpu, cpu.reg(0), cpu.regHigh(0))}`;
  const high = cpu.code64 ? cpu.env32(ENV.CS_BASE) : 0;
  const pc = cpu.code64 ? cpu.eip : cpu.segBase(CS) + cpu.eip;
  cpu.host.trace?.(
    'int',
    `v=${hex(vector, 2)} e=${error < 0 ? '0000' : hex(error, 4)} i=${kind === EVENT_EXTERNAL ? 1 : 0} cpl=${cpu.cpl} ` +
      `IP=${hex(cpu.segSelector(CS), 4)}:${wide(cpu, cpu.eip, high)} pc=${wide(cpu, pc, high)} ` +
      `SP=${hex(cpu.segSelector(SS), 4)}:${wide(cpu, cpu.reg(ESP), cpu.regHigh(ESP))}${cr2}`,
  );
}
