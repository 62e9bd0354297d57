/**
 * The i440fx PC: memory, processor, chipset and wires. Everything here is assembly; the parts are packages of their own.
 *
 * Interrupts: ISA line n goes to pin n of the 8259 pair and of the IO-APIC (0 to pin 2, as the MADT's override says);
 * the 8259's INT goes to the local APIC's LINT0, whose output is the processor's request line.
 */
import { HostMemoryError, Tcg } from '@emkit/accel-tcg';
import type { TcgOptions, TcgProfile, TcgTrace, TranslationOptions } from '@emkit/accel-tcg';
import { ACPI_PM } from '@emkit/acpi-pm';
import type { AcpiPm } from '@emkit/acpi-pm';
import { IO_APIC, LOCAL_APIC } from '@emkit/apic';
import type { LocalApic } from '@emkit/apic';
import type { AioContext } from '@emkit/aio';
import { FW_CFG, FwCfgKey } from '@emkit/fw-cfg';
import { I440FX_PCIHOST, PIIX3, PORT92 } from '@emkit/i440fx';
import type { I440fxPciHost, Piix3 } from '@emkit/i440fx';
import { I8042 } from '@emkit/i8042';
import type { KeyboardController } from '@emkit/i8042';
import { I8237 } from '@emkit/i8237';
import { ISA_PIT } from '@emkit/i8254';
import { I8259 } from '@emkit/i8259';
import { chooseOptimisations } from '@emkit/ir';
import type { Optimisations } from '@emkit/ir';
import { createSpaces, Machine } from '@emkit/machine';
import type { Vcpu } from '@emkit/machine';
import { MC146818 } from '@emkit/mc146818';
import { AddressSpace, MemoryRegion, RamBlock } from '@emkit/memory';
import { orIrqs } from '@emkit/qdev';
import type { Irq } from '@emkit/qdev';
import { ISA_SERIAL } from '@emkit/serial';
import { buildSoftFloatModule } from '@emkit/softfloat';
import { CS, DEFAULT_CPU_MODEL, ENV, F_TSC_DEADLINE, resolveCpuOption, X86Target } from '@emkit/x86';
import type { CpuModel, X86Cpu, X86Host } from '@emkit/x86';
import { rtcProperties, setCmosMemory } from './cmos.ts';
import { logLostState } from './log.ts';
import { MAX_BIOS, PcError } from './options.ts';
import type { LogOptions, PcOptions } from './options.ts';
import { processorHost, TSC_HZ } from './processor-host.ts';
import { checkReach, e820File, mapRam, ramLayout } from './ram-layout.ts';
import type { RamLayout } from './ram-layout.ts';

/** Where the PM registers are when no firmware has moved them. */
export const PM_BASE = 0x600;
const COM = [
  { iobase: 0x3f8, irq: 4 },
  { iobase: 0x2f8, irq: 3 },
  { iobase: 0x3e8, irq: 4 },
  { iobase: 0x2e8, irq: 3 },
] as const;
const REASONS = ['slice', 'halted', 'shutdown', 'debug', 'stopped'] as const;

export interface Board {
  readonly machine: Machine;
  readonly tcg: Tcg;
  readonly cpu: X86Cpu;
  /** Guest RAM from physical 0 to the PCI hole. */
  readonly ram: Uint8Array;
  readonly layout: RamLayout;
  readonly host: I440fxPciHost;
  readonly piix3: Piix3;
  readonly pm: AcpiPm;
  readonly keyboard: KeyboardController;
  readonly serialPorts: number;
}

/** What watches the processor, and what it has of earlier runs. */
export interface ProcessorExtras {
  readonly trace?: TcgTrace | undefined;
  readonly profile?: TcgProfile | undefined;
  readonly translations?: TranslationOptions | undefined;
}

