/**
 * Intel 82441FX host bridge, function 00.0 (8086:1237): PAM windows and SMRAM.
 * Not here: DRAM timing and refresh (registers keep what is written), ECC, the graphics aperture (440BX has one, FX has not).
 * Intel 82441FX data sheet (290549-001), §3.2 "PCI Configuration Space Mapped Registers".
 */
import { MemoryRegion } from '@emkit/memory';
import { defineDevice, type DeviceInit } from '@emkit/qdev';
import { PCI_PROPERTIES, PciDevice, PciReg, setLe16 } from '@emkit/pci';
import { PAM_WINDOWS } from './limits.ts';
import { createPamViews, PAM_READ, PAM_WRITE, PamWindow, type PamBuses } from './pam.ts';

/** §3.2, Table 3-1 "Device 0 Registers". */
export const I440fxReg = {
  PMCCFG: 0x50,
  DETURBO: 0x52,
  DBC: 0x53,
  DRAMC: 0x57,
  DRAMT: 0x58,
  PAM0: 0x59,
  DRB0: 0x60,
  FDHC: 0x68,
  MTT: 0x70,
  CLT: 0x71,
  SMRAM: 0x72,
  ERRCMD: 0x90,
} as const;

/** §3.2.22 "SMRAM": G_SMRAME, D_LCK, D_CLS, D_OPEN; bits 2-0 are fixed to 010 (0xA0000). */
const SMRAM_D_LCK = 1 << 4;
const SMRAM_D_CLS = 1 << 5;
const SMRAM_D_OPEN = 1 << 6;
const SMRAM_WRITABLE = 0x78;
const SMRAM_RESET = 0x02;
const SMRAM_BASE = 0xa0000;
const SMRAM_SIZE = 0x20000;

const MIB = 2 ** 20;

export class I440fx extends PciDevice {
  #windows: PamWindow[] = [];
  #smramClosed: MemoryRegion | null = null;

  constructor(init: DeviceInit<typeof PCI_PROPERTIES>) {
    super(init);
    this.setId({
      vendor: 0x8086,
      device: 0x1237,
      classCode: 0x060000,
      revision: 0x02,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
    });
    const { config: c, writable: w } = this;
    setLe16(c, PciReg.COMMAND, 0x0006); // memory and bus master are fixed to 1 (§3.2.3)
    setLe16(w, PciReg.COMMAND, 0x0100);
    setLe16(c, PciReg.STATUS, 0x0280);
    for (const register of [
      I440fxReg.PMCCFG,
      I440fxReg.PMCCFG + 1,
      I440fxReg.DETURBO,
      I440fxReg.DBC,
      I440fxReg.DRAMC,
      I440fxReg.DRAMT,
      I440fxReg.FDHC,
      I440fxReg.MTT,
      I440fxReg.CLT,
    ]) {
      w[register] = 0xff;
    }
    c[I440fxReg.DRAMC] = 0x01;
    w.fill(0xff, I440fxReg.DRB0, I440fxReg.DRB0 + 8);
    w[I440fxReg.PAM0] = 0x30;
    w.fill(0x33, I440fxReg.PAM0 + 1, I440fxReg.PAM0 + 7);
    w[I440fxReg.SMRAM] = SMRAM_WRITABLE;
    c[I440fxReg.SMRAM] = SMRAM_RESET;
  }

  /** By the host bridge, before realize: what the windows steer between, and the size of RAM in bytes for the row boundaries. */
  setMemory(buses: PamBuses, ramSize: number): void {
    const views = createPamViews(buses);
    this.#windows = Array.from({ length: PAM_WINDOWS }, (_, i) => {
      return i === 0
        ? new PamWindow(0xf0000, 0x10000, buses, views)
        : new PamWindow(0xc0000 + (i - 1) * 0x4000, 0x4000, buses, views);
    });
    this.#smramClosed = MemoryRegion.alias('smram-closed', buses.pci, { offset: SMRAM_BASE, size: SMRAM_SIZE });
    // §3.2.19 "DRB": cumulative size in 8 MiB, all in the first row; 8 bits
    this.config.fill(Math.min(255, Math.ceil(ramSize / (8 * MIB))), I440fxReg.DRB0, I440fxReg.DRB0 + 8);
    for (const window of this.#windows) window.map();
    buses.system.add(SMRAM_BASE, this.#smramClosed, 1);
  }

  protected override onUnrealize(): void {
    super.onUnrealize();
    for (const window of this.#windows) window.unmap();
    this.#smramClosed?.unmap();
  }

  protected override onReset(): void {
    this.writable[I440fxReg.SMRAM] = SMRAM_WRITABLE;
    super.onReset();
    this.#update();
  }

  override onPostLoad(): void {
    this.writable[I440fxReg.SMRAM] = SMRAM_WRITABLE;
    super.onPostLoad();
  }

  protected override onConfigWritten(offset: number, size: number): void {
    if (offset + size > I440fxReg.PAM0 && offset <= I440fxReg.SMRAM) this.#update();
  }

  #update(): void {
    this.#lockSmram();
    const region = this.#smramClosed;
    if (region === null) return;
    region.transaction(() => {
      this.#windows.forEach((window, i) => {
        // window 0 is the high nibble of PAM0; windows 1.. are the nibbles of PAM1.., low first (Table 3-2)
        const byte = this.config[I440fxReg.PAM0 + ((i + 1) >> 1)] as number;
        window.set((i % 2 === 0 ? byte >> 4 : byte) & (PAM_READ | PAM_WRITE));
      });
      region.setEnabled(((this.config[I440fxReg.SMRAM] as number) & SMRAM_D_OPEN) === 0);
    });
  }

  /** D_LCK closes SMRAM and keeps it so until reset; only D_CLS can still be changed. */
  #lockSmram(): void {
    const smram = this.config[I440fxReg.SMRAM] as number;
    if ((smram & SMRAM_D_LCK) === 0) return;
    this.config[I440fxReg.SMRAM] = smram & ~SMRAM_D_OPEN;
    this.writable[I440fxReg.SMRAM] = SMRAM_D_CLS;
  }
}

export const I440FX = defineDevice({
  name: 'i440FX',
  description: 'Host bridge',
  bus: 'pci',
  userCreatable: false,
  properties: PCI_PROPERTIES,
  create: (init) => new I440fx(init),
});
