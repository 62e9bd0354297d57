/** What travels between interrupt controllers: the part of a local APIC that an I/O APIC sees, and the way back. */

export interface InterruptTarget {
  /** Is a message to this destination meant for it? */
  matches(destination: number, isLogical: boolean): boolean;
  /** `mode` as in `DeliveryMode`. False when it does not take the message (disabled). */
  deliver(mode: number, vector: number, isLevel: boolean): boolean;
  /** For lowest-priority delivery: the smaller, the sooner chosen. */
  readonly processorPriority: number;
  /** Called when a level-triggered vector is ended. */
  onEoi: ((vector: number) => void) | null;
}
