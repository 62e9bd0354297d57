/** LINT0 and LINT1: what their lines and local vector table entries ask for. SDM Vol. 3A, chapter "APIC", "Local Vector Table". */
import { isHardwareEnabled, type LocalApicState } from './local-apic-state.ts';
import { DeliveryMode, Lvt, LVT_LEVEL, LVT_MASKED, LVT_REMOTE_IRR } from './registers.ts';

const isExtIntOn = (entry: number, line: number): boolean =>
  line !== 0 && (entry & LVT_MASKED) === 0 && ((entry >> 8) & 7) === DeliveryMode.EXTINT;

/** Does the 8259 pair, or a message in its name, ask for an interrupt? While hardware-disabled LINT0 is the processor's INTR. */
export function isExtIntRequested(s: LocalApicState): boolean {
  if (!isHardwareEnabled(s)) return (s.lint & 1) !== 0;
  return (
    s.extInt || isExtIntOn(s.lvt[Lvt.LINT0] as number, s.lint & 1) || isExtIntOn(s.lvt[Lvt.LINT1] as number, s.lint & 2)
  );
}

/** A level-triggered fixed LINT asks again while its line is on and its last interrupt has ended. */
export function isLevelLintAsking(s: LocalApicState, lvt: number): boolean {
  const entry = s.lvt[lvt] as number;
  const isOn = (s.lint & (1 << (lvt - Lvt.LINT0))) !== 0;
  return (
    isOn &&
    (entry & (LVT_MASKED | LVT_REMOTE_IRR)) === 0 &&
    (entry & LVT_LEVEL) !== 0 &&
    ((entry >> 8) & 7) === DeliveryMode.FIXED
  );
}
