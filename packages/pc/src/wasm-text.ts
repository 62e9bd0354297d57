/**
 * `-d out_asm`: the functions of a WebAssembly module as text, an instruction a line, indented by blocks. A listing to
 * read, not to assemble: types, imports and names of the module are left out.
 *
 * For modules that this program has made itself and the engine has accepted, so their form is not checked; an opcode
 * that is not known ends a function's listing with a remark. WebAssembly Core 2.0 §5.4, §5.5.
 */
import { ATOMIC, MISC, OP, SIMD } from '@emkit/wasm';

const SECTION_CODE = 10;
const VALUE_TYPES: Readonly<Record<number, string>> = {
  0x7f: 'i32',
  0x7e: 'i64',
  0x7d: 'f32',
  0x7c: 'f64',
  0x7b: 'v128',
  0x70: 'funcref',
  0x6f: 'externref',
};
/** local_get -> local.get, i32_trunc_sat_f32_s -> i32.trunc_sat_f32_s: the first part is the type or the subject. */
const names = (table: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
  new Map(Object.entries(table).map(([name, code]) => [code, WHOLE.has(name) ? name : name.replace('_', '.')]));
const WHOLE: ReadonlySet<string> = new Set([
  'br_if',
  'br_table',
  'call_indirect',
  'return_call',
  'return_call_indirect',
]);
const ONE_BYTE = names(OP);
const PREFIXED: Readonly<Record<number, ReadonlyMap<number, string>>> = {
  0xfc: names(MISC),
  0xfd: names(SIMD),
  0xfe: names(ATOMIC),
};

class Reader {
  readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }
  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }
  u32(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const b = this.byte();
      value += (b & 127) * scale;
      if (b < 128 || scale > 2 ** 28) return value;
    }
  }
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const b = this.byte();
      value |= BigInt(b & 127) << shift;
      if (b < 128 || shift > 63n) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }
  hex(count: number): string {
    let text = '';
    for (let i = 0; i < count; i++) text += this.byte().toString(16).padStart(2, '0');
    return text;
  }
}

/** All functions of the module's code section. */
export function wasmText(module: Uint8Array): string {
  const r = new Reader(module, 8);
  while (r.at < module.length) {
    const id = r.byte();
    const size = r.u32();
    if (id !== SECTION_CODE) {
      r.at += size;
      continue;
    }
    let text = '';
    const count = r.u32();
    for (let n = 0; n < count; n++) {
      const end = r.u32() + r.at;
      text += functionText(r, n, end);
      r.at = end;
    }
    return text;
  }
  return '';
}

function functionText(r: Reader, n: number, end: number): string {
  const groups: string[] = [];
  for (let left = r.u32(); left > 0; left--) {
    const count = r.u32();
    groups.push(`${count} ${VALUE_TYPES[r.byte()] ?? '?'}`);
  }
  let text = `func ${n}${groups.length === 0 ? '' : ` (locals ${groups.join(', ')})`}\n`;
  for (let depth = 1; r.at < end;) {
    const code = r.byte();
    if (code === OP.end || code === OP.else) depth--;
    const name = ONE_BYTE.get(code) ?? '';
    const line = name === '' ? prefixedText(r, code) : name + immediates(r, code);
    if (line === undefined) return `${text}  ;; opcode ${code.toString(16)} is not known\n`;
    text += `${'  '.repeat(Math.max(0, depth))}${line}\n`;
    if (code === OP.block || code === OP.loop || code === OP.if || code === OP.else) depth++;
  }
  return text;
}

function memoryOperand(r: Reader): string {
  const align = r.u32();
  const offset = r.u32();
  return `${offset === 0 ? '' : ` offset=${offset}`} align=${2 ** align}`;
}

function immediates(r: Reader, code: number): string {
  if (code >= OP.i32_load && code <= OP.i64_store32) return memoryOperand(r);
  switch (code) {
    case OP.block:
    case OP.loop:
    case OP.if: {
      const type = r.signed();
      if (type === -64n) return '';
      return type >= 0n ? ` type=${type}` : ` ${VALUE_TYPES[Number(type) + 128] ?? '?'}`;
    }
    case OP.br:
    case OP.br_if:
    case OP.call:
    case OP.return_call:
    case OP.local_get:
    case OP.local_set:
    case OP.local_tee:
    case OP.global_get:
    case OP.global_set:
    case OP.table_get:
    case OP.table_set:
    case OP.memory_size:
    case OP.memory_grow:
      return ` ${r.u32()}`;
    case OP.call_indirect:
    case OP.return_call_indirect: {
      const type = r.u32();
      return ` type=${type} table=${r.u32()}`;
    }
    case OP.br_table: {
      const targets: number[] = [];
      for (let left = r.u32(); left >= 0; left--) targets.push(r.u32());
      return ` ${targets.join(' ')}`;
    }
    case OP.i32_const:
    case OP.i64_const:
      return ` ${r.signed()}`;
    case OP.f32_const:
      return ` 0x${r.hex(4)}`;
    case OP.f64_const:
      return ` 0x${r.hex(8)}`;
    default:
      return '';
  }
}

function prefixedText(r: Reader, prefix: number): string | undefined {
  const code = r.u32();
  const name = PREFIXED[prefix]?.get(code);
  if (name === undefined) return undefined;
  if (prefix === 0xfe) return name + (code === 3 ? ` ${r.byte()}` : memoryOperand(r));
  if (prefix === 0xfd) return name + simdImmediates(r, code);
  const operands = code < 8 ? 0 : [8, 10, 12, 14].includes(code) ? 2 : 1;
  let text = name;
  for (let i = 0; i < operands; i++) text += ` ${r.u32()}`;
  return text;
}

/** Core 2.0 §5.4.8: loads and stores, lanes, the constant and the shuffle. */
function simdImmediates(r: Reader, code: number): string {
  if (code <= 11 || code === 92 || code === 93) return memoryOperand(r);
  if (code === 12 || code === 13) return ` 0x${r.hex(16)}`;
  if (code >= 21 && code <= 34) return ` ${r.byte()}`;
  if (code >= 84 && code <= 91) return `${memoryOperand(r)} ${r.byte()}`;
  return '';
}
