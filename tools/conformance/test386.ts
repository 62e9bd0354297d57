/**
 * Suite `test386`: the arithmetic reference of test386.asm. Each line's inputs are fed to the 32-bit core as one
 * instruction, and EAX, EDX and the flags that the operation defines are compared. What operands a line's instruction
 * has is not in the file: `OPERANDS` says it by opcode (as the ROM's own table of operations does); immediates are
 * constants there. Shifts run with CF set before. A line whose division faults leaves its registers alone.
 */
import { CODE_PAGE, DATA_PAGE } from './rig.ts';
import type { FileResult } from './native-vectors.ts';
import type { UserRig } from './rig.ts';

const CODE = CODE_PAGE + 0x800;
const CF = 0x001;
const SZ = 0x0c0;
const PF = 0x004;
const AF = 0x010;
const OF = 0x800;
const ARITHMETIC = CF | PF | AF | SZ | OF;
const LOGIC = CF | PF | SZ | OF;

/** Flags that each operation defines (in the file the others are masked out). */
const DEFINED: Readonly<Record<string, number>> = {
  CBW: ARITHMETIC,
  CWDE: ARITHMETIC,
  CWD: ARITHMETIC,
  CDQ: ARITHMETIC,
  ADD: ARITHMETIC,
  ADC: ARITHMETIC,
  SBB: ARITHMETIC,
  SUB: ARITHMETIC,
  INC: ARITHMETIC,
  DEC: ARITHMETIC,
  NEG: ARITHMETIC,
  OR: LOGIC,
  AND: LOGIC,
  XOR: LOGIC,
  CMP: LOGIC,
  TEST: LOGIC,
  NOT: LOGIC,
  MUL: CF | OF,
  IMUL: CF | OF,
  DIV: 0,
  IDIV: 0,
  SAL: CF | PF | SZ | OF,
  SAR: CF | PF | SZ | OF,
  SHR: CF | PF | SZ | OF,
  ROL: CF | PF | SZ | OF,
  ROR: CF | PF | SZ | OF,
  RCL: CF | PF | SZ | OF,
  RCR: CF | PF | SZ | OF,
  SHLD: CF | PF | SZ,
  SHRD: CF | PF | SZ,
  daa: CF | PF | AF | SZ,
  das: CF | PF | AF | SZ,
  aaa: CF | AF,
  aas: CF | AF,
  aam: PF | SZ,
  aad: PF | SZ,
};

type Size = 'B' | 'W' | 'D';
const WIDTH: Readonly<Record<Size, number>> = { B: 1, W: 2, D: 4 };
const little = (v: number, n: number): number[] => Array.from({ length: n }, (_, k) => (v >>> (8 * k)) & 0xff);
/** The ROM's immediates by operation: byte, word, dword. */
const IMMEDIATE: Readonly<Record<string, readonly [number, number, number]>> = {
  ADD: [0xff, 0x8002, 0x80000002],
  ADC: [0xff, 0x8002, 0x80000002],
  SBB: [0xff, 0x8000, 0x80000000],
  SUB: [0xff, 0x8000, 0x80000000],
  OR: [0xaa, 0xaaaa, 0xaaaaaaaa],
  AND: [0xaa, 0xaaaa, 0xaaaaaaaa],
  XOR: [0xaa, 0xaaaa, 0xaaaaaaaa],
  CMP: [0xaa, 0xaaaa, 0xaaaaaaaa],
  TEST: [0xaa, 0xaaaa, 0xaaaaaaaa],
};
/** Digit of the ModRM byte, for groups. */
const GROUP: Readonly<Record<string, number>> = {
  ADD: 0,
  OR: 1,
  ADC: 2,
  SBB: 3,
  AND: 4,
  SUB: 5,
  XOR: 6,
  CMP: 7,
  TEST: 0,
  NOT: 2,
  NEG: 3,
  MUL: 4,
  IMUL: 5,
  DIV: 6,
  IDIV: 7,
  ROL: 0,
  ROR: 1,
  RCL: 2,
  RCR: 3,
  SAL: 4,
  SHR: 5,
  SAR: 7,
  INC: 0,
  DEC: 1,
};
const ROTATE_COUNT = 7;
/** xchg cl, dl and xchg of EAX with register n. */
const XCHG_CL_DL = [0x86, 0xca];

