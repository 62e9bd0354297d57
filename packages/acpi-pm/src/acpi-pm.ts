/**
 * PIIX4 power management, function 3 (8086:7113): the ACPI fixed hardware (PM1 event and control, PM timer, SCI), a
 * general purpose event block, and the APM ports through which a guest takes over from firmware.
 * Soft off (S5, and S4) asks the machine to shut down. S1 and S3 are refused: the guest is told at once that it woke up.
 * Not here: SMBus, SMM (SMI is a line that nobody need connect), throttling, device monitors.
 * Intel 82371AB data sheet 290562-001 chapter 7; ACPI 6.4 §4.8 "ACPI Register Model".
 */
import { MemoryRegion } from '@emkit/memory';
import {
  defineDevice,
  defineVmState,
  type DeviceInit,
  type DeviceTimer,
  field,
  type Irq,
  property,
  type PropertySpecs,
} from '@emkit/qdev';
import { PCI_FIELDS, PCI_PROPERTIES, PciDevice, PciReg, type PciState, setLe16, setLe32 } from '@emkit/pci';
import { GPE_COUNT, PM_BLOCK_SIZE } from './limits.ts';
import { nextOverflow, pmTicks, pmTicksToNs, pmTimerValue } from './pm-timer.ts';
import {
  ACPI_DISABLE,
  ACPI_ENABLE,
  APMC_PORT,
  BM_STS,
  ConfigReg,
  PM1_CNT_MASK,
  PM1_EN_MASK,
  PM1_STS_MASK,
  PmReg,
  PWRBTN_STS,
  SCI_EN,
  SLP_EN,
  SLP_TYP_MASK,
  SLP_TYP_S4,
  SLP_TYP_SHIFT,
  SLP_TYP_SOFT_OFF,
  TMR_STS,
  WAK_STS,
} from './registers.ts';

const PROPERTIES = {
  ...PCI_PROPERTIES,
  'io-base': property.uint16(
    0x600,
    'base of the register block after reset; 0: not decoded until firmware programs it',
  ),
  'gpe0-base': property.uint16(0xafe0, 'base of the general purpose event block (2 status, 2 enable bytes)'),
} satisfies PropertySpecs;

const APMC_EN = 1 << 1;
const PMIOSE = 1 << 0;

interface AcpiPmState {
  pci: PciState;
  pm1Status: number;
  pm1Enable: number;
  pm1Control: number;
  /** PM timer ticks at which TMR_STS is set next. */
  overflowTicks: number;
  gpeStatus: number;
  gpeEnable: number;
  apmControl: number;
  apmStatus: number;
}

const VMSTATE = defineVmState<AcpiPmState>({
  name: 'PIIX4_PM',
  version: 1,
  fields: [
    field.struct('pci', PCI_FIELDS),
    field.u16('pm1Status'),
    field.u16('pm1Enable'),
    field.u16('pm1Control'),
    field.u64('overflowTicks', { max: 2 ** 45 }),
    field.u16('gpeStatus'),
    field.u16('gpeEnable'),
    field.u8('apmControl'),
    field.u8('apmStatus'),
  ],
  check: (s) => {
    if ((s.pm1Status & ~PM1_STS_MASK) !== 0) return 'pm1Status has bits that do not exist';
    if ((s.pm1Enable & ~PM1_EN_MASK) !== 0) return 'pm1Enable has bits that do not exist';
    return (s.pm1Control & ~PM1_CNT_MASK) !== 0 ? 'pm1Control has bits that do not exist' : null;
  },
});

