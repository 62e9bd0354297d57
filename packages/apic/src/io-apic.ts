/**
 * I/O APIC 82093AA: 24 inputs, each with a redirection entry that makes messages to local APICs.
 * Inputs carry "asserted", so that the polarity bit is stored only: boards need not know which wires are active low.
 * Intel 82093AA data sheet (290566-001). No EOI register (version 0x11 has none): ends come from the local APICs.
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  Device,
  type DeviceInit,
  field,
  property,
  type PropertySpecs,
  type SystemBus,
} from '@emkit/qdev';
import { IO_APIC_PINS } from './limits.ts';
import type { InterruptTarget } from './message.ts';
import { DeliveryMode } from './registers.ts';

const PROPERTIES = {
  'mmio-base': property.uint32(0xfec00000, 'address of the registers'),
  id: property.uint8(0, 'APIC ID after reset, 0 to 15'),
} satisfies PropertySpecs;

/** §3.1 memory mapped registers. */
const IOREGSEL = 0x00;
const IOWIN = 0x10;
/** §3.2 registers behind them. */
const IoApicReg = { ID: 0, VERSION: 1, ARBITRATION: 2, REDIRECTION: 0x10 } as const;
const VERSION = 0x11 | ((IO_APIC_PINS - 1) << 16);

/** §3.2.4 redirection entry, low half; the high half is the destination in bits 31-24. */
const LOGICAL = 1 << 11;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const WRITABLE = 0x1afff;

interface IoApicState {
  select: number;
  apicId: number;
  /** Levels of the inputs, one bit each. */
  lines: number;
  low: Uint32Array;
  high: Uint32Array;
}

const VMSTATE = defineVmState<IoApicState>({
  name: 'ioapic',
  version: 1,
  fields: [
    field.u8('select'),
    field.u8('apicId', { max: 15 }),
    field.u32('lines', { max: 2 ** IO_APIC_PINS - 1 }),
    field.array('low', 'u32', IO_APIC_PINS, { max: WRITABLE | REMOTE_IRR }),
    field.array('high', 'u32', IO_APIC_PINS),
  ],
  check: (s) => {
    for (const entry of s.low)
      if ((entry & (REMOTE_IRR | LEVEL)) === REMOTE_IRR) return 'an edge-triggered entry has remote IRR set';
    return null;
  },
});

