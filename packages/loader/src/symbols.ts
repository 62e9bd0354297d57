/**
 * Names of guest addresses: Linux's System.map or /proc/kallsyms (text), or the symbol table of an ELF file.
 *
 * Only code symbols are kept: types t, T, w, W of the text form, STT_FUNC and STT_NOTYPE in an executable section of an ELF file.
 * Specs: nm(1) for the text form; System V ABI, "Object Files" (section header, symbol table). Every offset is checked against the file.
 * Addresses are numbers, of 64-bit ones the signed value: canonical addresses are exact, and keep their order.
 */
import { isElf } from './elf.ts';
import { MAX_SYMBOLS, MAX_SYMBOL_REACH } from './limits.ts';
import { LoadError } from './load-error.ts';

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const SHF_EXECINSTR = 4;
const STT_NOTYPE = 0;
const STT_FUNC = 2;

export interface SymbolHit {
  readonly name: string;
  readonly offset: number;
}

export class SymbolTable {
  readonly #addresses: Float64Array;
  readonly #names: readonly string[];

  constructor(symbols: readonly { readonly address: number; readonly name: string }[]) {
    // of several names for an address the first counts; sort is stable
    const sorted = [...symbols].sort((a, b) => a.address - b.address);
    const kept = sorted.filter((s, n) => n === 0 || s.address !== sorted[n - 1].address);
    this.#addresses = Float64Array.from(kept, (s) => s.address);
    this.#names = kept.map((s) => s.name);
  }

  get size(): number {
    return this.#names.length;
  }

  /** The nearest symbol at or below the address, unless it is implausibly far away. */
  find(address: number): SymbolHit | undefined {
    const a = this.#addresses;
    let low = 0;
    let high = a.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (a[middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const offset = address - a[low - 1];
    return offset > MAX_SYMBOL_REACH ? undefined : { name: this.#names[low - 1], offset };
  }
}

/** The signed number of a 64-bit address. */
const number64 = (value: bigint): number => Number(BigInt.asIntN(64, value));

/** Reads either kind of file; throws a LoadError that says what is wrong. `base` is added to each address. */
export function parseSymbols(file: Uint8Array, base = 0): SymbolTable {
  const found = isElf(file) ? elfSymbols(file) : mapSymbols(file);
  if (found.length === 0) throw new LoadError('bad-header', 'no code symbols in the file');
  return new SymbolTable(base === 0 ? found : found.map(({ address, name }) => ({ address: address + base, name })));
}

interface Symbol {
  readonly address: number;
  readonly name: string;
}

function mapSymbols(file: Uint8Array): Symbol[] {
  const found: Symbol[] = [];
  let text = '';
  for (let at = 0; at < file.length; at += 8192) text += String.fromCharCode(...file.subarray(at, at + 8192));
  for (const line of text.split('\n')) {
    const m = /^([0-9a-f]{8}|[0-9a-f]{16}) ([tTwW]) (\S+)/i.exec(line);
    if (m === null || /^0+$/.test(m[1])) continue;
    if (found.length >= MAX_SYMBOLS)
      throw new LoadError('too-many', `more than ${MAX_SYMBOLS} symbols: not a symbol map`);
    found.push({ address: m[1].length === 8 ? parseInt(m[1], 16) : number64(BigInt(`0x${m[1]}`)), name: m[3] });
  }
  return found;
}

function elfSymbols(file: Uint8Array): Symbol[] {
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const wide = file[4] === 2;
  if (file.length < (wide ? 64 : 52)) throw new LoadError('truncated', 'ELF file is truncated');
  const word = (at: number): number => (wide ? Number(v.getBigUint64(at, true)) : v.getUint32(at, true));
  const table = word(wide ? 40 : 32);
  const entrySize = v.getUint16(wide ? 58 : 46, true);
  const count = v.getUint16(wide ? 60 : 48, true);
  if (count === 0) return [];
  if (entrySize < (wide ? 64 : 40) || table + entrySize * count > file.length)
    throw new LoadError('truncated', 'ELF section headers lie past the end of the file');
  const section = (n: number) => {
    const at = table + n * entrySize;
    return {
      type: v.getUint32(at + 4, true),
      executable: (v.getUint32(at + 8, true) & SHF_EXECINSTR) !== 0,
      offset: word(at + (wide ? 24 : 16)),
      size: word(at + (wide ? 32 : 20)),
      link: v.getUint32(at + (wide ? 40 : 24), true),
    };
  };
  const sections = Array.from({ length: count }, (_, n) => section(n));
  const symbols = sections.find((s) => s.type === SHT_SYMTAB) ?? sections.find((s) => s.type === SHT_DYNSYM);
  const strings = symbols === undefined ? undefined : sections[symbols.link];
  if (symbols === undefined || strings === undefined) return [];
  for (const s of [symbols, strings])
    if (s.offset + s.size > file.length)
      throw new LoadError('truncated', 'an ELF section lies past the end of the file');
  const size = wide ? 24 : 16;
  if (symbols.size / size > MAX_SYMBOLS)
    throw new LoadError('too-many', `more than ${MAX_SYMBOLS} symbols in the file`);
  const found: Symbol[] = [];
  for (let at = symbols.offset; at + size <= symbols.offset + symbols.size; at += size) {
    const type = v.getUint8(at + (wide ? 4 : 12)) & 15;
    const where = v.getUint16(at + (wide ? 6 : 14), true);
    if ((type !== STT_FUNC && type !== STT_NOTYPE) || sections[where]?.executable !== true) continue;
    const name = stringAt(file, strings.offset + v.getUint32(at, true), strings.offset + strings.size);
    if (name === '') continue;
    const address = wide ? number64(v.getBigUint64(at + 8, true)) : v.getUint32(at + 4, true);
    found.push({ address, name });
  }
  return found;
}

function stringAt(file: Uint8Array, from: number, limit: number): string {
  let end = from;
  while (end < limit && file[end] !== 0) end++;
  return String.fromCharCode(...file.subarray(from, Math.min(end, from + 1024)));
}
