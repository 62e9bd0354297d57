/**
 * ELF executables as boot loaders read them: header, PT_LOAD segments, PT_NOTE notes. No sections, no relocation, no symbols.
 *
 * Spec: System V ABI, "Object Files" (ELF header, program header, note section). Every offset is checked against the file
 * before it is used; 64-bit values that exceed 2^53 are refused by name.
 */
import { MAX_NOTE_BYTES, MAX_PROGRAM_HEADERS } from './limits.ts';
import { LoadError } from './load-error.ts';

export const EM_386 = 3;
export const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_X = 1;

export interface ElfSegment {
  readonly offset: number;
  readonly virtualAddress: number;
  readonly physicalAddress: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly executable: boolean;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

export interface Elf {
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly entry: number;
  /** PT_LOAD with memory size > 0, in file order. */
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

export function isElf(image: Uint8Array): boolean {
  return image.length >= 4 && image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46;
}

/** Reads and checks an ELF file. `baseOffset` > 0 is not supported: the file starts with the ELF header. */
export function parseElf(image: Uint8Array): Elf {
  if (!isElf(image)) throw new LoadError('not-a-kernel', 'not an ELF file');
  if (image.length < 52)
    throw new LoadError('truncated', `ELF file is truncated: ${image.length} bytes, the header has 52`);
  const wide = image[4] === 2;
  if (image[4] !== 1 && !wide) throw new LoadError('wrong-class', `ELF class ${image[4]} is neither 32 nor 64 bit`);
  if (image[5] !== 1) throw new LoadError('wrong-class', 'big-endian ELF file: not for this machine');
  if (wide && image.length < 64)
    throw new LoadError('truncated', `ELF file is truncated: ${image.length} bytes, the header has 64`);
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const machine = v.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw new LoadError(
      'wrong-machine',
      `ELF file is for another machine (e_machine ${machine}), expected i386 (${EM_386}) or x86-64 (${EM_X86_64})`,
    );
  }
  const word = (offset: number, what: string): number => {
    if (!wide) return v.getUint32(offset, true);
    const n = v.getBigUint64(offset, true);
    if (n > 0x1f_ffff_ffff_ffffn && what !== 'p_vaddr' && what !== 'e_entry')
      throw new LoadError('bad-header', `ELF ${what} 0x${n.toString(16)} is out of range`);
    return Number(n);
  };
  const entry = word(24, 'e_entry');
  const tableOffset = word(wide ? 32 : 28, 'e_phoff');
  const entrySize = v.getUint16(wide ? 54 : 42, true);
  const count = v.getUint16(wide ? 56 : 44, true);
  const minimum = wide ? 56 : 32;
  if (count === 0) throw new LoadError('bad-header', 'ELF file has no program headers: not an executable');
  if (count > MAX_PROGRAM_HEADERS)
    throw new LoadError('too-many', `ELF file has ${count} program headers, at most ${MAX_PROGRAM_HEADERS} are read`);
  if (entrySize < minimum)
    throw new LoadError('bad-header', `ELF program header size ${entrySize} is below ${minimum}`);
  if (tableOffset + entrySize * count > image.length)
    throw new LoadError('truncated', 'ELF program headers lie past the end of the file');
  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (let i = 0; i < count; i++) {
    const at = tableOffset + i * entrySize;
    const type = v.getUint32(at, true);
    if (type !== PT_LOAD && type !== PT_NOTE) continue;
    const s: ElfSegment = wide
      ? {
          offset: word(at + 8, 'p_offset'),
          virtualAddress: word(at + 16, 'p_vaddr'),
          physicalAddress: word(at + 24, 'p_paddr'),
          fileSize: word(at + 32, 'p_filesz'),
          memorySize: word(at + 40, 'p_memsz'),
          executable: (v.getUint32(at + 4, true) & PF_X) !== 0,
        }
      : {
          offset: v.getUint32(at + 4, true),
          virtualAddress: v.getUint32(at + 8, true),
          physicalAddress: v.getUint32(at + 12, true),
          fileSize: v.getUint32(at + 16, true),
          memorySize: v.getUint32(at + 20, true),
          executable: (v.getUint32(at + 24, true) & PF_X) !== 0,
        };
    if (s.fileSize > 0 && s.offset + s.fileSize > image.length) {
      throw new LoadError(
        'truncated',
        `ELF file is truncated: program header ${i} reaches to ${s.offset + s.fileSize}, the file has ${image.length} bytes`,
      );
    }
    if (type === PT_NOTE) readNotes(image.subarray(s.offset, s.offset + Math.min(s.fileSize, MAX_NOTE_BYTES)), notes);
    else if (s.fileSize > s.memorySize)
      throw new LoadError(
        'bad-header',
        `ELF program header ${i}: p_filesz ${s.fileSize} exceeds p_memsz ${s.memorySize}`,
      );
    else if (s.memorySize > 0) segments.push(s);
  }
  if (segments.length === 0) throw new LoadError('bad-header', 'ELF file has nothing to load (no PT_LOAD)');
  return { bits: wide ? 64 : 32, machine, entry, segments, notes };
}

/** Entries are namesz, descsz, type, then name and description, each padded to 4 bytes. A cut entry ends the list. */
function readNotes(bytes: Uint8Array, out: ElfNote[]): void {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 12 <= bytes.length) {
    const nameSize = v.getUint32(at, true);
    const size = v.getUint32(at + 4, true);
    const nameAt = at + 12;
    const descriptionAt = nameAt + Math.ceil(nameSize / 4) * 4;
    const next = descriptionAt + Math.ceil(size / 4) * 4;
    if (descriptionAt + size > bytes.length) return; // the last one's padding may be missing
    let name = '';
    for (let i = nameAt; i < nameAt + nameSize && bytes[i] !== 0; i++) name += String.fromCharCode(bytes[i]!);
    out.push({
      name,
      type: v.getUint32(at + 8, true),
      description: bytes.subarray(descriptionAt, descriptionAt + size),
    });
    at = next;
  }
}

/**
 * The physical address of the entry point. `e_entry` is usually virtual: when it is not inside a segment's physical range it is
 * translated by the executable segment whose virtual range holds it.
 */
export function physicalEntry(elf: Elf): number {
  const inside = (from: number, s: ElfSegment): boolean => elf.entry >= from && elf.entry < from + s.memorySize;
  if (elf.segments.some((s) => inside(s.physicalAddress, s))) return elf.entry;
  const s = elf.segments.find((x) => x.executable && inside(x.virtualAddress, x));
  if (s === undefined)
    throw new LoadError('bad-header', `ELF entry point 0x${elf.entry.toString(16)} lies in no segment`);
  return s.physicalAddress + (elf.entry - s.virtualAddress);
}