interface Line {
  readonly opcode: string;
  readonly name: string;
  readonly size: Size;
  readonly eax: number;
  readonly edx: number;
  readonly flags: number;
  readonly eaxAfter: number;
  readonly edxAfter: number;
  readonly flagsAfter: number;
}

/** ModRM with EAX (0) or EDX (2) as r/m. */
const rm = (digit: number, register: number): number => 0xc0 | (digit << 3) | register;
/** Code of a line; `variant` counts lines of one opcode, name and size (the ROM runs some with several operands). */
function encode(line: Line, second: boolean): number[] {
  const { name, size } = line;
  const n = WIDTH[size];
  const op = parseInt(line.opcode.replace(/^0F/, ''), 16);
  const o16 = size === 'W' ? [0x66] : [];
  const digit = GROUP[name];
  const imm = IMMEDIATE[name];
  const value = imm === undefined ? 0 : imm[n === 1 ? 0 : n === 2 ? 1 : 2];
  if (line.opcode.startsWith('0F')) {
    if (op === 0xaf) return [...o16, 0x0f, 0xaf, 0xc2];
    const count = size === 'W' ? 8 : 16;
    const body = [...o16, 0x0f, op, 0xd0];
    return (op & 1) === 0 ? [0xf9, ...body, count] : [0xf9, 0x87, 0xca, 0x89, 0xca, ...body, 0x87, 0xca];
  }
  if (name === 'CBW') return [0x66, 0x98];
  if (name === 'CWDE') return [0x98];
  if (op === 0x99) return [...o16, 0x99];
  if (op === 0x80) return [0x80, rm(digit, 2), value];
  if (op === 0x81) return [...o16, 0x81, rm(digit, 2), ...little(value, n)];
  if (op === 0x83) return [...o16, 0x83, rm(digit, 0), imm[0]];
  if (op === 0x6b) return [...o16, 0x6b, 0xc2, second ? 0x89 : 0x77];
  if (op === 0x69) return [...o16, 0x69, 0xc0, ...little(size === 'W' ? 0x777 : 0x777777, n)];
  if (op === 0x84 || op === 0x85) return [...o16, op, 0xd0];
  if (op === 0xa8 || op === 0xa9) return [...o16, op, ...little(value, n)];
  if (op >= 0x40 && op <= 0x4f) {
    const r = op & 7;
    return r === 0 ? [...o16, op] : [0x90 + r, ...o16, op, 0x90 + r];
  }
  if (op === 0xfe || op === 0xff) return [...o16, op, rm(digit, 0)];
  if (op === 0xf6 || op === 0xf7) {
    if (name === 'TEST') return [...o16, op, rm(0, 2), ...little(value, n)];
    if (name === 'NOT' || name === 'NEG') return [...o16, op, rm(digit, 0)];
    return [...o16, op, rm(digit, second ? 0 : 2)];
  }
  if (op === 0xc0 || op === 0xc1) return [0xf9, ...o16, op, rm(digit, 0), ROTATE_COUNT];
  if (op === 0xd0 || op === 0xd1) return [0xf9, ...o16, op, rm(digit, 0)];
  if (op === 0xd2 || op === 0xd3) return [0xf9, ...XCHG_CL_DL, ...o16, op, rm(digit, 0), ...XCHG_CL_DL];
  if ((op & 7) < 2) return [...o16, op, 0xd0];
  // source in memory: mov [DATA_PAGE], edx first
  if ((op & 7) < 4) return [0x89, 0x15, ...little(DATA_PAGE, 4), ...o16, op, 0x05, ...little(DATA_PAGE, 4)];
  if ((op & 7) < 6) return [...o16, op, ...little(value, n)];
  throw new Error(`opcode ${line.opcode}`);
}
const BCD: Readonly<Record<string, readonly number[]>> = {
  daa: [0x27],
  das: [0x2f],
  aaa: [0x37],
  aas: [0x3f],
  aam: [0xd4, 0x0a],
  aad: [0xd5, 0x0a],
};

