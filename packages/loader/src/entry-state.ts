/**
 * How the CPU must be set when the loaded kernel gets control: data that a board applies, so that this package knows no CPU.
 *
 * Registers that are not named are zero. `attributes` is the descriptor's bits 40-47 in the low byte (P, DPL, S, type) and
 * bits 52-55 in bits 12-15 (AVL, L, D/B, G): the layout of SDM Vol. 3A §3.4.5 "Segment Descriptors" with the limit bits left out.
 */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** In bytes, already scaled by the granularity bit. */
  readonly limit: number;
  readonly attributes: number;
}

export interface EntryState {
  readonly mode: 'real16' | 'protected32';
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  readonly registers: {
    readonly eax: number;
    readonly ecx: number;
    readonly edx: number;
    readonly ebx: number;
    readonly esp: number;
    readonly ebp: number;
    readonly esi: number;
    readonly edi: number;
  };
  readonly segments: Readonly<Record<'cs' | 'ds' | 'es' | 'fs' | 'gs' | 'ss', SegmentState>>;
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly idt: { readonly base: number; readonly limit: number };
}

/** CR0.PE and CR0.ET (SDM Vol. 3A §2.5 "Control Registers"). */
export const CR0_PE_ET = 0x11;
/** EFLAGS bit 1 reads as one always; interrupts are off. */
export const EFLAGS_RESERVED = 0x2;
/** Present, ring 0, code, execute/read, accessed; 32-bit, 4 KiB granular. */
export const FLAT_CODE = 0xc09b;
/** Present, ring 0, data, read/write, accessed; 32-bit, 4 KiB granular. */
export const FLAT_DATA = 0xc093;
/** A real-mode segment: present, data or code, 64 KiB. */
export const REAL_CODE = 0x9b;
export const REAL_DATA = 0x93;

const NO_REGISTERS = { eax: 0, ecx: 0, edx: 0, ebx: 0, esp: 0, ebp: 0, esi: 0, edi: 0 };

/** Flat 32-bit protected mode, paging and interrupts off. Selector of data = `codeSelector` + 8. */
export function flatEntry(
  eip: number,
  registers: Partial<EntryState['registers']>,
  gdt: EntryState['gdt'],
  codeSelector: number,
): EntryState {
  const cs: SegmentState = { selector: codeSelector, base: 0, limit: 0xffff_ffff, attributes: FLAT_CODE };
  const data: SegmentState = { selector: codeSelector + 8, base: 0, limit: 0xffff_ffff, attributes: FLAT_DATA };
  return {
    mode: 'protected32',
    eip,
    eflags: EFLAGS_RESERVED,
    cr0: CR0_PE_ET,
    registers: { ...NO_REGISTERS, ...registers },
    segments: { cs, ds: data, es: data, fs: data, gs: data, ss: data },
    gdt,
    idt: { base: 0, limit: 0 },
  };
}

/** Real mode at `codeSegment`:`ip`, all data segments = `dataSegment`. */
export function realEntry(codeSegment: number, ip: number, dataSegment: number, sp: number): EntryState {
  const segment = (selector: number, attributes: number): SegmentState => ({
    selector,
    base: selector << 4,
    limit: 0xffff,
    attributes,
  });
  const data = segment(dataSegment, REAL_DATA);
  return {
    mode: 'real16',
    eip: ip,
    eflags: EFLAGS_RESERVED,
    cr0: 0x10,
    registers: { ...NO_REGISTERS, esp: sp },
    segments: { cs: segment(codeSegment, REAL_CODE), ds: data, es: data, fs: data, gs: data, ss: data },
    gdt: { base: 0, limit: 0xffff },
    idt: { base: 0, limit: 0x3ff },
  };
}

/** GDT bytes: null descriptors up to `codeSelector`, then a flat code and a flat data descriptor. */
export function flatGdt(codeSelector: number): Uint8Array {
  const gdt = new Uint8Array(codeSelector + 16);
  gdt.set([0xff, 0xff, 0, 0, 0, FLAT_CODE & 0xff, 0xcf, 0], codeSelector);
  gdt.set([0xff, 0xff, 0, 0, 0, FLAT_DATA & 0xff, 0xcf, 0], codeSelector + 8);
  return gdt;
}
