/**
 * Intel 82371SB (PIIX3) ISA bridge, function 01.0 (8086:7000): the ISA bus, the PCI interrupt router (PIRQRC), the
 * edge/level control registers (ELCR) and the reset control register (0xCF9).
 * Not here: IDE (function 1), USB (function 2), the 8259/8254/8237 blocks (devices of their own), X-bus chip selects, SMM.
 * Intel 82371SB data sheet (290550-002).
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  type DeviceInit,
  field,
  type Irq,
  IsaBus,
  orIrqs,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { PCI_FIELDS, PCI_PROPERTIES, PciDevice, PciReg, type PciState, setLe16 } from '@emkit/pci';
import { ISA_IRQS, PIRQ_LINES } from './limits.ts';

const PROPERTIES = {
  ...PCI_PROPERTIES,
  'isa-memory': property.link<MemoryRegion>('memory-region', "where ISA devices map memory; the PCI bus's when absent"),
} satisfies PropertySpecs;

/** §2.2.10 "PIRQRC[A:D] - PIRQx Route Control Registers". */
export const PIRQRC = 0x60;
const PIRQ_DISABLED = 0x80;
/** IRQs a PIRQ can be steered to: not 0, 1, 2, 8, 13. */
const PIRQ_TARGETS = 0xdef8;
/** §2.5.1.12 "ELCR1, ELCR2": the timer, keyboard, cascade, RTC and FPU lines are always edge-triggered. */
const ELCR_PORT = 0x4d0;
const ELCR_MASK = 0xdef8;
/** §2.5.5.1 "RC - Reset Control Register". */
const RESET_CONTROL_PORT = 0xcf9;
const RC_HARD = 1 << 1;
const RC_RESET_CPU = 1 << 2;

/** §2.2, Table 2-1: registers that only keep what is written here, with their default. */
const PASSIVE_REGISTERS: readonly (readonly [register: number, value: number])[] = [
  [0x4c, 0x4d],
  [0x4e, 0x03],
  [0x4f, 0x00],
  [0x69, 0x02],
  [0x6a, 0x00],
  [0x6b, 0x00],
  [0x70, 0x80],
  [0x76, 0x0c],
  [0x77, 0x0c],
  [0x78, 0x02],
  [0x79, 0x00],
  [0x80, 0x00],
  [0x82, 0x00],
  [0xa0, 0x08],
  [0xa2, 0x00],
  [0xa3, 0x00],
  [0xa4, 0x00],
  [0xa5, 0x00],
  [0xa6, 0x00],
  [0xa7, 0x00],
  [0xa8, 0x0f],
  [0xaa, 0x00],
  [0xab, 0x00],
  [0xac, 0x00],
  [0xae, 0x00],
];

interface Piix3State {
  pci: PciState;
  elcr: number;
  resetControl: number;
}

const VMSTATE = defineVmState<Piix3State>({
  name: 'PIIX3',
  version: 1,
  fields: [field.struct('pci', PCI_FIELDS), field.u16('elcr'), field.u8('resetControl', { max: RC_HARD })],
  check: (s) => ((s.elcr & ~ELCR_MASK) !== 0 ? 'elcr has level-triggered lines that are always edge-triggered' : null),
});

