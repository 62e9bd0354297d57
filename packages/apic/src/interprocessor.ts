/**
 * What the interrupt command register says, for a machine with one processor. SDM Vol. 3A, chapter "APIC", "Issuing
 * Interprocessor Interrupts"; the destination field has 8 bits, and in x2APIC mode 32 (§11.12.9 "ICR Operation in x2APIC Mode").
 */
import { isDestination, type LocalApicState } from './local-apic-state.ts';
import {
  BASE_X2APIC,
  DeliveryMode,
  ICR_ASSERT,
  ICR_LEVEL,
  ICR_LOGICAL,
  ICR_SHORTHAND_SHIFT,
  Shorthand,
} from './registers.ts';
import { isX2apicDestination } from './x2apic.ts';

/** INIT level de-assert only synchronizes arbitration IDs. */
export const isInitDeassert = ({ icrLow }: LocalApicState): boolean =>
  ((icrLow >> 8) & 7) === DeliveryMode.INIT && (icrLow & (ICR_LEVEL | ICR_ASSERT)) === ICR_LEVEL;

/** Is the message for the processor that sends it? `id`: its x2APIC ID. */
export function isIpiForSelf(s: LocalApicState, id: number): boolean {
  const shorthand = (s.icrLow >> ICR_SHORTHAND_SHIFT) & 3;
  if (shorthand !== Shorthand.NONE) return shorthand !== Shorthand.OTHERS;
  const isLogical = (s.icrLow & ICR_LOGICAL) !== 0;
  return (s.base & BASE_X2APIC) !== 0
    ? isX2apicDestination(id, s.icrHigh, isLogical)
    : isDestination(s, s.icrHigh >>> 24, isLogical);
}
