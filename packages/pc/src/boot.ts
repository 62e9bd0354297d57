/**
 * Direct kernel boot: what firmware would have left (tables, memory map, device set-up), then the kernel's own entry
 * state. Used when a kernel is given and no firmware is.
 */
import { buildFirmwareTables, PIRQ_ROUTES, RSDP_ADDRESS } from '@emkit/firmware-tables';
import { PIRQRC } from '@emkit/i440fx';
import type { I440fxPciHost, Piix3 } from '@emkit/i440fx';
import { createGuestRam, LoadError, loadKernel } from '@emkit/loader';
import type { EntryState } from '@emkit/loader';
import { CS, DS, EAX, EBP, EBX, ECX, EDI, EDX, ENV, ES, ESI, ESP, F_LM, FS, GS, SS } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';
import { setMemoryTypes } from './memory-types.ts';
import { PcError } from './options.ts';
import type { PcOptions } from './options.ts';
import { guestMemoryMap } from './ram-layout.ts';
import type { RamLayout } from './ram-layout.ts';

/** CPUID.1:EDX. */
const F_CMOV = 1 << 15;

export interface BootContext {
  readonly options: PcOptions;
  /** RAM from physical 0 to the PCI hole. */
  readonly ram: Uint8Array;
  readonly layout: RamLayout;
  readonly cpu: X86Cpu;
  readonly host: I440fxPciHost;
  readonly piix3: Piix3;
  readonly pmBase: number;
  readonly serialPorts: number;
}

/** Places tables and kernel and points the CPU at the kernel. Throws PcError for a kernel it refuses. */
export function directBoot(c: BootContext): void {
  const { options, ram } = c;
  openShadowRam(c.host);
  setMemoryTypes(c.cpu, c.layout.pciHole);
  c.piix3.config.set(PIRQ_ROUTES, PIRQRC);
  const acpi = options.acpi !== false;
  for (const table of buildFirmwareTables({
    pmBase: c.pmBase,
    serialPorts: c.serialPorts,
    cpuSignature: c.cpu.model.signature,
    cpuFeatures: c.cpu.features.edx1 >>> 0,
    pciMemoryStart: c.layout.pciHole,
  })) {
    if (!acpi && (table.name === 'ACPI tables' || table.name === 'RSDP')) continue;
    ram.set(table.bytes, table.address);
  }
  const kernel = options.kernel!;
  try {
    const plan = loadKernel(
      {
        kernel,
        modules: options.modules ?? [],
        commandLine: options.append ?? '',
        memoryMap: guestMemoryMap(c.layout, c.cpu),
        ...(acpi ? { acpiRsdp: RSDP_ADDRESS } : {}),
      },
      createGuestRam(ram),
    );
    for (const w of plan.warnings) options.warn?.(w);
    // The kernel's own check of the processor is in its 16-bit part, which a direct boot leaves out.
    if (plan.protocol === 'linux' && (c.cpu.features.edx1 & F_CMOV) === 0)
      options.warn?.(
        `-cpu ${c.cpu.model.name}: a kernel built for i686 (Debian's, most others) stops on it without a word`,
      );
    if (plan.needsLongMode === true && (c.cpu.features.edxExt & F_LM) === 0)
      options.warn?.(
        `-cpu ${c.cpu.model.name}: this kernel is for 64-bit processors and stops on it without a word; --arch x86_64, or -cpu qemu64`,
      );
    enter(c.cpu, plan.entry);
  } catch (error) {
    if (error instanceof LoadError)
      throw new PcError(`could not load kernel '${kernel.name}': ${error.message}`, error.hint);
    throw error;
  }
}

/** 0xC0000-0xFFFFF is readable and writable RAM (82441FX §3.2.18 "PAM"). */
function openShadowRam(host: I440fxPciHost): void {
  const { bridge } = host;
  bridge.configWrite(0x59, 0x30, 1);
  for (let register = 0x5a; register <= 0x5f; register++) bridge.configWrite(register, 0x33, 1);
}

function enter(cpu: X86Cpu, e: EntryState): void {
  const segments = { cs: CS, ds: DS, es: ES, fs: FS, gs: GS, ss: SS } as const;
  for (const [name, n] of Object.entries(segments)) {
    const s = e.segments[name as keyof typeof segments];
    // descriptor bits 8-15 and 20-23 of the second dword
    cpu.setSeg(n, s.selector, s.base, s.limit, ((s.attributes & 0xff) << 8) | ((s.attributes & 0xf000) << 8));
  }
  cpu.setEnv32(ENV.GDT_BASE, e.gdt.base);
  cpu.setEnv32(ENV.GDT_LIMIT, e.gdt.limit);
  cpu.setEnv32(ENV.IDT_BASE, e.idt.base);
  cpu.setEnv32(ENV.IDT_LIMIT, e.idt.limit);
  cpu.setCrRaw(0, e.cr0);
  cpu.setEflags(e.eflags, ~0);
  const r = e.registers;
  for (const [n, v] of [
    [EAX, r.eax],
    [ECX, r.ecx],
    [EDX, r.edx],
    [EBX, r.ebx],
    [ESP, r.esp],
    [EBP, r.ebp],
    [ESI, r.esi],
    [EDI, r.edi],
  ] as const)
    cpu.setReg(n, v);
  cpu.eip = e.eip;
  cpu.cpl = 0;
  cpu.updateHflags();
}
