/**
 * Resource descriptors of `_CRS` and `_PRS` and the buffer that holds them.
 *
 * Spec: ACPI 6.4 §6.4 "Resource Data Types for ACPI". Small items have the length in the tag, large items in two bytes.
 */
import { buffer, byte, dword, word } from './aml.ts';

/** A closed list of descriptors with the end tag (checksum 0 = not checked), as a Buffer term. */
export const resourceTemplate = (...items: readonly (readonly number[])[]): number[] =>
  buffer([...items.flat(), 0x79, 0x00]);

/** §6.4.2.5: fixed ports, 16-bit decode. */
export const io = (port: number, length: number, alignment = 1): number[] => [
  0x47,
  0x01,
  ...word(port),
  ...word(port),
  ...byte(alignment),
  ...byte(length),
];
/** §6.4.2.1 without flags: edge, active high, exclusive ISA interrupt. */
export const isaIrq = (irq: number): number[] => [0x22, ...word(1 << irq)];
/** §6.4.2.2: ISA DMA channel, compatibility timing, not a bus master, 8 bit. */
export const dma = (channel: number): number[] => [0x2a, 1 << channel, 0x00];

/** §6.4.3.6: level, active high, shared interrupts by global number: the PCI links of PIIX3. */
export const levelInterrupts = (...gsi: readonly number[]): number[] => [
  0x89,
  ...word(2 + gsi.length * 4),
  0x09,
  gsi.length,
  ...gsi.flatMap(dword),
];

const BUS = 2;
const IO = 1;
const MEMORY = 0;
/** Minimum and maximum fixed, positive decode (§6.4.3.5). */
const FIXED = 0x0c;

function wordSpace(type: number, specific: number, from: number, to: number): number[] {
  return [
    0x88,
    ...word(13),
    type,
    FIXED,
    specific,
    ...word(0),
    ...word(from),
    ...word(to),
    ...word(0),
    ...word(to - from + 1),
  ];
}

/** Bus numbers that a host bridge decodes. */
export const busRange = (from: number, to: number): number[] => wordSpace(BUS, 0, from, to);
/** Ports a host bridge passes on; 3 = the entire range. */
export const portRange = (from: number, to: number): number[] => wordSpace(IO, 3, from, to);
/** 32-bit memory a host bridge passes on, read-write; `cacheable` for the VGA window. */
export function memoryRange(from: number, to: number, cacheable: boolean): number[] {
  return [
    0x87,
    ...word(23),
    MEMORY,
    FIXED,
    cacheable ? 0x03 : 0x01,
    ...dword(0),
    ...dword(from),
    ...dword(to),
    ...dword(0),
    ...dword(to - from + 1),
  ];
}