export function buildBoard(
  options: PcOptions,
  aio: AioContext | undefined,
  { trace, profile, translations }: ProcessorExtras,
): Board {
  checkBios(options);
  const layout = ramLayout(options);
  const model = parseCpu(options);
  const { memory, io, portSpace } = createSpaces();
  const { memorySize } = options;
  const biosSize = options.bios === undefined ? 0 : Math.ceil(options.bios.bytes.length / 4096) * 4096;
  let target: X86Target | undefined;
  let acknowledge = (): number => 0xff;
  let ramRegion: MemoryRegion | undefined;
  let biosBlock: RamBlock | undefined;
  let toldOfTripleFault = false;
  let memorySpace: AddressSpace | undefined;
  const optimisations = checkOptimisations(options);
  // runs that are to repeat install regions at the same instruction each time
  const compileThread = options.icount === undefined && optimisations.regions ? options.compileThread : undefined;
  const tcg: Tcg = createTcg({
    ramBytes: memorySize + biosSize,
    tier: options.tier ?? 'auto',
    optimisations,
    compileChannel: compileThread?.({ features: model.features, optimisations }),
    createTarget: (host) => {
      target = new X86Target(
        {
          ...host,
          ...processorHost(model.features, () => lapic, options.random),
          ferr: (level: boolean) => onFerr(level),
        } as X86Host,
        model,
      );
      return target;
    },
    createSpace: (wasm, offset) => {
      ramRegion = MemoryRegion.ram('pc.ram', new RamBlock({ name: 'pc.ram', size: memorySize, memory: wasm, offset }));
      mapRam(memory, ramRegion, layout);
      if (biosSize > 0)
        biosBlock = new RamBlock({ name: 'pc.bios', size: biosSize, memory: wasm, offset: offset + memorySize });
      return (memorySpace = new AddressSpace({ name: 'memory', root: memory }));
    },
    portIn: (port, size) =>
      size === 1 ? portSpace.read8(port) : size === 2 ? portSpace.read16(port) : portSpace.read32(port),
    portOut: (port, size, value) => {
      if (size === 1) portSpace.write8(port, value);
      else if (size === 2) portSpace.write16(port, value);
      else portSpace.write32(port, value);
    },
    acknowledgeInterrupt: () => acknowledge(),
    tsc: () => machine.aio.now('virtual') * (TSC_HZ / 1e9),
    shutdown: () => {
      logLostState(options.log, target!.cpu, 'Triple fault');
      // once: a guest may reset itself this way on purpose, again and again
      if (!toldOfTripleFault) warnTripleFault(target!.cpu, options);
      toldOfTripleFault = true;
    },
    helperModule: buildSoftFloatModule(),
    ...(translations !== undefined ? { translations } : {}),
    ...(trace !== undefined ? { trace } : {}),
    ...(profile !== undefined ? { profile } : {}),
  });
  const { cpu } = target!;
  checkReach(layout, cpu);
  const machine: Machine = new Machine({
    name: 'pc',
    memory,
    io,
    portSpace,
    memorySpace: memorySpace!,
    ...(aio !== undefined ? { aio } : {}),
    ...(options.noReboot !== undefined ? { noReboot: options.noReboot } : {}),
    ...(options.noShutdown !== undefined ? { noShutdown: options.noShutdown } : {}),
    ...icountOptions(options),
  });
  machine.setVcpu(createVcpu(tcg, profile ?? tcg, cpu, options.log));
  // DMA and loaders write RAM behind the translator's back
  biosBlock?.dirty.setCodeListener(null);
  ramBlockOf(ramRegion!).dirty.setCodeListener((offset, length) => tcg.ramWritten(tcg.ramBase + offset, length));

  const host = machine.add(I440FX_PCIHOST, { id: 'i440fx', properties: { ram: ramRegion!, 'ram-size': memorySize } });
  if (options.bios !== undefined) mapBios(host, biosBlock!, options.bios.bytes);
  const pci = host.pciBus;
  const piix3 = machine.add(PIIX3, { bus: pci, properties: { addr: '1.0', multifunction: true } });
  const isa = piix3.isaBus;
  const pic = machine.add(I8259, { bus: isa });
  const ioapic = machine.add(IO_APIC);
  const lapic: LocalApic = machine.add(LOCAL_APIC, {
    properties: { 'tsc-deadline': (model.features.ecx1 & F_TSC_DEADLINE) !== 0 },
  });
  ioapic.connect(lapic);
  for (let n = 0; n < 16; n++) {
    piix3.isaOut[n].connect((level) => {
      pic.gpioIn('', n).set(level);
      ioapic.gpioIn('', n === 0 ? 2 : n).set(level);
    });
    piix3.gpioOut('elcr', n).connect(pic.gpioIn('elcr', n));
  }
  pic.gpioOut('int').connect(lapic.gpioIn('lint0'));
  lapic.onExtInt = () => pic.acknowledge();
  // a halted machine sleeps: input that comes from a host event must wake it, as no timer would
  lapic.gpioOut('int').connect((level) => {
    tcg.setInterruptLine(level !== 0);
    if (level !== 0) machine.aio.notify();
  });
  lapic.gpioOut('nmi').connect((level) => {
    if (level === 0) return;
    tcg.raiseNmi();
    machine.aio.notify();
  });
  acknowledge = () => lapic.acknowledge();
  const onFerr = connectFerr(io, isa.irq(13));

  const pit = machine.add(ISA_PIT, { bus: isa });
  pit.gpioOut('irq').connect(isa.irq(0));
  const rtc = machine.add(MC146818, { bus: isa, properties: rtcProperties(options.rtc) });
  setCmosMemory(rtc, layout);
  machine.add(I8237, { bus: isa });
  const keyboard = machine.add(I8042, { bus: isa });
  const port92 = machine.add(PORT92, { bus: isa });
  connectA20(cpu, tcg, [keyboard.gpioOut('a20'), port92.gpioOut('a20')]);
  const serial = options.serial ?? [];
  serial.forEach((backend, n) => {
    if (backend === undefined) return;
    if (n >= COM.length) throw new PcError(`serial port ${n + 1}: a PC has four`, 'use -serial at most four times');
    const uart = machine.add(ISA_SERIAL, { id: `serial${n}`, bus: isa, properties: { ...COM[n], chardev: backend } });
    machine.onSliceEnd.push(() => uart.flush());
  });
  const pm = machine.add(ACPI_PM, {
    bus: pci,
    properties: { addr: '1.3', 'io-base': options.bios === undefined ? PM_BASE : 0 },
  });
  pm.gpioOut('sci').connect(isa.irq(9));
  const fwCfg = machine.add(FW_CFG);
  fwCfg.addI16(FwCfgKey.NB_CPUS, 1);
  fwCfg.addI16(FwCfgKey.MAX_CPUS, 1);
  fwCfg.addI64(FwCfgKey.RAM_SIZE, memorySize);
  fwCfg.addFile('etc/e820', e820File(layout, cpu));
  return {
    machine,
    tcg,
    cpu,
    ram: new Uint8Array(tcg.memory.buffer, tcg.ramBase, layout.below4g),
    layout,
    host,
    piix3,
    pm,
    keyboard,
    serialPorts: serial.filter((s) => s !== undefined).length,
  };
}

