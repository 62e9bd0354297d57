/**
 * UART 16550A: FIFOs of 16 bytes, modem lines, loopback, interrupts with priorities.
 * Sending takes no time: a byte leaves at once and the transmitter is empty again. Receiving takes bytes from the back
 * end only while the FIFO has room, so nothing is ever lost there; an overrun can happen in loopback only.
 * The back end's modem lines CTS, DSR, DCD are always on. Not here: DMA modes, 5-bit framing errors, baud rate in time.
 * National Semiconductor PC16550D data sheet; IBM PC/AT Technical Reference "Serial/Parallel Adapter" (OUT2 gates the interrupt).
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  Device,
  type DeviceInit,
  type Irq,
  type IsaBus,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { FIFO_SIZE, OUTPUT_BUFFER_SIZE } from './limits.ts';
import { clearFifo, hasErrors, popFifo, pushFifo, takeErrors } from './receive-fifo.ts';
import {
  FCR_CLEAR_RX,
  FCR_ENABLE,
  FCR_TRIGGER_SHIFT,
  IER_MASK,
  IER_MSI,
  IER_RDI,
  IER_RLSI,
  IER_THRI,
  IIR_CTI,
  IIR_FIFOS,
  IIR_MSR,
  IIR_NONE,
  IIR_RDA,
  IIR_RLS,
  IIR_THRE,
  LCR_DLAB,
  LCR_PARITY,
  LCR_STOP,
  LCR_WORD_MASK,
  LSR_BI,
  LSR_CHARACTER_ERRORS,
  LSR_DR,
  LSR_FIFO_ERROR,
  LSR_OE,
  LSR_TEMT,
  LSR_THRE,
  MCR_DTR,
  MCR_LOOP,
  MCR_MASK,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR_CTS,
  MSR_DCD,
  MSR_DCTS,
  MSR_DDCD,
  MSR_DDSR,
  MSR_DELTAS,
  MSR_DSR,
  MSR_RI,
  MSR_TERI,
  Reg,
  REGISTER_COUNT,
  TRIGGER_LEVELS,
} from './registers.ts';
import { IDLE_MODEM_LINES, makeSerial, SERIAL_VMSTATE, type SerialState } from './serial-state.ts';

/** The host's end of the line. None of its methods may throw or block. */
export interface SerialBackend {
  /** Bytes from the guest, valid during the call only. */
  write(bytes: Uint8Array): void;
  /** At most `max` waiting input bytes; empty when there are none. */
  read(max: number): Uint8Array;
  /** Set by the UART: to be called when input has arrived after `read` ran dry. */
  onReadable: (() => void) | undefined;
  /** Set by the UART: to be called for a break condition. */
  onBreak: (() => void) | undefined;
}

const PROPERTIES = {
  iobase: property.uint16(0x3f8, 'first of 8 ports'),
  irq: property.uint8(4, 'interrupt line'),
  chardev: property.link<SerialBackend>('chardev', 'the other end of the line'),
} satisfies PropertySpecs;

/** Input clock / 16 / divisor = baud: one bit lasts `divisor * 16` cycles of 1.8432 MHz. */
const BIT_NS_PER_DIVISOR = (16 * 1e9) / 1_843_200;
/** PC16550D "FIFO interrupt mode operation": the timeout is four character times. */
const TIMEOUT_CHARACTERS = 4;
const LINE_FEED = 0x0a;