export class Piix3 extends PciDevice {
  override readonly vmstate = VMSTATE;
  override readonly state: Piix3State = { pci: this.pci, elcr: 0, resetControl: 0 };
  /** IRQ0-15 out of the chip, towards the interrupt controllers. The board connects each once. */
  readonly isaOut: readonly Irq[];
  readonly #fromIsa: readonly Irq[];
  readonly #fromPirq: readonly Irq[];
  readonly #elcrOut: readonly Irq[];
  readonly #pirqLevel: number[] = new Array<number>(PIRQ_LINES).fill(0);
  readonly #isaMemory: MemoryRegion | null;
  readonly #elcrRegion: MemoryRegion;
  readonly #resetRegion: MemoryRegion;
  #isaBus: IsaBus | null = null;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.setId({ vendor: 0x8086, device: 0x7000, classCode: 0x060100, subsystemVendor: 0x1af4, subsystem: 0x1100 });
    const { config: c, writable: w } = this;
    setLe16(c, PciReg.COMMAND, 0x0007); // I/O, memory and bus master are fixed to 1
    setLe16(w, PciReg.COMMAND, 0x0008);
    setLe16(c, PciReg.STATUS, 0x0200);
    for (const [register, value] of PASSIVE_REGISTERS) {
      c[register] = value;
      w[register] = 0xff;
    }
    c.fill(PIRQ_DISABLED, PIRQRC, PIRQRC + PIRQ_LINES);
    w.fill(0x8f, PIRQRC, PIRQRC + PIRQ_LINES);
    this.#isaMemory = init.props['isa-memory'];
    this.isaOut = this.defineGpioOut('isa-irq', ISA_IRQS);
    this.#elcrOut = this.defineGpioOut('elcr', ISA_IRQS);
    const inputs = this.isaOut.map((out, irq) => orIrqs(`isa-irq${irq}`, 2, out));
    this.#fromIsa = inputs.map((pair) => pair[0] as Irq);
    this.#fromPirq = inputs.map((pair) => pair[1] as Irq);
    this.#elcrRegion = MemoryRegion.io('piix-elcr', 2, {
      read: (offset) => (this.state.elcr >> (offset * 8)) & 0xff,
      write: (offset, value) => this.#writeElcr(offset, value),
      impl: { max: 1 },
    });
    this.#resetRegion = MemoryRegion.io('piix-reset-control', 1, {
      read: () => this.state.resetControl,
      write: (_offset, value) => this.#writeResetControl(value),
    });
  }

  /** The ISA bus behind the bridge; after realize. */
  get isaBus(): IsaBus {
    return this.#isaBus as IsaBus;
  }

  protected override onRealize(): void {
    const bus = this.bus;
    this.#isaBus = new IsaBus(
      'isa.0',
      { io: bus.io, memory: this.#isaMemory ?? bus.memory, irqs: this.#fromIsa, dmaSpace: bus.dma },
      this,
    );
    bus.io.add(ELCR_PORT, this.#elcrRegion);
    bus.io.add(RESET_CONTROL_PORT, this.#resetRegion, 1);
    bus.connectIntx((line, level) => {
      this.#pirqLevel[line] = level;
      this.#route();
    });
  }

  protected override onUnrealize(): void {
    super.onUnrealize();
    this.#elcrRegion.unmap();
    this.#resetRegion.unmap();
  }

  protected override onReset(): void {
    super.onReset();
    this.state.elcr = 0;
    this.state.resetControl = 0;
  }

  protected override onResetExit(): void {
    super.onResetExit();
    this.#driveElcr();
    this.#route();
  }

  override onPostLoad(): void {
    super.onPostLoad();
    this.#driveElcr();
    this.#route();
  }

  protected override onConfigWritten(offset: number, size: number): void {
    if (offset + size > PIRQRC && offset < PIRQRC + PIRQ_LINES) this.#route();
  }

  /** IRQ that PIRQ `line` (0-3) is steered to, or -1. */
  pirqTarget(line: number): number {
    const route = this.config[PIRQRC + line] as number;
    const irq = route & 0xf;
    return (route & PIRQ_DISABLED) === 0 && (PIRQ_TARGETS & (1 << irq)) !== 0 ? irq : -1;
  }

  /** Each ISA line is high while any PIRQ steered to it is. */
  #route(): void {
    let high = 0;
    for (let line = 0; line < PIRQ_LINES; line++) {
      const irq = this.pirqTarget(line);
      if (irq >= 0 && this.#pirqLevel[line] !== 0) high |= 1 << irq;
    }
    for (let irq = 0; irq < ISA_IRQS; irq++) {
      const line = this.#fromPirq[irq] as Irq;
      const level = (high >> irq) & 1;
      if (line.level !== level) line.set(level);
    }
  }

  #writeElcr(offset: number, value: number): void {
    const shift = offset * 8;
    this.state.elcr = ((this.state.elcr & ~(0xff << shift)) | (value << shift)) & ELCR_MASK;
    this.#driveElcr();
  }

  /** Line n high: IRQ n is level-triggered. */
  #driveElcr(): void {
    for (let irq = 0; irq < ISA_IRQS; irq++) (this.#elcrOut[irq] as Irq).set((this.state.elcr >> irq) & 1);
  }

  #writeResetControl(value: number): void {
    this.state.resetControl = value & RC_HARD;
    if (value & RC_RESET_CPU) this.env.system.reset('reset control register');
  }
}

export const PIIX3 = defineDevice({
  name: 'PIIX3',
  description: 'ISA bridge',
  bus: 'pci',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new Piix3(init),
});
