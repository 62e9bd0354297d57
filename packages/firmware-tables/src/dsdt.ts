/**
 * The DSDT of the i440fx/PIIX3 board: host bridge with its windows, interrupt routing, PIIX3 ISA devices, sleep state S5.
 *
 * Spec: ACPI 6.4 §6.2.13 `_PRT`, §7.4.2 `\_Sx`; 82371SB (PIIX3) §2.2.7 "PIRQRC[A:D]". PCI slot s, pin p uses PIRQ (s - 1 + p) mod 4,
 * except pin A of slot 1, which is the power-management function and raises the SCI. Not described: hot plug, thermal, battery,
 * S3 and S4 (there is no firmware to resume into).
 */
import * as aml from './aml.ts';
import { PCI_LINK_INTERRUPTS, type PcDescription } from './pc-description.ts';
import {
  busRange,
  dma,
  io,
  isaIrq,
  levelInterrupts,
  memoryRange,
  portRange,
  resourceTemplate,
} from './resource-template.ts';

const LINKS = ['LNKA', 'LNKB', 'LNKC', 'LNKD'];

function isaDevice(where: string, id: string, ...resources: readonly (readonly number[])[]): number[] {
  return aml.device(
    where,
    aml.name('_HID', aml.eisaId(id)),
    aml.name('_STA', aml.integer(0x0f)),
    aml.name('_CRS', resourceTemplate(...resources)),
  );
}

/** PIIX3 function 0 is the ISA bridge; P40C is its PIRQ route control, one byte a link. */
function isaBridge(pc: PcDescription): number[] {
  const devices: number[][] = [
    aml.name('_ADR', aml.integer(0x0001_0000)),
    aml.operationRegion('P40C', aml.PCI_CONFIG, 0x60, 4),
    isaDevice('RTC', 'PNP0B00', io(0x70, 8), isaIrq(8)),
    isaDevice('TIMR', 'PNP0100', io(0x40, 4), isaIrq(0)),
    isaDevice('DMAC', 'PNP0200', io(0x00, 16), io(0x80, 16), io(0xc0, 32), dma(4)),
    isaDevice('SPKR', 'PNP0800', io(0x61, 1)),
  ];
  if (pc.hasKeyboard) {
    devices.push(isaDevice('KBD', 'PNP0303', io(0x60, 1), io(0x64, 1), isaIrq(1)));
    devices.push(isaDevice('MOU', 'PNP0F13', isaIrq(12)));
  }
  if (pc.hasFloppy) devices.push(isaDevice('FDC0', 'PNP0700', io(0x3f2, 4), io(0x3f7, 1), isaIrq(6), dma(2)));
  const ports: readonly (readonly [number, number])[] = [
    [0x3f8, 4],
    [0x2f8, 3],
    [0x3e8, 4],
    [0x2e8, 3],
  ];
  ports.slice(0, pc.serialPorts).forEach(([port, irq], i) => {
    const body = [
      aml.name('_HID', aml.eisaId('PNP0501')),
      aml.name('_UID', aml.integer(i + 1)),
      aml.name('_STA', aml.integer(0x0f)),
    ];
    devices.push(aml.device(`COM${i + 1}`, ...body, aml.name('_CRS', resourceTemplate(io(port, 8), isaIrq(irq)))));
  });
  return aml.device('ISA', ...devices);
}

/** A PCI interrupt link (PNP0C0F). Bit 7 of the route register = not routed. */
function link(index: number): number[] {
  const register = aml.path(`PRQ${index}`);
  const current = resourceTemplate(levelInterrupts(0));
  return aml.device(
    LINKS[index]!,
    aml.name('_HID', aml.eisaId('PNP0C0F')),
    aml.name('_UID', aml.integer(index)),
    aml.name('_PRS', resourceTemplate(levelInterrupts(...PCI_LINK_INTERRUPTS))),
    aml.method(
      '_STA',
      0,
      false,
      aml.when(aml.and(register, aml.integer(0x80)), aml.giveBack(aml.integer(0x09))),
      aml.giveBack(aml.integer(0x0b)),
    ),
    aml.method('_DIS', 0, false, aml.or(register, aml.integer(0x80), register)),
    aml.method(
      '_CRS',
      0,
      true,
      aml.name('BUF0', current),
      // Offset 5: tag, length, flags and count come before the first interrupt number.
      aml.createDwordField(aml.path('BUF0'), 5, 'IRQ0'),
      aml.when(aml.less(register, aml.integer(0x80)), aml.store(register, aml.path('IRQ0'))),
      aml.giveBack(aml.path('BUF0')),
    ),
    aml.method('_SRS', 1, false, aml.createDwordField(aml.arg(0), 5, 'IRQ0'), aml.store(aml.path('IRQ0'), register)),
  );
}

/** The SCI as a link that cannot be moved. */
function sciLink(gsi: number): number[] {
  const fixed = resourceTemplate(levelInterrupts(gsi));
  return aml.device(
    'LNKS',
    aml.name('_HID', aml.eisaId('PNP0C0F')),
    aml.name('_UID', aml.integer(4)),
    aml.name('_PRS', fixed),
    aml.name('_CRS', fixed),
    aml.name('_STA', aml.integer(0x0b)),
    aml.method('_DIS', 0, false),
    aml.method('_SRS', 1, false),
  );
}

function routingTable(): number[] {
  const rows: number[][] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const source = slot === 1 && pin === 0 ? 'LNKS' : LINKS[(slot + 3 + pin) & 3]!;
      rows.push(aml.packageOf(aml.integer(slot * 0x1_0000 + 0xffff), aml.integer(pin), aml.path(source), aml.ZERO));
    }
  }
  return aml.packageOf(...rows);
}

/** The AML body of the DSDT, without the table header. */
export function dsdtBody(pc: PcDescription): Uint8Array {
  const hostBridge = aml.device(
    'PCI0',
    aml.name('_HID', aml.eisaId('PNP0A03')),
    aml.name('_ADR', aml.ZERO),
    aml.name('_UID', aml.ZERO),
    aml.name(
      '_CRS',
      resourceTemplate(
        busRange(0, 0xff),
        io(0xcf8, 8),
        portRange(0x0000, 0x0cf7),
        portRange(0x0d00, 0xffff),
        memoryRange(0xa_0000, 0xb_ffff, true),
        memoryRange(pc.pciMemoryStart, pc.ioApicAddress - 1, false),
      ),
    ),
    aml.name('_PRT', routingTable()),
    isaBridge(pc),
  );
  const processors = pc.apicIds.map((_, i) => aml.processor(`C${i.toString(16).toUpperCase().padStart(3, '0')}`, i));
  const terms = [
    aml.scope('\\_SB', hostBridge),
    // The route registers are named at \_SB, beside the links that use them.
    aml.scope(
      '\\_SB',
      aml.field('PCI0.ISA.P40C', [
        ['PRQ0', 8],
        ['PRQ1', 8],
        ['PRQ2', 8],
        ['PRQ3', 8],
      ]),
      ...LINKS.map((_, i) => link(i)),
      sciLink(pc.sciInterrupt),
      ...processors,
    ),
    // SLP_TYP 0 in PM1a_CNT is soft off on this board.
    aml.name('\\_S5', aml.packageOf(aml.ZERO, aml.ZERO, aml.ZERO, aml.ZERO)),
  ];
  return Uint8Array.from(terms.flat());
}
