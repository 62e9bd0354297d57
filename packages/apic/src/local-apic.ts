/**
 * Local APIC in xAPIC and x2APIC mode: priorities, timer, local interrupts, inter-processor interrupts to itself, virtual wire.
 * The 8259's INT comes in on `lint0`; out go `int` (processor, there is a vector), `nmi`, `smi` and `init`.
 * While hardware-disabled (IA32_APIC_BASE bit 11 clear) `lint0` and `lint1` are the processor's INTR and NMI.
 * Lines carry "asserted", so polarity bits are stored only. Not here: clusters of processors; the time-stamp counter, of which
 * the board makes a time for `setDeadline`.
 * Intel SDM Vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
 */
import {
  defineDevice,
  Device,
  type DeviceInit,
  type Irq,
  property,
  type PropertySpecs,
  type SystemBus,
} from '@emkit/qdev';
import { changeTimer, continueTimer, isDue, startTimer, stopTimer } from './apic-timer.ts';
import { isInitDeassert, isIpiForSelf } from './interprocessor.ts';
import {
  deliverableVector,
  isDestination,
  isHardwareEnabled,
  LOCAL_APIC_VMSTATE,
  type LocalApicState,
  makeLocalApic,
  processorPriority,
  RESET_BASE,
  resetLocalApic,
} from './local-apic-state.ts';
import { isReadOnly, readRegister, readX2apicRegister } from './local-apic-registers.ts';
import { isExtIntRequested, isLevelLintAsking } from './local-interrupts.ts';
import type { InterruptTarget } from './message.ts';
import { RegisterWindow } from './register-window.ts';
import {
  ApicReg,
  BASE_BSP,
  BASE_ENABLE,
  BASE_X2APIC,
  DeliveryMode,
  ESR_ILLEGAL_REGISTER,
  ESR_RECEIVE_ILLEGAL,
  ESR_SEND_ILLEGAL,
  FIRST_VECTOR,
  ICR_LOW_MASK,
  Lvt,
  LVT_COUNT,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_PERIODIC,
  LVT_REMOTE_IRR,
  LVT_TSC_DEADLINE,
  lvtWritable,
  SVR_ENABLE,
  SVR_MASK,
} from './registers.ts';
import { clearVector, hasVector, highestVector, setVector } from './vector-set.ts';
import { isTransition, isX2apicDestination, isX2apicWrite, X2APIC_MSR, X2APIC_MSR_END } from './x2apic.ts';