/** An x87 error with CR0.NE = 0 raises IRQ 13; a write to port F0h takes it back. PC/AT technical reference "Coprocessor". */
function connectFerr(io: MemoryRegion, irq: Irq): (level: boolean) => void {
  io.add(0xf0, MemoryRegion.io('ferr', 1, { read: () => 0xff, write: () => irq.set(0) }));
  return (level) => irq.set(level ? 1 : 0);
}

function ramBlockOf(region: MemoryRegion): RamBlock {
  const { block } = region;
  if (block === null) throw new PcError('RAM region without storage');
  return block;
}

function createTcg(options: TcgOptions): Tcg {
  try {
    return new Tcg(options);
  } catch (error) {
    if (!(error instanceof HostMemoryError)) throw error;
    throw new PcError(
      `cannot set up guest memory 'pc.ram': Cannot allocate memory: ${error.message}`,
      'give the guest less with -m, or close what uses memory on the host',
    );
  }
}

function checkBios({ bios }: PcOptions): void {
  if (bios === undefined) return;
  const { length } = bios.bytes;
  if (length === 0 || length > MAX_BIOS || length % 0x10000 !== 0)
    throw new PcError(
      `could not load PC BIOS '${bios.name}': its size, ${length} bytes, is not a multiple of 64 KiB up to 16 MiB`,
      'SeaBIOS comes as bios.bin or bios-256k.bin',
    );
}