export class AcpiPm extends PciDevice {
  override readonly vmstate = VMSTATE;
  override readonly state: AcpiPmState = {
    pci: this.pci,
    pm1Status: 0,
    pm1Enable: 0,
    pm1Control: 0,
    overflowTicks: 0,
    gpeStatus: 0,
    gpeEnable: 0,
    apmControl: 0,
    apmStatus: 0,
  };
  readonly #sci: Irq;
  readonly #smi: Irq;
  readonly #timer: DeviceTimer;
  readonly #pmRegion: MemoryRegion;
  readonly #gpeRegion: MemoryRegion;
  readonly #apmRegion: MemoryRegion;
  readonly #gpeBase: number;
  #mappedAt = 0;

  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.setId({
      vendor: 0x8086,
      device: 0x7113,
      classCode: 0x068000,
      revision: 0x03,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
      interruptPin: 1,
    });
    this.#gpeBase = init.props['gpe0-base'];
    this.#setupConfig(init.props['io-base']);
    this.#sci = this.defineGpioOut('sci', 1)[0] as Irq;
    this.#smi = this.defineGpioOut('smi', 1)[0] as Irq;
    this.#timer = this.env.clock.createTimer(() => this.#update());
    this.#pmRegion = MemoryRegion.io('piix4-pm', PM_BLOCK_SIZE, {
      read: (offset) => this.#readPm(offset & ~3) >>> ((offset & 3) * 8),
      write: (offset, value, size) => {
        for (let i = 0; i < size; i++) this.#writePmByte(offset + i, (value >>> (i * 8)) & 0xff);
      },
    });
    this.#gpeRegion = MemoryRegion.io('acpi-gpe0', 4, {
      read: (offset) => (((this.state.gpeEnable << 16) | this.state.gpeStatus) >>> (offset * 8)) & 0xff,
      write: (offset, value) => this.#writeGpeByte(offset, value),
      impl: { max: 1 },
    });
    this.#apmRegion = MemoryRegion.io('apm-io', 2, {
      read: (offset) => (offset === 0 ? this.state.apmControl : this.state.apmStatus),
      write: (offset, value) => (offset === 0 ? this.#writeApmControl(value) : void (this.state.apmStatus = value)),
      impl: { max: 1 },
    });
  }

  /** §7.1: fixed and default values. */
  #setupConfig(base: number): void {
    const { config: c, writable: w } = this;
    setLe16(c, PciReg.STATUS, 0x0280);
    c[PciReg.INTERRUPT_LINE] = 9; // SCI
    setLe16(c, ConfigReg.PMBASE, (base & 0xffc0) | 1);
    setLe16(w, ConfigReg.PMBASE, 0xffc0);
    c[ConfigReg.PMREGMISC] = base === 0 ? 0 : PMIOSE;
    w[ConfigReg.PMREGMISC] = PMIOSE;
    w.fill(0xff, 0x44, 0x80);
    // firmware takes a set APMC_EN as "system management mode is set up already", and leaves it alone
    c[ConfigReg.DEVACTB3] = APMC_EN;
    setLe32(c, ConfigReg.SMBBASE, 1);
    setLe32(w, ConfigReg.SMBBASE, 0xfff0);
    w[ConfigReg.SMBHSTCFG] = 0x0f;
  }

  protected override onRealize(): void {
    this.bus.io.add(this.#gpeBase, this.#gpeRegion);
    this.bus.io.add(APMC_PORT, this.#apmRegion);
    this.#updateMapping();
  }

  protected override onUnrealize(): void {
    super.onUnrealize();
    this.#timer.del();
    this.#pmRegion.unmap();
    this.#gpeRegion.unmap();
    this.#apmRegion.unmap();
    this.#mappedAt = 0;
  }

  protected override onReset(): void {
    super.onReset();
    const s = this.state;
    s.pm1Status = s.pm1Enable = s.pm1Control = s.gpeStatus = s.gpeEnable = s.apmControl = s.apmStatus = 0;
    s.overflowTicks = nextOverflow(pmTicks(this.env.clock.now()));
    this.#timer.del();
    this.#updateMapping();
  }

  protected override onResetExit(): void {
    super.onResetExit();
    this.#update();
  }

  override onPostLoad(): void {
    super.onPostLoad();
    this.#update();
  }

  protected override onConfigWritten(offset: number, size: number): void {
    if (offset + size > ConfigReg.PMBASE && offset <= ConfigReg.PMREGMISC) this.#updateMapping();
  }

  /** The power button was pressed: an event that an ACPI guest takes as a wish to shut down. */
  powerButton(): void {
    this.state.pm1Status |= PWRBTN_STS;
    this.#update();
  }

  /** General purpose event `index` (0-15) happened. */
  raiseGpe(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= GPE_COUNT)
      throw new RangeError(`there is no general purpose event ${index}`);
    this.state.gpeStatus |= 1 << index;
    this.#update();
  }

  /** Base of the decoded register block, or 0. */
  get ioBase(): number {
    return this.#mappedAt;
  }

  #updateMapping(): void {
    if (this.parentBus === null) return;
    const isDecoded = ((this.config[ConfigReg.PMREGMISC] as number) & PMIOSE) !== 0;
    const base = isDecoded ? this.le16(ConfigReg.PMBASE) & 0xffc0 : 0;
    if (base === this.#mappedAt) return;
    this.#mappedAt = base;
    this.bus.io.transaction(() => {
      this.#pmRegion.unmap();
      if (base !== 0) this.bus.io.add(base, this.#pmRegion, 1);
    });
  }

  /** Aligned dword of the I/O block; reserved places read 0. */
  #readPm(offset: number): number {
    const s = this.state;
    switch (offset) {
      case PmReg.PM1_STS:
        this.#noticeOverflow();
        return ((s.pm1Enable << 16) | s.pm1Status) >>> 0;
      case PmReg.PM1_CNT:
        return s.pm1Control;
      case PmReg.PM_TMR:
        return pmTimerValue(this.env.clock.now());
      default:
        this.trace('read-reserved', offset);
        return 0;
    }
  }

  #writePmByte(offset: number, value: number): void {
    const s = this.state;
    const shift = (offset & 1) * 8;
    const keep = 0xff00 >> shift; // the other byte of the register
    switch (offset & ~1) {
      case PmReg.PM1_STS:
        this.#noticeOverflow();
        if ((value << shift) & TMR_STS) s.overflowTicks = nextOverflow(pmTicks(this.env.clock.now()));
        s.pm1Status &= ~(value << shift);
        break;
      case PmReg.PM1_EN:
        s.pm1Enable = ((s.pm1Enable & keep) | (value << shift)) & PM1_EN_MASK;
        break;
      case PmReg.PM1_CNT:
        s.pm1Control = ((s.pm1Control & keep) | (value << shift)) & PM1_CNT_MASK;
        if ((value << shift) & SLP_EN) this.#sleep((s.pm1Control & SLP_TYP_MASK) >> SLP_TYP_SHIFT);
        break;
      default:
        this.trace('write-reserved', offset, value);
        return;
    }
    this.#update();
  }

  #sleep(type: number): void {
    if (type === SLP_TYP_SOFT_OFF) {
      this.env.system.shutdown('acpi soft off');
    } else if (type === SLP_TYP_S4) {
      this.env.system.shutdown('acpi suspend to disk');
    } else {
      this.trace('sleep-refused', type);
      this.state.pm1Status |= WAK_STS;
    }
  }

  #writeGpeByte(offset: number, value: number): void {
    const s = this.state;
    const shift = (offset & 1) * 8;
    if (offset < 2) s.gpeStatus &= ~(value << shift);
    else s.gpeEnable = (s.gpeEnable & (0xff00 >> shift)) | (value << shift);
    this.#update();
  }

  /** ACPI 6.4 §4.8.2.5 "Legacy/ACPI Select and the SCI Interrupt": what SMM code does on other boards. */
  #writeApmControl(value: number): void {
    const s = this.state;
    s.apmControl = value;
    if (value === ACPI_ENABLE) s.pm1Control |= SCI_EN;
    else if (value === ACPI_DISABLE) s.pm1Control &= ~SCI_EN;
    this.#update();
    if ((this.config[ConfigReg.DEVACTB3] as number) & APMC_EN) this.#smi.pulse();
  }

  #noticeOverflow(): void {
    if (pmTicks(this.env.clock.now()) >= this.state.overflowTicks) this.state.pm1Status |= TMR_STS;
  }

  /** Drives SCI, and arms the timer when its overflow would raise it. */
  #update(): void {
    const s = this.state;
    this.#noticeOverflow();
    const fixedEvents = s.pm1Status & s.pm1Enable & ~BM_STS;
    const isAcpi = (s.pm1Control & SCI_EN) !== 0;
    this.#sci.set(isAcpi && (fixedEvents !== 0 || (s.gpeStatus & s.gpeEnable) !== 0));
    if ((s.pm1Enable & TMR_STS) !== 0 && (s.pm1Status & TMR_STS) === 0) this.#timer.mod(pmTicksToNs(s.overflowTicks));
    else this.#timer.del();
  }
}

export const ACPI_PM = defineDevice({
  name: 'PIIX4_PM',
  description: 'PM',
  bus: 'pci',
  userCreatable: false,
  properties: PROPERTIES,
  create: (init) => new AcpiPm(init),
});
