/** Symbol maps and ELF symbol tables: what is kept, what is refused, and which name an address gets. */
import { describe, expect, it } from 'vitest';
import { MAX_SYMBOL_REACH } from './limits.ts';
import { parseSymbols, SymbolTable } from './symbols.ts';

const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

/** A 32-bit ELF file with a code section, a data section, symbols and their names. */
function elf32(symbols: readonly { name: string; value: number; type: number; section: number }[]): Uint8Array {
  const names = `\0${symbols.map((s) => `${s.name}\0`).join('')}`;
  const at = { symbols: 52, names: 52 + symbols.length * 16 };
  const headers = at.names + names.length;
  const bytes = new Uint8Array(headers + 5 * 40);
  const v = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1]);
  v.setUint16(18, 3, true);
  v.setUint32(32, headers, true);
  v.setUint16(46, 40, true);
  v.setUint16(48, 5, true);
  let name = 1;
  symbols.forEach((s, n) => {
    v.setUint32(at.symbols + n * 16, name, true);
    v.setUint32(at.symbols + n * 16 + 4, s.value, true);
    v.setUint8(at.symbols + n * 16 + 12, s.type);
    v.setUint16(at.symbols + n * 16 + 14, s.section, true);
    name += s.name.length + 1;
  });
  bytes.set(text(names), at.names);
  const section = (n: number, type: number, flags: number, offset: number, size: number, link: number): void =>
    [0, type, flags, 0, offset, size, link].forEach((x, k) => v.setUint32(headers + n * 40 + k * 4, x, true));
  section(1, 1, 6, 0, 0, 0);
  section(2, 1, 3, 0, 0, 0);
  section(3, 2, 0, at.symbols, symbols.length * 16, 4);
  section(4, 3, 0, at.names, names.length, 0);
  return bytes;
}

describe('symbols', () => {
  it('names an address by the nearest symbol below it, and not by one that is far away', () => {
    const table = new SymbolTable([
      { address: 0x2000, name: 'b' },
      { address: 0x1000, name: 'a' },
      { address: 0x1000, name: 'a2' },
    ]);
    expect(table.size).toBe(2);
    expect(table.find(0xfff)).toBeUndefined();
    expect(table.find(0x1000)).toEqual({ name: 'a', offset: 0 });
    expect(table.find(0x1fff)).toEqual({ name: 'a', offset: 0xfff });
    expect(table.find(0x2000 + MAX_SYMBOL_REACH)).toEqual({ name: 'b', offset: MAX_SYMBOL_REACH });
    expect(table.find(0x2001 + MAX_SYMBOL_REACH)).toBeUndefined();
  });

  it('reads a symbol map: code only, 64-bit addresses as signed numbers', () => {
    const table = parseSymbols(
      text(
        'ffffffff81000000 T _text\nffffffff81000100 d data\nffffffff81000200 t inner\t[module]\n0000000000000000 T zero\n',
      ),
    );
    expect(table.size).toBe(2);
    expect(table.find(-0x7f000000 + 0x150)).toEqual({ name: '_text', offset: 0x150 });
    expect(table.find(-0x7f000000 + 0x201)).toEqual({ name: 'inner', offset: 1 });
    expect(parseSymbols(text('c1000000 T start\n'), 0x1000).find(0xc1001004)).toEqual({ name: 'start', offset: 4 });
  });

  it('reads functions of executable sections from an ELF file', () => {
    const table = parseSymbols(
      elf32([
        { name: 'main', value: 0x8048000, type: 2, section: 1 },
        { name: 'label', value: 0x8048010, type: 0, section: 1 },
        { name: 'object', value: 0x8048020, type: 1, section: 1 },
        { name: 'elsewhere', value: 0x8048030, type: 2, section: 2 },
      ]),
    );
    expect(table.size).toBe(2);
    expect(table.find(0x804800f)?.name).toBe('main');
    expect(table.find(0x8048031)?.name).toBe('label');
  });

  it('refuses files without symbols, and tables that lie outside the file', () => {
    expect(() => parseSymbols(text('hello\n'))).toThrow(/no code symbols/);
    expect(() => parseSymbols(elf32([]))).toThrow(/no code symbols/);
    const file = elf32([{ name: 'main', value: 1, type: 2, section: 1 }]);
    for (let length = 4; length < file.length; length++)
      expect(() => parseSymbols(file.subarray(0, length)), String(length)).toThrow(/truncated|past the end/);
  });
});
