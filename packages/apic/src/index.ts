export { IO_APIC, IoApic } from './io-apic.ts';
export { APIC_TIMER_HZ, IO_APIC_PINS, MIN_TIMER_PERIOD_NS } from './limits.ts';
export { LOCAL_APIC, LocalApic } from './local-apic.ts';
export type { InterruptTarget } from './message.ts';
export { DeliveryMode } from './registers.ts';
