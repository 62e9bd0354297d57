/**
 * An ELF file with nothing but function symbols, for a debugger on a kernel that has no symbol file of its own: what gdb needs to find
 * where a function begins. ELF-64: System V ABI, "Object Files"; AMD64 supplement, "Object Files".
 */
export interface TextSymbol {
  readonly name: string;
  readonly address: bigint;
}

const HEADER = 64;
const SECTION = 64;
const SYMBOL = 24;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const SHT = { SYMTAB: 2, STRTAB: 3, NOBITS: 8 } as const;
const ALLOC_EXEC = 6n;
const GLOBAL_FUNC = 0x12;
/** Section numbers: the text, the symbols, all names. */
const TEXT = 1;
const STRINGS = 3;
const SECTIONS = 4;

/** Symbols of the code in [start, end). */
export function symbolFile(symbols: readonly TextSymbol[], start: bigint, end: bigint): Uint8Array {
  const names = `\0${['.text', '.symtab', '.strtab', ...symbols.map((s) => s.name)].join('\0')}\0`;
  const nameAt = (name: string): number => names.indexOf(`\0${name}\0`) + 1;
  const symbolsAt = (HEADER + names.length + 7) & ~7;
  const symbolBytes = SYMBOL * (symbols.length + 1);
  const sectionsAt = symbolsAt + symbolBytes;
  const file = Buffer.alloc(sectionsAt + SECTION * SECTIONS);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(ET_EXEC, 16);
  file.writeUInt16LE(EM_X86_64, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(sectionsAt), 40);
  file.writeUInt16LE(HEADER, 52);
  file.writeUInt16LE(SECTION, 58);
  file.writeUInt16LE(SECTIONS, 60);
  file.writeUInt16LE(STRINGS, 62);
  file.write(names, HEADER, 'latin1');
  symbols.forEach(({ name, address }, n) => {
    const at = symbolsAt + SYMBOL * (n + 1);
    file.writeUInt32LE(nameAt(name), at);
    file.writeUInt8(GLOBAL_FUNC, at + 4);
    file.writeUInt16LE(TEXT, at + 6);
    file.writeBigUInt64LE(address, at + 8);
  });
  const section = (n: number, name: string, type: number, words: readonly bigint[]): void => {
    const at = sectionsAt + SECTION * n;
    file.writeUInt32LE(nameAt(name), at);
    file.writeUInt32LE(type, at + 4);
    // flags, address, offset, size, link and info, alignment, size of an entry
    words.forEach((w, k) => file.writeBigUInt64LE(w, at + 8 + 8 * k));
  };
  section(TEXT, '.text', SHT.NOBITS, [ALLOC_EXEC, start, 0n, end - start, 0n, 16n, 0n]);
  section(2, '.symtab', SHT.SYMTAB, [
    0n,
    0n,
    BigInt(symbolsAt),
    BigInt(symbolBytes),
    BigInt(STRINGS) | (1n << 32n),
    8n,
    BigInt(SYMBOL),
  ]);
  section(STRINGS, '.strtab', SHT.STRTAB, [0n, 0n, BigInt(HEADER), BigInt(names.length), 0n, 1n, 0n]);
  return file;
}