export class Serial extends Device {
  override readonly vmstate = SERIAL_VMSTATE;
  override readonly state: SerialState;
  readonly #region: MemoryRegion;
  readonly #iobase: number;
  readonly #irqNumber: number;
  readonly #chardev: SerialBackend | null;
  readonly #output = new Uint8Array(OUTPUT_BUFFER_SIZE);
  #outputCount = 0;
  #isFilling = false;
  #irq: Irq | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.#iobase = init.props.iobase;
    this.#irqNumber = init.props.irq;
    this.#chardev = init.props.chardev;
    this.state = makeSerial(this.env.clock.createTimer(() => this.#onTimeout()));
    this.#region = MemoryRegion.io('serial', REGISTER_COUNT, {
      read: (offset) => this.#read(offset),
      write: (offset, value) => this.#write(offset, value),
      impl: { max: 1 },
    });
  }

  protected override onRealize(): void {
    const bus = this.parentBus as IsaBus;
    this.#irq = bus.irq(this.#irqNumber);
    bus.io.add(this.#iobase, this.#region);
    if (this.#chardev !== null) {
      this.#chardev.onReadable = () => this.#fill();
      this.#chardev.onBreak = () => this.#onBreak();
    }
  }

  protected override onUnrealize(): void {
    this.flush();
    if (this.#chardev !== null) this.#chardev.onReadable = this.#chardev.onBreak = undefined;
    this.state.timeout.del();
    this.#region.unmap();
    this.#irq?.lower();
  }

  /** PC16550D table I "UART reset configuration". */
  protected override onReset(): void {
    const s = this.state;
    s.divisor = 12; // undefined by the data sheet; 9600 baud
    s.ier = s.lcr = s.mcr = s.fcr = s.errors = s.scr = 0;
    s.msr = IDLE_MODEM_LINES;
    s.thrEmptyPending = s.timeoutPending = false;
    s.timeout.del();
    clearFifo(s.rx);
  }

  protected override onResetExit(): void {
    this.#update();
    this.#fill();
  }

  override onPostLoad(): void {
    this.#update();
    this.#fill();
  }

  /** Hands collected output to the back end. The machine calls it whenever it leaves the CPU, and before saving. */
  flush(): void {
    const count = this.#outputCount;
    if (count === 0) return;
    this.#outputCount = 0;
    this.#chardev?.write(this.#output.subarray(0, count));
  }

  #read(offset: number): number {
    const s = this.state;
    const isDivisor = (s.lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case Reg.DATA:
        return isDivisor ? s.divisor & 0xff : this.#readData();
      case Reg.IER:
        return isDivisor ? s.divisor >> 8 : s.ier;
      case Reg.IIR_FCR:
        return this.#readIir();
      case Reg.LCR:
        return s.lcr;
      case Reg.MCR:
        return s.mcr;
      case Reg.LSR:
        return this.#readLsr();
      case Reg.MSR: {
        const value = s.msr;
        s.msr &= ~MSR_DELTAS;
        this.#update();
        return value;
      }
      default:
        return s.scr;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.state;
    const isDivisor = (s.lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case Reg.DATA:
        if (isDivisor) s.divisor = (s.divisor & 0xff00) | value;
        else this.#transmit(value);
        return;
      case Reg.IER:
        if (isDivisor) s.divisor = (s.divisor & 0x00ff) | (value << 8);
        else this.#writeIer(value & IER_MASK);
        return;
      case Reg.IIR_FCR:
        this.#writeFcr(value);
        return;
      case Reg.LCR:
        s.lcr = value;
        return;
      case Reg.MCR:
        s.mcr = value & MCR_MASK;
        this.#updateModemLines();
        this.#update();
        this.#fill(); // out of loopback
        return;
      case Reg.SCR:
        s.scr = value;
        return;
      default:
        this.trace('write-to-read-only', offset, value);
    }
  }

  /** Hot: the guest's output. */
  #transmit(byte: number): void {
    const s = this.state;
    s.thrEmptyPending = true; // empty again by the time the write has ended
    if ((s.mcr & MCR_LOOP) !== 0) {
      this.#receive(byte, 0);
    } else {
      this.#output[this.#outputCount++] = byte;
      // A line at its end: who reads or times the output must not wait for the slice's end.
      if (byte === LINE_FEED || this.#outputCount === OUTPUT_BUFFER_SIZE) this.flush();
    }
    if (s.ier !== 0) this.#update();
  }

  /** Enabling the THRE interrupt while the transmitter is empty, which it always is, raises it. */
  #writeIer(value: number): void {
    const s = this.state;
    if ((value & ~s.ier & IER_THRI) !== 0) s.thrEmptyPending = true;
    s.ier = value;
    this.#update();
  }

  /** §8.5: changing the enable bit clears both FIFOs; the other bits count only while it is written as 1. */
  #writeFcr(value: number): void {
    const s = this.state;
    const isClearing =
      ((value ^ s.fcr) & FCR_ENABLE) !== 0 || (value & (FCR_ENABLE | FCR_CLEAR_RX)) === (FCR_ENABLE | FCR_CLEAR_RX);
    s.fcr = (value & FCR_ENABLE) === 0 ? 0 : value & (FCR_ENABLE | (3 << FCR_TRIGGER_SHIFT));
    if (isClearing) {
      clearFifo(s.rx);
      s.timeoutPending = false;
      s.timeout.del();
    }
    this.#update();
    this.#fill();
  }

  #readData(): number {
    const s = this.state;
    const byte = popFifo(s.rx);
    s.errors |= takeErrors(s.rx);
    s.timeoutPending = false;
    this.#armTimeout();
    this.#update();
    if (s.rx.count === 0) this.#fill();
    return byte;
  }

  #readIir(): number {
    const s = this.state;
    const cause = this.#cause();
    if (cause === IIR_THRE) {
      s.thrEmptyPending = false;
      this.#update();
    }
    return cause | ((s.fcr & FCR_ENABLE) !== 0 ? IIR_FIFOS : 0);
  }

  #readLsr(): number {
    const s = this.state;
    let value = LSR_THRE | LSR_TEMT | s.errors;
    if (s.rx.count > 0) value |= LSR_DR;
    if ((s.fcr & FCR_ENABLE) !== 0 && ((s.errors & LSR_CHARACTER_ERRORS) !== 0 || hasErrors(s.rx)))
      value |= LSR_FIFO_ERROR;
    if (s.errors !== 0) {
      s.errors = 0;
      this.#update();
    }
    return value;
  }

  /** §8.8 bit 4: in loopback the four outputs come back as the four inputs. */
  #updateModemLines(): void {
    const s = this.state;
    let lines = IDLE_MODEM_LINES;
    if ((s.mcr & MCR_LOOP) !== 0) {
      lines = 0;
      if (s.mcr & MCR_RTS) lines |= MSR_CTS;
      if (s.mcr & MCR_DTR) lines |= MSR_DSR;
      if (s.mcr & MCR_OUT1) lines |= MSR_RI;
      if (s.mcr & MCR_OUT2) lines |= MSR_DCD;
    }
    const changed = lines ^ s.msr;
    let deltas = s.msr & MSR_DELTAS;
    if (changed & MSR_CTS) deltas |= MSR_DCTS;
    if (changed & MSR_DSR) deltas |= MSR_DDSR;
    if (changed & s.msr & MSR_RI) deltas |= MSR_TERI; // only when it goes off
    if (changed & MSR_DCD) deltas |= MSR_DDCD;
    s.msr = lines | deltas;
  }

  get #capacity(): number {
    return (this.state.fcr & FCR_ENABLE) !== 0 ? FIFO_SIZE : 1;
  }

  /** Takes input from the back end while there is room. */
  #fill(): void {
    const { rx, mcr } = this.state;
    if (this.#chardev === null || this.#isFilling || (mcr & MCR_LOOP) !== 0) return;
    const room = this.#capacity - rx.count;
    if (room <= 0) return;
    this.#isFilling = true; // a back end may call onReadable from inside read
    const bytes = this.#chardev.read(room);
    this.#isFilling = false;
    const count = Math.min(bytes.length, room);
    if (count === 0) return;
    for (let i = 0; i < count; i++) pushFifo(rx, bytes[i] as number, 0);
    this.#armTimeout();
    this.#update();
  }

  /** A character from the line. Overrun: with FIFOs the new character is lost, without them it replaces the old (§8.4 bit 1). */
  #receive(byte: number, errors: number): void {
    const s = this.state;
    if (s.rx.count >= this.#capacity) {
      s.errors |= LSR_OE;
      if ((s.fcr & FCR_ENABLE) === 0) {
        popFifo(s.rx);
        pushFifo(s.rx, byte, errors);
      }
    } else {
      pushFifo(s.rx, byte, errors);
    }
    if (s.rx.count === 1) s.errors |= takeErrors(s.rx);
    this.#armTimeout();
    this.#update();
  }

  /** §8.4 bit 4: one zero character with the break bit enters the FIFO. */
  #onBreak(): void {
    if ((this.state.mcr & MCR_LOOP) === 0) this.#receive(0, LSR_BI);
  }

  #armTimeout(): void {
    const s = this.state;
    if ((s.fcr & FCR_ENABLE) === 0 || s.rx.count === 0) {
      s.timeout.del();
      return;
    }
    const bits = 1 + 5 + (s.lcr & LCR_WORD_MASK) + (s.lcr & LCR_PARITY ? 1 : 0) + (s.lcr & LCR_STOP ? 2 : 1);
    const divisor = s.divisor === 0 ? 0x10000 : s.divisor;
    s.timeout.mod(this.env.clock.now() + Math.ceil(TIMEOUT_CHARACTERS * bits * divisor * BIT_NS_PER_DIVISOR));
  }

  #onTimeout(): void {
    this.state.timeoutPending = this.state.rx.count > 0;
    this.#update();
  }

  /** §8.6 table IV: the highest pending interrupt. */
  #cause(): number {
    const s = this.state;
    if ((s.ier & IER_RLSI) !== 0 && s.errors !== 0) return IIR_RLS;
    if ((s.ier & IER_RDI) !== 0 && s.rx.count > 0) {
      const isFifo = (s.fcr & FCR_ENABLE) !== 0;
      if (!isFifo || s.rx.count >= (TRIGGER_LEVELS[s.fcr >> FCR_TRIGGER_SHIFT] as number)) return IIR_RDA;
      if (s.timeoutPending) return IIR_CTI;
    }
    if ((s.ier & IER_THRI) !== 0 && s.thrEmptyPending) return IIR_THRE;
    return (s.ier & IER_MSI) !== 0 && (s.msr & MSR_DELTAS) !== 0 ? IIR_MSR : IIR_NONE;
  }

  #update(): void {
    this.#irq?.set((this.state.mcr & MCR_OUT2) !== 0 && this.#cause() !== IIR_NONE);
  }
}

export const ISA_SERIAL = defineDevice({
  name: 'isa-serial',
  description: 'UART 16550A',
  bus: 'isa',
  properties: PROPERTIES,
  create: (init) => new Serial(init),
});