export class IoApic extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: IoApicState;
  readonly #region: MemoryRegion;
  readonly #address: number;
  readonly #initialId: number;
  readonly #targets: InterruptTarget[] = [];

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#address = init.props['mmio-base'];
    this.#initialId = init.props.id & 15;
    this.defineGpioIn('', IO_APIC_PINS, (pin, level) => this.#setPin(pin, level));
    this.state = {
      select: 0,
      apicId: this.#initialId,
      lines: 0,
      low: new Uint32Array(IO_APIC_PINS).fill(MASKED),
      high: new Uint32Array(IO_APIC_PINS),
    };
    this.#region = MemoryRegion.io('ioapic', 0x1000, {
      read: (offset) =>
        offset === IOREGSEL ? this.state.select : offset === IOWIN ? this.#read(this.state.select) : 0,
      write: (offset, value) => {
        if (offset === IOREGSEL) this.state.select = value & 0xff;
        else if (offset === IOWIN) this.#write(this.state.select, value);
        else this.trace('write-reserved', offset, value);
      },
      impl: { min: 4, max: 4 },
    });
  }

  protected override onRealize(): void {
    (this.parentBus as SystemBus).memory.add(this.#address, this.#region, 0x1000);
  }

  protected override onUnrealize(): void {
    this.#region.unmap();
    for (const target of this.#targets) target.onEoi = null;
    this.#targets.length = 0;
  }

  protected override onReset(): void {
    const s = this.state;
    s.select = 0;
    s.apicId = this.#initialId;
    s.low.fill(MASKED);
    s.high.fill(0);
  }

  /** Connects a local APIC: messages to it, ends of interrupts back. For a board, before it runs. */
  connect(target: InterruptTarget): void {
    this.#targets.push(target);
    target.onEoi = (vector) => this.endOfInterrupt(vector);
  }

  /** A local APIC has ended a level-triggered vector: inputs that are still on ask again. */
  endOfInterrupt(vector: number): void {
    const { low } = this.state;
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const entry = low[pin] as number;
      if ((entry & REMOTE_IRR) === 0 || (entry & 0xff) !== vector) continue;
      low[pin] = entry & ~REMOTE_IRR;
      this.#pollLevel(pin);
    }
  }

  #read(reg: number): number {
    const s = this.state;
    if (reg >= IoApicReg.REDIRECTION && reg < IoApicReg.REDIRECTION + 2 * IO_APIC_PINS) {
      const pin = (reg - IoApicReg.REDIRECTION) >> 1;
      return (reg & 1 ? s.high[pin] : s.low[pin]) as number;
    }
    switch (reg) {
      case IoApicReg.ID:
      case IoApicReg.ARBITRATION:
        return s.apicId << 24;
      case IoApicReg.VERSION:
        return VERSION;
      default:
        this.trace('read-reserved', reg);
        return 0;
    }
  }

  #write(reg: number, value: number): void {
    const s = this.state;
    if (reg === IoApicReg.ID) {
      s.apicId = (value >>> 24) & 15;
    } else if (reg >= IoApicReg.REDIRECTION && reg < IoApicReg.REDIRECTION + 2 * IO_APIC_PINS) {
      const pin = (reg - IoApicReg.REDIRECTION) >> 1;
      if (reg & 1) s.high[pin] = (value & 0xff000000) >>> 0;
      else this.#writeEntry(pin, value);
    } else {
      this.trace('write-reserved', reg, value);
    }
  }

  /** Remote IRR is read-only, but an entry made edge-triggered loses it. */
  #writeEntry(pin: number, value: number): void {
    const { low } = this.state;
    const remoteIrr = (value & LEVEL) !== 0 ? (low[pin] as number) & REMOTE_IRR : 0;
    low[pin] = (value & WRITABLE) | remoteIrr;
    this.#pollLevel(pin);
  }

  /** §3.2.4 bit 16: an edge on a masked input is lost. */
  #setPin(pin: number, level: number): void {
    const s = this.state;
    const bit = 1 << pin;
    const isRise = level !== 0 && (s.lines & bit) === 0;
    s.lines = level ? s.lines | bit : s.lines & ~bit;
    const entry = s.low[pin] as number;
    if ((entry & LEVEL) !== 0) this.#pollLevel(pin);
    else if (isRise && (entry & MASKED) === 0) this.#send(pin, entry);
  }

  #pollLevel(pin: number): void {
    const s = this.state;
    const entry = s.low[pin] as number;
    if ((entry & LEVEL) === 0 || (entry & (MASKED | REMOTE_IRR)) !== 0 || (s.lines & (1 << pin)) === 0) return;
    if (this.#send(pin, entry) && ((entry >> 8) & 7) <= DeliveryMode.LOWEST) s.low[pin] = entry | REMOTE_IRR;
  }

  /** Sends the message of an entry; true when somebody took it. */
  #send(pin: number, entry: number): boolean {
    const destination = (this.state.high[pin] as number) >>> 24;
    const isLogical = (entry & LOGICAL) !== 0;
    const mode = (entry >> 8) & 7;
    const isLevel = (entry & LEVEL) !== 0;
    let isTaken = false;
    let lowest: InterruptTarget | null = null;
    for (const target of this.#targets) {
      if (!target.matches(destination, isLogical)) continue;
      if (mode !== DeliveryMode.LOWEST) isTaken = target.deliver(mode, entry & 0xff, isLevel) || isTaken;
      else if (lowest === null || target.processorPriority < lowest.processorPriority) lowest = target;
    }
    if (lowest !== null) isTaken = lowest.deliver(mode, entry & 0xff, isLevel);
    if (!isTaken) this.trace('message-lost', pin, entry);
    return isTaken;
  }
}

export const IO_APIC = defineDevice({
  name: 'ioapic',
  description: 'I/O APIC 82093AA',
  bus: 'system',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new IoApic(init),
});
