/**
 * What the tables say about the board, as one plain object with the i440fx/PIIX3 values as defaults.
 *
 * The board hands in what differs. Numbers are guest-physical addresses, port numbers and global system interrupts.
 */
export interface PcDescription {
  /** Local APIC ids of the processors, the boot processor first. */
  readonly apicIds: readonly number[];
  readonly ioApicId: number;
  readonly ioApicAddress: number;
  readonly localApicAddress: number;
  /** ACPI PM registers: PM1a event at +0, PM1a control at +4, timer at +8 (PIIX4 §7.2). */
  readonly pmBase: number;
  /** GPE0 block, 4 bytes. */
  readonly gpeBase: number;
  /** System control interrupt. */
  readonly sciInterrupt: number;
  /** The SMI command port and its values; undefined = the board is in ACPI mode from reset on (SCI_EN set). */
  readonly smi: { readonly port: number; readonly enable: number; readonly disable: number } | undefined;
  /** First address of the 32-bit PCI memory window; it ends below the IO-APIC. */
  readonly pciMemoryStart: number;
  readonly serialPorts: number;
  readonly hasKeyboard: boolean;
  readonly hasFloppy: boolean;
  /** 1 as old guests want it, or 3 with 64-bit addresses and the reset register. */
  readonly fadtRevision: 1 | 3;
  /** CPUID signature and feature word for the MP table's processor entries. */
  readonly cpuSignature: number;
  readonly cpuFeatures: number;
}

export const DEFAULT_PC: PcDescription = {
  apicIds: [0],
  ioApicId: 0,
  ioApicAddress: 0xfec0_0000,
  localApicAddress: 0xfee0_0000,
  pmBase: 0x600,
  gpeBase: 0xafe0,
  sciInterrupt: 9,
  smi: undefined,
  pciMemoryStart: 0xc000_0000,
  serialPorts: 1,
  hasKeyboard: true,
  hasFloppy: false,
  fadtRevision: 1,
  cpuSignature: 0x663,
  cpuFeatures: 0x0781_abfd,
};

/** ISA interrupts that PIIX3 can give to PCI; level, active high at the IO-APIC under the same numbers. */
export const PCI_LINK_INTERRUPTS: readonly number[] = [5, 10, 11];
/** What the board must write to PIIX3 config 60h-63h (PIRQRC A-D) before an operating system starts. */
export const PIRQ_ROUTES: readonly number[] = [10, 10, 11, 11];
