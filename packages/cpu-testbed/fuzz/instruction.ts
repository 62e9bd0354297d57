/**
 * One random instruction from the decoder's own table: prefixes, opcode, ModRM, SIB, displacement, immediates. Memory
 * operands mostly meet mapped data, so that programs get far; some meet page edges, limits and nothing.
 * The bytes are cut to length by the decoder, so that opcode forms added to the table are fuzzed without a change here.
 */
import { ALL_FEATURES, DECODE_OK, decode, decodeFeatures, Insn, OPCODES } from '@emkit/x86';
import type { Random } from './random.ts';

type Row = (typeof OPCODES.rows)[number];

/** What the generator must know of the machine state that the program will run in. */
export interface CodeContext {
  readonly bits: 16 | 32;
  /** Offset of the 64 KiB of data in DS, and of the stack's middle in SS. */
  readonly data: number;
  readonly stack: number;
  /** Privileged instructions are worth trying. */
  readonly ring0: boolean;
}

export type Flavour = 'integer' | 'x87' | 'simd';

const FEATURES = decodeFeatures(ALL_FEATURES);
const CONTROL = /^(J|CALL|RET|IRET|LOOP|INT|INTO|BOUND|SYSENTER|SYSEXIT|HLT|UD|ICEBP|MWAIT|MONITOR)/;
/** Likely to fault, or to lose the stack, with random operands. */
const RISKY = /^(LES|LDS|LSS|LFS|LGS|ARPL|IN|OUT|XLAT|DIV|IDIV|AAM|ENTER|LEAVE|POPF|POPA|STI|CLI)$/;
const SYSTEM = /^(LGDT|LIDT|LLDT|LTR|LMSW|CLTS|INVD|WBINVD|INVLPG|RDMSR|WRMSR)/;
/** Time passes at block granularity: what reads it is not comparable. */
const TIME = /^(RDTSC|RDTSCP|RDPMC)$/;
const STRINGS = /^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS)$/;
/** Registers that hold pointers at the start; most instructions leave them alone. */
const POINTERS = [3, 5, 6, 7];
const POINTER_PREFERRED = [0, 1, 2];

const isVector = (r: Row): boolean =>
  r.operands.some((o) => /^[PNQVUW]/.test(o.text)) ||
  /^(EMMS|FXSAVE|FXRSTOR|LDMXCSR|STMXCSR|LDDQU|MASKMOV)/.test(r.mnemonic);
const isX87 = (r: Row): boolean => r.map === 0 && ((r.opcode >= 0xd8 && r.opcode <= 0xdf) || r.opcode === 0x9b);
const isSystem = (r: Row): boolean =>
  SYSTEM.test(r.mnemonic) || r.operands.some((o) => /^([CDS][dw]|[ECSDFG]S)$/.test(o.text));

const usable = OPCODES.rows.filter((r) => !TIME.test(r.mnemonic));
const POOLS: Readonly<Record<Flavour | 'control' | 'risky' | 'system' | 'string', readonly Row[]>> = {
  x87: usable.filter(isX87),
  simd: usable.filter((r) => !isX87(r) && isVector(r)),
  system: usable.filter(isSystem),
  string: usable.filter((r) => STRINGS.test(r.mnemonic) && !isVector(r)),
  control: usable.filter((r) => CONTROL.test(r.mnemonic) && !isX87(r) && !isVector(r)),
  risky: usable.filter((r) => RISKY.test(r.mnemonic)),
  integer: usable.filter(
    (r) =>
      !isX87(r) &&
      !isVector(r) &&
      !isSystem(r) &&
      !CONTROL.test(r.mnemonic) &&
      !RISKY.test(r.mnemonic) &&
      !STRINGS.test(r.mnemonic),
  ),
};

const insn = new Insn();

/** Instructions (a few that belong together: a count for a string operation, an index for an address). */
export function randomInstructions(r: Random, c: CodeContext, flavour: Flavour): number[][] {
  const roll = r.int(1000);
  if (roll < 40) return stringOperation(r, c);
  const pool =
    roll < 43
      ? POOLS.control
      : roll < 60
        ? POOLS.risky
        : roll < (c.ring0 ? 100 : 64)
          ? POOLS.system
          : r.chance(flavour === 'integer' ? 96 : 65)
            ? POOLS[flavour]
            : POOLS.integer;
  for (;;) {
    const before: number[][] = [];
    const bytes = encode(r, c, r.pick(pool), before);
    const at = decode(insn, bytes, 0, bytes.length, (c.bits === 32 ? 1 : 0) | 2, FEATURES);
    if (at === DECODE_OK) return [...before, [...bytes.subarray(0, insn.length)]];
    if (r.chance(2)) return [[...bytes.subarray(0, 1 + r.int(6))]];
  }
}

/** MOV reg, imm. */
export const moveImmediate = (c: CodeContext, reg: number, value: number): number[] => [
  0xb8 + reg,
  ...little(value, c.bits / 8),
];
export const little = (v: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, n) => (v >>> (8 * n)) & 0xff);