function checkOptimisations({ optimisations }: PcOptions): Optimisations {
  try {
    return chooseOptimisations(optimisations);
  } catch (error) {
    throw new PcError((error as RangeError).message);
  }
}

function parseCpu(options: PcOptions): CpuModel {
  try {
    const { model, warnings } = resolveCpuOption(options.cpu ?? DEFAULT_CPU_MODEL);
    for (const w of warnings) options.warn?.(w);
    return model;
  } catch (error) {
    if (error instanceof Error && error.name === 'CpuOptionError') throw new PcError(error.message, 'list: -cpu help');
    throw error;
  }
}

function icountOptions(options: PcOptions): { icountShift?: number; icountWarp?: boolean } {
  const { icount } = options;
  if (icount === undefined) return {};
  return { icountShift: icount.shift === 'auto' ? 3 : icount.shift, icountWarp: !icount.sleep };
}

function createVcpu(tcg: Tcg, runner: Pick<Tcg, 'run'>, cpu: X86Cpu, log: LogOptions | undefined): Vcpu {
  return {
    run: (budget) => REASONS[runner.run(budget)],
    stop: () => tcg.stop(),
    get retired() {
      return tcg.retired;
    },
    get overheadNs() {
      return tcg.hot.stats.compileMs * 1e6;
    },
    reset: () => {
      logLostState(log, cpu, 'CPU Reset (CPU 0)');
      cpu.reset();
      tcg.clearShutdown();
    },
  };
}

/** A reset whose reason nobody sees. */
function warnTripleFault(cpu: X86Cpu, options: PcOptions): void {
  const hex = (n: number, digits: number): string => (n >>> 0).toString(16).padStart(digits, '0');
  options.warn?.(
    `triple fault at ${hex(cpu.segSelector(CS), 4)}:${hex(cpu.eip, 8)}, which resets the machine; -no-reboot -d int,cpu_reset shows the way there`,
  );
}

/** The image ends at 4 GiB; its last 128 KiB also show at 1 MiB, in the PCI space that the PAM windows give way to. */
function mapBios(host: I440fxPciHost, block: RamBlock, bytes: Uint8Array): void {
  block.bytes.set(bytes);
  const rom = MemoryRegion.rom('pc.bios', block);
  host.pciMemory.add(2 ** 32 - block.size, rom);
  const isaSize = Math.min(block.size, 0x20000);
  host.pciMemory.add(
    0x100000 - isaSize,
    MemoryRegion.alias('isa-bios', rom, { offset: block.size - isaSize, size: isaSize }),
    1,
  );
}

/** A20 is open when either the keyboard controller or port 92 says so; a closed gate clears physical address bit 20. */
function connectA20(
  cpu: X86Cpu,
  tcg: Tcg,
  sources: readonly { connect: (irq: ReturnType<typeof orIrqs>[number]) => void }[],
): void {
  let open = true;
  const gate = (level: number): void => {
    const next = level !== 0;
    if (next === open) return;
    open = next;
    cpu.setEnv32(ENV.A20_MASK, open ? 0xffffffff : 0xffefffff);
    tcg.flushTlb(true);
  };
  const inputs = orIrqs('a20', sources.length, gate);
  sources.forEach((source, n) => source.connect(inputs[n]));
}