const PROPERTIES = {
  id: property.uint32(0, 'x2APIC ID; its low 8 bits are the initial APIC ID'),
  'tsc-deadline': property.bool(false, 'the timer has the TSC-deadline mode'),
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
  readonly #window: RegisterWindow;
  readonly #int: Irq;
  readonly #nmi: Irq;
  readonly #smi: Irq;
  readonly #init: Irq;
  /** x2APIC ID. */
  readonly #id: number;
  readonly #lvtWritable: readonly number[];
  readonly #isVirtualWire: boolean;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#id = init.props.id;
    this.#lvtWritable = lvtWritable(init.props['tsc-deadline']);
    this.#isVirtualWire = init.props['virtual-wire'];
    this.#int = this.defineGpioOut('int', 1)[0] as Irq;
    this.#nmi = this.defineGpioOut('nmi', 1)[0] as Irq;
    this.#smi = this.defineGpioOut('smi', 1)[0] as Irq;
    this.#init = this.defineGpioOut('init', 1)[0] as Irq;
    this.defineGpioIn('lint0', 1, (_index, level) => this.#setLint(0, level));
    this.defineGpioIn('lint1', 1, (_index, level) => this.#setLint(1, level));
    this.state = makeLocalApic(this.env.clock.createTimer(() => this.#onTimer()));
    this.#resetRegisters();
    this.#window = new RegisterWindow(
      (reg) => this.#read(reg),
      (reg, value) => this.#write(reg, value),
    );
  }

  protected override onRealize(): void {
    this.#updateMapping();
  }

  protected override onUnrealize(): void {
    this.state.timer.deadline.del();
    this.#window.remove();
    this.#int.lower();
  }

  protected override onReset(): void {
    this.state.base = RESET_BASE;
    this.#resetRegisters();
    this.#updateMapping();
  }

  #resetRegisters(): void {
    resetLocalApic(this.state, this.#id & 0xff, this.#isVirtualWire);
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

  /**
   * Writes IA32_APIC_BASE: moves the registers, makes them MSRs (x2APIC mode), or turns the APIC off; turned on again it starts from
   * reset. False, and nothing has changed: there is no way from this mode to that one (#GP).
   */
  setBase(msrLow: number): boolean {
    const s = this.state;
    if (!isTransition(s.base, msrLow)) return false;
    const wasX2apic = this.#isX2apic;
    const wasEnabled = isHardwareEnabled(this.state);
    s.base = ((msrLow & (0xfffff000 | BASE_ENABLE | BASE_X2APIC)) | (s.base & BASE_BSP)) >>> 0;
    if (wasEnabled !== isHardwareEnabled(this.state)) this.#resetRegisters();
    else if (this.#isX2apic && !wasX2apic) s.icrHigh = 0; // a destination of the other format
    this.#updateMapping();
    this.#update();
    return true;
  }

  /** RDMSR of 800H to 8FFH: the low half in out[0], the high one in out[1]. False: #GP. */
  readMsr(msr: number, out: Uint32Array): boolean {
    return readX2apicRegister(this.state, this.#x2apicRegister(msr), this.#id, this.env.clock, out);
  }

  /** WRMSR of 800H to 8FFH. False: #GP, and nothing has changed. */
  writeMsr(msr: number, low: number, high: number): boolean {
    const reg = this.#x2apicRegister(msr);
    if (!isX2apicWrite(reg, low, high, this.#lvtWritable)) return false;
    if (reg === ApicReg.SELF_IPI) this.#send(DeliveryMode.FIXED, low & 0xff, true);
    else {
      if (reg === ApicReg.ICR_LOW) this.state.icrHigh = high >>> 0;
      this.#write(reg, low >>> 0);
    }
    return true;
  }

  /** Number of the register behind an MSR; -1 outside x2APIC mode. */
  #x2apicRegister(msr: number): number {
    return this.#isX2apic && msr >= X2APIC_MSR && msr <= X2APIC_MSR_END ? msr - X2APIC_MSR : -1;
  }

  /**
   * IA32_TSC_DEADLINE, as a time of the device's clock; -1 disarms. Ignored in the other timer modes. A deadline that is past
   * interrupts at once. §11.5.4.1 "TSC-Deadline Mode".
   */
  setDeadline(time: number): void {
    const { timer } = this.state;
    if (!this.#isDeadlineMode) return;
    this.#serveDueTimer();
    timer.deadline.del();
    if (time < 0) return;
    if (time > this.env.clock.now()) timer.deadline.mod(time);
    else this.#onTimer();
  }

  /** Armed and not over: IA32_TSC_DEADLINE does not read 0. */
  get isDeadlineArmed(): boolean {
    return this.#isDeadlineMode && this.state.timer.deadline.deadline >= 0 && !isDue(this.state.timer, this.env.clock);
  }

  /** Is there a vector? Same as the level of gpio out `int`. */
  get isRequesting(): boolean {
    return this.#int.level !== 0;
  }

  /** The processor takes the interrupt: its vector, which is in service from now on (unless it came from the 8259). */
  acknowledge(): number {
    const s = this.state;
    if (isHardwareEnabled(this.state)) {
      const vector = deliverableVector(this.state);
      if (vector >= 0) {
        clearVector(s.irr, vector);
        setVector(s.isr, vector);
        this.#update();
        return vector;
      }
    }
    if (isExtIntRequested(this.state) || this.onExtInt === null) {
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

  /** Destinations of messages have 8 bits in every mode, so FFH is for all; others are compared with what they are part of. */
  matches(destination: number, isLogical: boolean): boolean {
    if (!this.#isX2apic) return isHardwareEnabled(this.state) && isDestination(this.state, destination, isLogical);
    return destination === 0xff || isX2apicDestination(this.#id, destination, isLogical);
  }

  deliver(mode: number, vector: number, isLevel: boolean): boolean {
    const s = this.state;
    if (!isHardwareEnabled(this.state)) return false;
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

  get #isX2apic(): boolean {
    return (this.state.base & BASE_X2APIC) !== 0;
  }

  get #isDeadlineMode(): boolean {
    return ((this.state.lvt[Lvt.TIMER] as number) & LVT_TSC_DEADLINE) !== 0;
  }

  #updateMapping(): void {
    const { memory } = (this.parentBus as SystemBus | null) ?? {};
    if (memory === undefined) return;
    this.#window.move(
      memory,
      isHardwareEnabled(this.state) && !this.#isX2apic ? (this.state.base & 0xfffff000) >>> 0 : -1,
    );
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
        if (this.#isDeadlineMode) return;
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
    const wasDeadlineMode = this.#isDeadlineMode;
    let entry = (value & (this.#lvtWritable[index] as number)) >>> 0;
    if ((entry & LVT_LEVEL) !== 0) entry |= remoteIrr;
    if ((s.svr & SVR_ENABLE) === 0) entry |= LVT_MASKED;
    s.lvt[index] = entry;
    if (this.#isDeadlineMode !== wasDeadlineMode) stopTimer(s.timer);
    if (index === Lvt.TIMER && !this.#isDeadlineMode)
      changeTimer(s.timer, s.timer.divide, (entry & LVT_PERIODIC) !== 0, this.env.clock);
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

  #sendIpi(): void {
    const s = this.state;
    const mode = (s.icrLow >> 8) & 7;
    if (!isInitDeassert(s)) this.#send(mode, s.icrLow & 0xff, isIpiForSelf(s, this.#id));
  }

  /** A message to this processor, or to others, of which there are none. */
  #send(mode: number, vector: number, isForSelf: boolean): void {
    if (mode <= DeliveryMode.LOWEST && vector < FIRST_VECTOR) this.#error(ESR_SEND_ILLEGAL);
    else if (isForSelf) this.deliver(mode, vector, false);
  }

  // --- local interrupts ---

  #setLint(index: 0 | 1, level: number): void {
    const s = this.state;
    const bit = 1 << index;
    const isRise = level !== 0 && (s.lint & bit) === 0;
    s.lint = level ? s.lint | bit : s.lint & ~bit;
    if (!isHardwareEnabled(this.state)) {
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

  #pollLevelLint(lvt: number): void {
    const s = this.state;
    if (!isLevelLintAsking(s, lvt)) return;
    const entry = s.lvt[lvt] as number;
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

  #update(): void {
    this.#int.set(
      isExtIntRequested(this.state) || (isHardwareEnabled(this.state) && deliverableVector(this.state) >= 0),
    );
  }
}

export const LOCAL_APIC = defineDevice({
  name: 'apic',
  description: 'Local APIC',
  bus: 'system',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new LocalApic(init),
});