function stringOperation(r: Random, c: CodeContext): number[][] {
  const row = r.pick(POOLS.string);
  const out: number[][] = [];
  if (r.chance(85)) out.push(moveImmediate(c, 1, r.pick([0, 1, 2, 3, 5, 17, 64, 300])));
  if (r.chance(70)) out.push(moveImmediate(c, 6, dataOffset(r, c)), moveImmediate(c, 7, dataOffset(r, c)));
  if (r.chance(20)) out.push([r.pick([0xfc, 0xfd])]);
  const prefixes = [
    ...(r.chance(60) ? [r.pick([0xf3, 0xf2])] : []),
    ...(r.chance(20) ? [0x66] : []),
    ...(r.chance(5) ? [0x67] : []),
    ...(r.chance(5) ? [segmentPrefix(r)] : []),
  ];
  out.push([...prefixes, row.opcode]);
  return out;
}

const segmentPrefix = (r: Random): number => r.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);

function dataOffset(r: Random, c: CodeContext): number {
  const page = r.int(16) * 4096;
  const within =
    r.int(20) === 0 ? r.pick([0xfff, 0xffe, 0xffd, 0xff9, 0xff1, 0xffc]) : r.chance(85) ? r.int(256) * 16 : r.int(4090);
  return c.data + page + within;
}

/** At most 15 meaningful bytes; what follows them is noise. */
function encode(r: Random, c: CodeContext, row: Row, before: number[][]): Uint8Array {
  const out: number[] = [];
  let address = c.bits;
  if (row.prefix !== 1 && r.chance(row.vector ? 2 : 15)) out.push(0x66);
  if (r.chance(4)) {
    out.push(0x67);
    address = address === 32 ? 16 : 32;
  }
  if (r.chance(6)) out.push(segmentPrefix(r));
  const memory = row.hasModrm && row.modrm < 0 && row.form !== 'reg' && (row.form === 'mem' || r.chance(50));
  if (r.chance(memory && row.lock ? 10 : 1)) out.push(0xf0);
  if (row.prefix < 0 && r.chance(2)) out.push(r.pick([0xf2, 0xf3]));
  const vex = row.map >= 4;
  if (!vex && row.prefix > 0) out.push([0x66, 0xf3, 0xf2][row.prefix - 1]);
  if (vex) out.push(0xc4, 0xe0 | (row.map - 4), (r.int(16) << 3) | row.prefix);
  else if (row.map > 0) out.push(0x0f, ...[[], [0x38], [0x3a]][row.map - 1]);
  out.push(row.opcode + (row.opcodes === 8 ? register(r) : 0));
  if (row.hasModrm) {
    if (row.modrm >= 0) out.push(row.modrm + r.int(row.modrms));
    else {
      const reg = row.digit >= 0 ? row.digit : row.operands[0]?.text.startsWith('G') === true ? register(r) : r.int(8);
      if (memory) out.push(...(address === 32 ? memory32(r, c, reg, before) : memory16(r, reg)));
      else out.push(0xc0 | (reg << 3) | (row.operands[0]?.text.startsWith('E') === true ? register(r) : r.int(8)));
    }
  }
  if (row.operands.some((o) => o.text.startsWith('O'))) out.push(...little(dataOffset(r, c), address / 8));
  out.push(...little(r.value(), 4), ...little(r.value(), 4));
  return Uint8Array.from(out);
}

function register(r: Random): number {
  if (r.chance(75)) return r.pick(POINTER_PREFERRED);
  return r.chance(95) ? r.pick(POINTERS) : 4;
}

function memory16(r: Random, reg: number): number[] {
  const mod = r.int(3);
  const rm = r.int(8);
  const direct = mod === 0 && rm === 6;
  return [
    (mod << 6) | (reg << 3) | rm,
    ...little(r.chance(50) ? r.int(4096) * 16 : r.u32(), direct || mod === 2 ? 2 : mod === 1 ? 1 : 0),
  ];
}

function memory32(r: Random, c: CodeContext, reg: number, before: number[][]): number[] {
  const roll = r.int(100);
  const head = (mod: number, rm: number): number => (mod << 6) | (reg << 3) | rm;
  if (roll < 45) return [head(0, 5), ...little(dataOffset(r, c), 4)];
  if (roll < 78) {
    const base = r.pick(POINTERS);
    return r.chance(60)
      ? [head(1, base), (r.int(16) * 16 - 128) & 0xff]
      : [head(2, base), ...little(r.int(64) * 16 - 512, 4)];
  }
  if (roll < 90) {
    const index = r.int(3);
    if (r.chance(80)) before.push(moveImmediate(c, index, r.int(200)));
    return [head(2, 4), (r.int(4) << 6) | (index << 3) | r.pick(POINTERS), ...little(r.int(64) * 16 - 512, 4)];
  }
  if (roll < 96) return [head(1, 4), 0x24, (r.int(32) * 4 - 64) & 0xff];
  return [head(r.int(3), r.int(8)), r.int(256), ...little(r.value(), 4)];
}
