/**
 * Local APIC in xAPIC mode: priorities, timer, local interrupts, inter-processor interrupts to itself, virtual wire.
 * The 8259's INT comes in on `lint0`; out go `int` (processor, there is a vector), `nmi`, `smi` and `init`.
 * While hardware-disabled (IA32_APIC_BASE bit 11 clear) `lint0` and `lint1` are the processor's INTR and NMI.
 * Lines carry "asserted", so polarity bits are stored only. Not here: x2APIC, TSC deadline, clusters of processors.
 * Intel SDM Vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  Device,
  type DeviceInit,
  type Irq,
  property,
  type PropertySpecs,
  type SystemBus,
} from '@emkit/qdev';
import { changeTimer, continueTimer, isDue, startTimer } from './apic-timer.ts';
import {
  deliverableVector,
  isDestination,
  LOCAL_APIC_VMSTATE,
  type LocalApicState,
  makeLocalApic,
  processorPriority,
  RESET_BASE,
  resetLocalApic,
} from './local-apic-state.ts';
import { isReadOnly, readRegister } from './local-apic-registers.ts';
import type { InterruptTarget } from './message.ts';
import {
  ApicReg,
  BASE_BSP,
  BASE_ENABLE,
  DeliveryMode,
  ESR_ILLEGAL_REGISTER,
  ESR_RECEIVE_ILLEGAL,
  ESR_SEND_ILLEGAL,
  FIRST_VECTOR,
  ICR_ASSERT,
  ICR_LEVEL,
  ICR_LOGICAL,
  ICR_LOW_MASK,
  ICR_SHORTHAND_SHIFT,
  Lvt,
  LVT_COUNT,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_PERIODIC,
  LVT_REMOTE_IRR,
  LVT_WRITABLE,
  Shorthand,
  SVR_ENABLE,
  SVR_MASK,
} from './registers.ts';
import { clearVector, hasVector, highestVector, setVector } from './vector-set.ts';

const PROPERTIES = {
  id: property.uint8(0, 'initial APIC ID'),
  'virtual-wire': property.bool(
    true,
    'after reset LINT0 is ExtINT and unmasked, as firmware leaves it (MP specification 3.6.2.2)',
  ),
} satisfies PropertySpecs;

export class LocalApic extends Device implements InterruptTarget {
  override readonly vmstate = LOCAL_APIC_VMSTATE;
  override readonly state: LocalApicState;
  /** Asks the 8259 pair for its vector. Set by the board. */
  onExtInt: (() => number) | null = null;
  onEoi: ((vector: number) => void) | null = null;
  readonly #region: MemoryRegion;
  readonly #int: Irq;
  readonly #nmi: Irq;
  readonly #smi: Irq;
  readonly #init: Irq;
  readonly #initialId: number;
  readonly #isVirtualWire: boolean;
  #mappedAt = -1;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#initialId = init.props.id;
    this.#isVirtualWire = init.props['virtual-wire'];
    this.#int = this.defineGpioOut('int', 1)[0] as Irq;
    this.#nmi = this.defineGpioOut('nmi', 1)[0] as Irq;
    this.#smi = this.defineGpioOut('smi', 1)[0] as Irq;
    this.#init = this.defineGpioOut('init', 1)[0] as Irq;
    this.defineGpioIn('lint0', 1, (_index, level) => this.#setLint(0, level));
    this.defineGpioIn('lint1', 1, (_index, level) => this.#setLint(1, level));
    this.state = makeLocalApic(this.env.clock.createTimer(() => this.#onTimer()));
    this.#resetRegisters();
    this.#region = MemoryRegion.io('apic', 0x1000, {
      read: (offset) => (offset & 0xf ? 0 : this.#read(offset >> 4)),
      write: (offset, value) => {
        if ((offset & 0xf) === 0) this.#write(offset >> 4, value);
      },
      impl: { min: 4, max: 4 },
    });
  }

  protected override onRealize(): void {
    this.#updateMapping();
  }

  protected override onUnrealize(): void {
    this.state.timer.deadline.del();
    this.#region.unmap();
    this.#mappedAt = -1;
    this.#int.lower();
  }

  protected override onReset(): void {
    this.state.base = RESET_BASE;
    this.#resetRegisters();
    this.#updateMapping();
  }

  #resetRegisters(): void {
    resetLocalApic(this.state, this.#initialId, this.#isVirtualWire);
  }

  protected override onResetExit(): void {
    this.#update();
  }

  override onPostLoad(): void {
    this.#updateMapping();
    this.#update();
  }

  // --- what the processor sees ---

  /** IA32_APIC_BASE, low half. */
  get base(): number {
    return this.state.base;
  }

  /** Writes IA32_APIC_BASE: moves the registers, or turns the APIC off; turned on again it starts from reset. */
  setBase(msrLow: number): void {
    const s = this.state;
    const value = ((msrLow & 0xfffff000) | (msrLow & BASE_ENABLE) | (s.base & BASE_BSP)) >>> 0;
    const wasEnabled = this.#isHardwareEnabled;
    s.base = value;
    if (wasEnabled !== this.#isHardwareEnabled) this.#resetRegisters();
    this.#updateMapping();
    this.#update();
  }

  /** Is there a vector? Same as the level of gpio out `int`. */
  get isRequesting(): boolean {
    return this.#int.level !== 0;
  }

  /** The processor takes the interrupt: its vector, which is in service from now on (unless it came from the 8259). */
  acknowledge(): number {
    const s = this.state;
    if (this.#isHardwareEnabled) {
      const vector = deliverableVector(this.state);
      if (vector >= 0) {
        clearVector(s.irr, vector);
        setVector(s.isr, vector);
        this.#update();
        return vector;
      }
    }
    if (this.#isExtIntRequested || this.onExtInt === null) {
      s.extInt = false;
      const vector = this.onExtInt?.() ?? s.svr & 0xff;
      this.#update();
      return vector;
    }
    return s.svr & 0xff; // spurious: the request has gone
  }

  /** Task priority, as CR8 sees it (bits 7-4 of TPR). */
  get taskPriority(): number {
    return this.state.tpr >> 4;
  }

  set taskPriority(value: number) {
    this.state.tpr = (value & 0xf) << 4;
    this.#update();
  }

  // --- messages from I/O APICs ---

  get processorPriority(): number {
    return processorPriority(this.state);
  }

  matches(destination: number, isLogical: boolean): boolean {
    return this.#isHardwareEnabled && isDestination(this.state, destination, isLogical);
  }

  deliver(mode: number, vector: number, isLevel: boolean): boolean {
    const s = this.state;
    if (!this.#isHardwareEnabled) return false;
    switch (mode) {
      case DeliveryMode.FIXED:
      case DeliveryMode.LOWEST:
        if ((s.svr & SVR_ENABLE) === 0) return false;
        if (vector < FIRST_VECTOR) {
          this.#error(ESR_RECEIVE_ILLEGAL);
          return true;
        }
        setVector(s.irr, vector);
        if (isLevel) setVector(s.tmr, vector);
        else clearVector(s.tmr, vector);
        break;
      case DeliveryMode.NMI:
        this.#nmi.pulse();
        return true;
      case DeliveryMode.SMI:
        this.#smi.pulse();
        return true;
      case DeliveryMode.INIT:
        this.#init.pulse();
        return true;
      case DeliveryMode.EXTINT:
        s.extInt = true;
        break;
      default: // start-up: only a processor that waits for it takes notice
        this.trace('message-ignored', mode, vector);
        return true;
    }
    this.#update();
    return true;
  }

  // --- registers ---

  get #isHardwareEnabled(): boolean {
    return (this.state.base & BASE_ENABLE) !== 0;
  }

  #updateMapping(): void {
    const { memory } = (this.parentBus as SystemBus | null) ?? {};
    if (memory === undefined) return;
    const address = this.#isHardwareEnabled ? (this.state.base & 0xfffff000) >>> 0 : -1;
    if (address === this.#mappedAt) return;
    this.#mappedAt = address;
    memory.transaction(() => {
      this.#region.unmap();
      if (address >= 0) memory.add(address, this.#region, 0x1000);
    });
  }

  #read(reg: number): number {
    const value = readRegister(this.state, reg, this.env.clock);
    if (value >= 0) return value;
    this.trace('read-reserved', reg);
    this.#error(ESR_ILLEGAL_REGISTER);
    return 0;
  }

  #write(reg: number, value: number): void {
    const s = this.state;
    if (reg >= ApicReg.LVT_TIMER && reg <= ApicReg.LVT_ERROR) {
      this.#writeLvt(reg - ApicReg.LVT_TIMER, value);
      return;
    }
    switch (reg) {
      case ApicReg.ID:
        s.apicId = value >>> 24;
        return;
      case ApicReg.TPR:
        s.tpr = value & 0xff;
        break;
      case ApicReg.EOI:
        this.#endOfInterrupt();
        return;
      case ApicReg.LDR:
        s.ldr = (value & 0xff000000) >>> 0;
        return;
      case ApicReg.DFR:
        s.dfr = (value | 0x0fffffff) >>> 0;
        return;
      case ApicReg.SVR:
        s.svr = value & SVR_MASK;
        // "Local APIC State After It Has Been Software Disabled": all entries are masked
        if ((s.svr & SVR_ENABLE) === 0)
          for (let i = 0; i < LVT_COUNT; i++) s.lvt[i] = (s.lvt[i] as number) | LVT_MASKED;
        break;
      case ApicReg.ESR:
        s.esr = s.errors;
        s.errors = 0;
        return;
      case ApicReg.ICR_LOW:
        s.icrLow = value & ICR_LOW_MASK;
        this.#sendIpi();
        return;
      case ApicReg.ICR_HIGH:
        s.icrHigh = (value & 0xff000000) >>> 0;
        return;
      case ApicReg.TIMER_INITIAL:
        this.#serveDueTimer();
        startTimer(s.timer, value, this.env.clock);
        return;
      case ApicReg.TIMER_DIVIDE:
        this.#serveDueTimer();
        changeTimer(s.timer, value & 0xb, s.timer.isPeriodic, this.env.clock);
        return;
      default:
        this.trace('write-reserved', reg, value);
        if (!isReadOnly(reg)) this.#error(ESR_ILLEGAL_REGISTER);
        return;
    }
    this.#update();
  }

  #writeLvt(index: number, value: number): void {
    const s = this.state;
    if (index === Lvt.TIMER) this.#serveDueTimer(); // under the entry that it expired under
    const remoteIrr = (s.lvt[index] as number) & LVT_REMOTE_IRR;
    let entry = (value & (LVT_WRITABLE[index] as number)) >>> 0;
    if ((entry & LVT_LEVEL) !== 0) entry |= remoteIrr;
    if ((s.svr & SVR_ENABLE) === 0) entry |= LVT_MASKED;
    s.lvt[index] = entry;
    if (index === Lvt.TIMER) changeTimer(s.timer, s.timer.divide, (entry & LVT_PERIODIC) !== 0, this.env.clock);
    if (index === Lvt.LINT0 || index === Lvt.LINT1) this.#pollLevelLint(index);
    this.#update();
  }

  /** The highest vector in service ends; level-triggered ones are told to the I/O APICs. */
  #endOfInterrupt(): void {
    const s = this.state;
    const vector = highestVector(s.isr);
    if (vector < 0) return;
    clearVector(s.isr, vector);
    if (hasVector(s.tmr, vector)) {
      for (const index of [Lvt.LINT0, Lvt.LINT1]) {
        const entry = s.lvt[index] as number;
        if ((entry & 0xff) !== vector || (entry & LVT_REMOTE_IRR) === 0) continue;
        s.lvt[index] = entry & ~LVT_REMOTE_IRR;
        this.#pollLevelLint(index);
      }
      this.onEoi?.(vector);
    }
    this.#update();
  }

  /** "Issuing Interprocessor Interrupts", for a machine with one processor. */
  #sendIpi(): void {
    const { icrLow, icrHigh } = this.state;
    const mode = (icrLow >> 8) & 7;
    const vector = icrLow & 0xff;
    // INIT level de-assert only synchronizes arbitration IDs
    if (mode === DeliveryMode.INIT && (icrLow & ICR_LEVEL) !== 0 && (icrLow & ICR_ASSERT) === 0) return;
    if (mode <= DeliveryMode.LOWEST && vector < FIRST_VECTOR) {
      this.#error(ESR_SEND_ILLEGAL);
      return;
    }
    const shorthand = (icrLow >> ICR_SHORTHAND_SHIFT) & 3;
    const isForSelf =
      shorthand === Shorthand.NONE
        ? this.matches(icrHigh >>> 24, (icrLow & ICR_LOGICAL) !== 0)
        : shorthand !== Shorthand.OTHERS;
    if (isForSelf) this.deliver(mode, vector, false);
  }

  // --- local interrupts ---

  #setLint(index: 0 | 1, level: number): void {
    const s = this.state;
    const bit = 1 << index;
    const isRise = level !== 0 && (s.lint & bit) === 0;
    s.lint = level ? s.lint | bit : s.lint & ~bit;
    if (!this.#isHardwareEnabled) {
      if (index === 0) this.#update();
      else this.#nmi.set(level);
      return;
    }
    const lvt = Lvt.LINT0 + index;
    const entry = s.lvt[lvt] as number;
    const mode = (entry >> 8) & 7;
    if (mode !== DeliveryMode.EXTINT && (entry & LVT_MASKED) === 0) {
      if (mode === DeliveryMode.FIXED && (entry & LVT_LEVEL) !== 0) this.#pollLevelLint(lvt);
      else if (isRise) this.deliver(mode, entry & 0xff, false);
    }
    this.#update();
  }

  /** A level-triggered fixed LINT asks again while its line is on and its last interrupt has ended. */
  #pollLevelLint(lvt: number): void {
    const s = this.state;
    const entry = s.lvt[lvt] as number;
    const isOn = (s.lint & (1 << (lvt - Lvt.LINT0))) !== 0;
    if (
      !isOn ||
      (entry & (LVT_MASKED | LVT_REMOTE_IRR)) !== 0 ||
      (entry & LVT_LEVEL) === 0 ||
      ((entry >> 8) & 7) !== DeliveryMode.FIXED
    )
      return;
    if (this.deliver(DeliveryMode.FIXED, entry & 0xff, true) && (entry & 0xff) >= FIRST_VECTOR)
      s.lvt[lvt] = entry | LVT_REMOTE_IRR;
  }

  /** An expiry that the event loop has not come to yet happened before the write that would take it back. */
  #serveDueTimer(): void {
    const { timer } = this.state;
    if (!isDue(timer, this.env.clock)) return;
    timer.deadline.del();
    this.#onTimer();
  }

  #onTimer(): void {
    const s = this.state;
    continueTimer(s.timer, this.env.clock);
    const entry = s.lvt[Lvt.TIMER] as number;
    if ((entry & LVT_MASKED) === 0) this.deliver(DeliveryMode.FIXED, entry & 0xff, false);
  }

  /** Notes an error; its interrupt comes with the first one only, so that an illegal vector there ends in nothing. */
  #error(bit: number): void {
    const s = this.state;
    const isNew = (s.errors & bit) === 0;
    s.errors |= bit;
    const entry = s.lvt[Lvt.ERROR] as number;
    if (isNew && (entry & LVT_MASKED) === 0) this.deliver(DeliveryMode.FIXED, entry & 0xff, false);
  }

  get #isExtIntRequested(): boolean {
    const s = this.state;
    if (!this.#isHardwareEnabled) return (s.lint & 1) !== 0;
    return (
      s.extInt ||
      isExtIntOn(s.lvt[Lvt.LINT0] as number, s.lint & 1) ||
      isExtIntOn(s.lvt[Lvt.LINT1] as number, s.lint & 2)
    );
  }

  #update(): void {
    this.#int.set(this.#isExtIntRequested || (this.#isHardwareEnabled && deliverableVector(this.state) >= 0));
  }
}

function isExtIntOn(entry: number, line: number): boolean {
  return line !== 0 && (entry & LVT_MASKED) === 0 && ((entry >> 8) & 7) === DeliveryMode.EXTINT;
}

export const LOCAL_APIC = defineDevice({
  name: 'apic',
  description: 'Local APIC',
  bus: 'system',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new LocalApic(init),
});
