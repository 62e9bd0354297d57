/**
 * What the processor reaches of the board beside memory and ports: its local APIC (IA32_APIC_BASE, CR8, x2APIC registers, TSC
 * deadline) and random bits. The APIC comes after the processor, so it is asked for when it is needed.
 */
import type { LocalApic } from '@emkit/apic';
import { F_RDRAND, F_RDSEED } from '@emkit/x86';
import type { CpuFeatures, X86Host } from '@emkit/x86';
import type { PcOptions } from './options.ts';
import { randomSource, randomWords } from './random.ts';

/** Ticks of the time-stamp counter in a second: it counts nanoseconds of the virtual clock, which is the APIC's too. */
export const TSC_HZ = 1e9;
const NS_PER_TICK = 1e9 / TSC_HZ;

type Services = Pick<
  X86Host,
  | 'apicBaseChanged'
  | 'apicTpr'
  | 'setApicTpr'
  | 'x2apicRead'
  | 'x2apicWrite'
  | 'setTscDeadline'
  | 'tscDeadlineArmed'
  | 'random32'
>;

export function processorHost(features: CpuFeatures, lapic: () => LocalApic, random: PcOptions['random']): Services {
  const wantsRandom = (features.ecx1 & F_RDRAND) !== 0 || (features.ebx7 & F_RDSEED) !== 0;
  return {
    // the processor has checked the transition
    apicBaseChanged: (value) => void lapic().setBase(value),
    apicTpr: () => lapic().taskPriority,
    setApicTpr: (priority) => void (lapic().taskPriority = priority),
    x2apicRead: (msr, out) => lapic().readMsr(msr, out),
    x2apicWrite: (msr, low, high) => lapic().writeMsr(msr, low, high),
    setTscDeadline: (ticks) => lapic().setDeadline(ticks === 0 ? -1 : ticks * NS_PER_TICK),
    tscDeadlineArmed: () => lapic().isDeadlineArmed,
    ...(wantsRandom ? { random32: randomWords(randomSource(random)) } : {}),
  };
}
