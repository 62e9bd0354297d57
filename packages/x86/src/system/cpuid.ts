/** The CPUID instruction: a leaf of the model into EAX, EBX, ECX, EDX. */
import type { X86Cpu } from '../cpu.ts';
import { cpuidLeaf } from '../models/cpuid-leaves.ts';
import { EAX, EBX, ECX, EDX, ENV } from '../state.ts';

const APIC_BASE_ENABLE = 1 << 11;

export function cpuid(cpu: X86Cpu): number {
  const out = cpu.cpuidResult;
  const state = {
    apicId: cpu.cpuidState.apicId,
    code64: cpu.code64,
    apicEnabled: (cpu.env32(ENV.MSR_APIC_BASE) & APIC_BASE_ENABLE) !== 0,
    cr4: cpu.cr(4),
    xcr0: cpu.env32(ENV.XCR0),
  };
  cpuidLeaf(cpu.model, cpu.reg(EAX), cpu.reg(ECX), state, out);
  cpu.setReg(EAX, out[0]);
  cpu.setReg(EBX, out[1]);
  cpu.setReg(ECX, out[2]);
  cpu.setReg(EDX, out[3]);
  return 0;
}
