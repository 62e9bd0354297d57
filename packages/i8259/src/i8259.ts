/**
 * The PC's pair of interrupt controllers 8259A: the slave drives IR2 of the master, sixteen inputs in all.
 * The acknowledge cycle is a method, not bus traffic. The slave's request is latched by the master like any edge: when
 * it goes away before the acknowledge, the slave answers with its IR7 (IRQ15), which is then not in service.
 * Intel 8259A data sheet (231468-003); edge/level control by inputs `elcr` (Intel 82371SB §2.5.1.12).
 */
import { MemoryRegion } from '@emkit/memory';
import { defineDevice, defineVmState, Device, type DeviceInit, field, type Irq, type IsaBus } from '@emkit/qdev';
import {
  InitStep,
  levelInputs,
  makePicChip,
  pendingLevel,
  type PicChipState,
  readPic,
  readPoll,
  resetPicChip,
  setElcr,
  setLine,
  takeInService,
  writePic,
} from './pic-chip.ts';
import { CASCADE_LINE, ICW4_MASK, MASTER_PORT, SLAVE_PORT, SPURIOUS_LEVEL } from './registers.ts';

interface I8259State {
  master: PicChipState;
  slave: PicChipState;
}

const CHIP_FIELDS = [
  field.u8('lines'),
  field.u8('irr'),
  field.u8('isr'),
  field.u8('imr'),
  field.u8('elcr'),
  field.u8('vectorBase'),
  field.u8('icw1'),
  field.u8('icw3'),
  field.u8('icw4', { max: ICW4_MASK }),
  field.u8('initStep', { max: InitStep.ICW4 }),
  field.u8('lowest', { max: 7 }),
  field.bool('readIsr'),
  field.bool('poll'),
  field.bool('specialMask'),
  field.bool('rotateOnAeoi'),
];

const VMSTATE = defineVmState<I8259State>({
  name: 'i8259',
  version: 1,
  fields: [field.struct('master', CHIP_FIELDS), field.struct('slave', CHIP_FIELDS)],
  check: (s) => ((s.master.vectorBase | s.slave.vectorBase) & 7 ? 'vector bases are multiples of 8' : null),
});

const NO_CASCADE = -1;

export class I8259Pair extends Device {
  override readonly vmstate = VMSTATE;
  override readonly state: I8259State = { master: makePicChip(), slave: makePicChip() };
  readonly #int: Irq;
  readonly #masterRegion: MemoryRegion;
  readonly #slaveRegion: MemoryRegion;

  constructor(init: DeviceInit) {
    super(init);
    this.#int = this.defineGpioOut('int', 1)[0] as Irq;
    this.defineGpioIn('', 16, (index, level) => this.#setInput(index, level));
    this.defineGpioIn('elcr', 16, (index, level) => this.#setElcr(index, level !== 0));
    const { master, slave } = this.state;
    this.#masterRegion = this.#makeRegion('i8259-master', master);
    this.#slaveRegion = this.#makeRegion('i8259-slave', slave);
  }

  protected override onRealize(): void {
    const { io } = this.parentBus as IsaBus;
    io.add(MASTER_PORT, this.#masterRegion);
    io.add(SLAVE_PORT, this.#slaveRegion);
  }

  protected override onUnrealize(): void {
    this.#masterRegion.unmap();
    this.#slaveRegion.unmap();
    this.#int.lower();
  }

  protected override onReset(): void {
    const { master, slave } = this.state;
    resetPicChip(slave);
    master.lines &= ~(1 << CASCADE_LINE);
    resetPicChip(master);
  }

  protected override onResetExit(): void {
    this.#update();
  }

  override onPostLoad(): void {
    this.#update();
  }

  /** Is the CPU asked for? Same as the level of gpio out `int`. */
  get isRequesting(): boolean {
    return this.#int.level !== 0;
  }

  /** The acknowledge cycle (INTA): the vector. When the request has gone, IR7 of the chip concerned, without service. */
  acknowledge(): number {
    const { master, slave } = this.state;
    const level = pendingLevel(master, CASCADE_LINE);
    if (level < 0) return master.vectorBase | SPURIOUS_LEVEL;
    takeInService(master, level);
    let vector = master.vectorBase | level;
    if (level === CASCADE_LINE) {
      const slaveLevel = pendingLevel(slave, NO_CASCADE);
      if (slaveLevel >= 0) takeInService(slave, slaveLevel);
      vector = slave.vectorBase | (slaveLevel >= 0 ? slaveLevel : SPURIOUS_LEVEL);
      this.#renewCascade();
    }
    this.#update();
    return vector;
  }

  #makeRegion(name: string, chip: PicChipState): MemoryRegion {
    return MemoryRegion.io(name, 2, {
      read: (offset) => {
        if (!chip.poll) return readPic(chip, offset);
        const word = readPoll(chip, chip === this.state.master ? CASCADE_LINE : NO_CASCADE);
        if (chip === this.state.slave) this.#renewCascade();
        this.#update();
        return word;
      },
      write: (offset, value) => {
        writePic(chip, offset, value);
        this.#update();
      },
      impl: { max: 1 },
    });
  }

  #setInput(index: number, level: number): void {
    if (index === CASCADE_LINE) return; // taken by the slave
    const { master, slave } = this.state;
    if (index < 8) setLine(master, index, level);
    else setLine(slave, index - 8, level);
    this.#update();
  }

  #setElcr(index: number, isLevel: boolean): void {
    const { master, slave } = this.state;
    if (index < 8) setElcr(master, index, isLevel);
    else setElcr(slave, index - 8, isLevel);
    this.#update();
  }

  /** After an acknowledge the slave takes its INT back for a moment, so that a second request is a second edge. */
  #renewCascade(): void {
    setLine(this.state.master, CASCADE_LINE, 0);
  }

  /** Drives the slave's INT into the master, and the master's to the CPU. */
  #update(): void {
    const { master, slave } = this.state;
    setLine(master, CASCADE_LINE, pendingLevel(slave, NO_CASCADE) >= 0 ? 1 : 0);
    this.#int.set(pendingLevel(master, CASCADE_LINE) >= 0);
  }

  /** For `info pic`: one line a chip. */
  describe(): string {
    const line = (name: string, c: PicChipState): string =>
      `${name}: irr=${hex(c.irr)} imr=${hex(c.imr)} isr=${hex(c.isr)} base=${hex(c.vectorBase)} level=${hex(levelInputs(c))} lowest=${c.lowest}\n`;
    return line('pic0', this.state.master) + line('pic1', this.state.slave);
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

export const I8259 = defineDevice({
  name: 'isa-pic',
  description: 'Pair of interrupt controllers 8259A',
  bus: 'isa',
  userCreatable: false,
  properties: {},
  create: (init) => new I8259Pair(init),
});