const field = (text: string, name: string): number[] =>
  [...text.matchAll(new RegExp(`${name}=([0-9A-F]+)`, 'g'))].map((m) => parseInt(m[1], 16));

function parseLine(text: string): Line {
  const words = text.split(' ');
  const [eax, eaxAfter] = field(text, 'EAX');
  const [edx = 0, edxAfter = 0] = field(text, 'EDX');
  const [flags, flagsAfter] = field(text, 'PS');
  const bcd = words[0] in BCD;
  return {
    opcode: bcd ? '' : words[0],
    name: bcd ? words[0] : words[1],
    size: bcd ? 'B' : (words[2] as Size),
    eax,
    edx,
    flags,
    eaxAfter,
    edxAfter,
    flagsAfter,
  };
}

export function runTest386(rig: UserRig, data: Uint8Array, report: (text: string) => void): FileResult {
  const lines = new TextDecoder()
    .decode(data)
    .split('\n')
    .filter((t) => t.trim() !== '');
  const parsed = lines.map(parseLine);
  const key = (l: Line): string => `${l.opcode} ${l.name} ${l.size}`;
  const totals = new Map<string, number>();
  for (const l of parsed) totals.set(key(l), (totals.get(key(l)) ?? 0) + 1);
  const seen = new Map<string, number>();
  const result: FileResult = { total: 0, passed: 0, excluded: new Map() };
  const { cpu } = rig;
  parsed.forEach((line, k) => {
    result.total++;
    const nth = seen.get(key(line)) ?? 0;
    seen.set(key(line), nth + 1);
    const second =
      /^(I?DIV|IMUL)$/.test(line.name) &&
      (line.opcode === '6B' || line.name !== 'IMUL') &&
      nth >= totals.get(key(line))! / 2;
    const code = line.opcode === '' ? BCD[line.name] : encode(line, second);
    rig.reset();
    rig.write(CODE, Uint8Array.from([...code, 0xcc]));
    cpu.setReg(0, line.eax);
    cpu.setReg(2, line.edx);
    cpu.setReg(4, 0x30000800);
    cpu.setEflags(line.flags | 0x200, ARITHMETIC | 0x200);
    cpu.eip = CODE;
    const stop = rig.run();
    // OF after more than one step is undefined; the ROM masks it for these forms
    const manySteps = /^(S[AH][LR])$/.test(line.name) ? /^(C0|C1|D2|D3)$/ : /^(D2|D3)$/;
    const mask =
      DEFINED[line.name] & (/^(S[AH][LR]|R[OC][LR])$/.test(line.name) && manySteps.test(line.opcode) ? ~OF : ~0);
    const problems: string[] = [];
    if (stop === null) problems.push('did not stop');
    else {
      if (stop.vector !== 3 && !(stop.vector === 0 && /DIV/.test(line.name))) problems.push(`vector ${stop.vector}`);
      if (cpu.reg(0) !== line.eaxAfter) problems.push(`EAX ${cpu.reg(0).toString(16)}`);
      if (line.opcode !== '' && cpu.reg(2) !== line.edxAfter) problems.push(`EDX ${cpu.reg(2).toString(16)}`);
      if (((stop.eflags ^ line.flagsAfter) & mask) !== 0) problems.push(`flags ${(stop.eflags & mask).toString(16)}`);
    }
    if (problems.length === 0) result.passed++;
    else
      report(
        `line ${k + 1}: ${lines[k]}\n  got ${problems.join(', ')}; code ${code.map((b) => b.toString(16).padStart(2, '0')).join(' ')}`,
      );
  });
  return result;
}
