/**
 * The processor's registers as gdb knows them: order, sizes, and the target description that says so.
 * GDB manual, "Target Descriptions" and "i386 Features": the features `org.gnu.gdb.i386.core` and `.sse`.
 */
import { CS, DS, ENV, ES, FLAG_VM, FS, GS, HF_TOP, HF_TOP_SHIFT, SS, XMM_STRIDE } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';

export interface GdbRegister {
  readonly name: string;
  readonly bits: number;
  readonly type: string;
  read(cpu: X86Cpu): Uint8Array;
  /** False: cannot be written so. */
  write(cpu: X86Cpu, bytes: Uint8Array): boolean;
}

const toBytes = (v: number): Uint8Array => Uint8Array.of(v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, v >>> 24);
const fromBytes = (b: Uint8Array): number => (b[0] | (b[1] << 8) | (b[2] << 16) | (b[3] << 24)) >>> 0;

function word(
  name: string,
  type: string,
  read: (cpu: X86Cpu) => number,
  write: (cpu: X86Cpu, v: number) => boolean | void,
): GdbRegister {
  return {
    name,
    bits: 32,
    type,
    read: (cpu) => toBytes(read(cpu)),
    write: (cpu, bytes) => bytes.length === 4 && write(cpu, fromBytes(bytes)) !== false,
  };
}

/** A slice of env. */
function area(
  name: string,
  type: string,
  bytes: number,
  at: (cpu: X86Cpu) => number,
  written?: (cpu: X86Cpu) => void,
): GdbRegister {
  return {
    name,
    bits: bytes * 8,
    type,
    read: (cpu) => cpu.e8.slice(at(cpu), at(cpu) + bytes),
    write: (cpu, value) => {
      if (value.length !== bytes) return false;
      cpu.e8.set(value, at(cpu));
      written?.(cpu);
      return true;
    },
  };
}

const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
const SEGMENTS = [
  ['cs', CS],
  ['ss', SS],
  ['ds', DS],
  ['es', ES],
  ['fs', FS],
  ['gs', GS],
] as const;

/** Segments can be written where a selector is all there is to them: real and virtual-8086 mode. */
function writeSegment(cpu: X86Cpu, n: number, selector: number): boolean {
  if (cpu.segSelector(n) === selector) return true;
  if ((cpu.cr(0) & 1) !== 0 && (cpu.eflags() & FLAG_VM) === 0) return false;
  cpu.setSeg(n, selector & 0xffff, (selector & 0xffff) << 4, cpu.segLimit(n), cpu.segFlags(n));
  cpu.updateHflags();
  return true;
}

const top = (cpu: X86Cpu): number => (cpu.hflags & HF_TOP) >>> HF_TOP_SHIFT;
const afterFpuWrite = (cpu: X86Cpu): void => cpu.afterLoad();

function tagWord(cpu: X86Cpu): number {
  let tags = 0;
  for (let n = 0; n < 8; n++) if (cpu.e8[ENV.FPTAGS + n] !== 0) tags |= 3 << (2 * n);
  return tags;
}

export const GDB_REGISTERS: readonly GdbRegister[] = [
  ...GENERAL.map((name, n) =>
    word(
      name,
      name === 'esp' || name === 'ebp' ? 'data_ptr' : 'int32',
      (cpu) => cpu.reg(n),
      (cpu, v) => cpu.setReg(n, v),
    ),
  ),
  word(
    'eip',
    'code_ptr',
    (cpu) => cpu.eip,
    (cpu, v) => {
      cpu.eip = v;
      cpu.halted = false;
    },
  ),
  word(
    'eflags',
    'i386_eflags',
    (cpu) => cpu.eflags(),
    (cpu, v) => {
      cpu.setEflags(v, ~FLAG_VM);
      cpu.updateHflags();
    },
  ),
  ...SEGMENTS.map(([name, n]) =>
    word(
      name,
      'int32',
      (cpu) => cpu.segSelector(n),
      (cpu, v) => writeSegment(cpu, n, v),
    ),
  ),
  ...Array.from({ length: 8 }, (_, n) =>
    area(`st${n}`, 'i387_ext', 10, (cpu) => ENV.FPREGS + 16 * ((top(cpu) + n) & 7)),
  ),
  word(
    'fctrl',
    'int',
    (cpu) => cpu.env32(ENV.FPUC),
    (cpu, v) => {
      cpu.setEnv32(ENV.FPUC, v & 0x1f7f);
      afterFpuWrite(cpu);
    },
  ),
  word(
    'fstat',
    'int',
    (cpu) => (cpu.env32(ENV.FPUS) & 0xc7ff) | (top(cpu) << 11),
    (cpu, v) => {
      cpu.setEnv32(ENV.FPUS, v & 0xc7ff);
      cpu.hflags = (cpu.hflags & ~HF_TOP) | (((v >> 11) & 7) << HF_TOP_SHIFT);
      afterFpuWrite(cpu);
    },
  ),
  word('ftag', 'int', tagWord, (cpu, v) => {
    for (let n = 0; n < 8; n++) cpu.e8[ENV.FPTAGS + n] = ((v >> (2 * n)) & 3) === 3 ? 1 : 0;
  }),
  ...(
    [
      ['fiseg', ENV.FCS],
      ['fioff', ENV.FIP],
      ['foseg', ENV.FDS],
      ['fooff', ENV.FDP],
      ['fop', ENV.FOP],
    ] as const
  ).map(([name, at]) =>
    word(
      name,
      'int',
      (cpu) => cpu.env32(at),
      (cpu, v) => cpu.setEnv32(at, v),
    ),
  ),
  ...Array.from({ length: 8 }, (_, n) => area(`xmm${n}`, 'vec128', 16, () => ENV.XMM + XMM_STRIDE * n)),
  word(
    'mxcsr',
    'i386_mxcsr',
    (cpu) => cpu.env32(ENV.MXCSR),
    (cpu, v) => {
      if ((v & ~0xffff) !== 0) return false;
      cpu.setEnv32(ENV.MXCSR, v);
      afterFpuWrite(cpu);
      return true;
    },
  ),
];

const flags = (id: string, names: readonly (readonly [string, number])[]): string =>
  `<flags id="${id}" size="4">${names.map(([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`).join('')}</flags>`;
const EFLAGS = [
  ['', 1],
  ['CF', 0],
  ['PF', 2],
  ['AF', 4],
  ['ZF', 6],
  ['SF', 7],
  ['TF', 8],
  ['IF', 9],
  ['DF', 10],
  ['OF', 11],
  ['NT', 14],
  ['RF', 16],
  ['VM', 17],
  ['AC', 18],
  ['VIF', 19],
  ['VIP', 20],
  ['ID', 21],
] as const;
const MXCSR = [
  ['IE', 0],
  ['DE', 1],
  ['ZE', 2],
  ['OE', 3],
  ['UE', 4],
  ['PE', 5],
  ['DAZ', 6],
  ['IM', 7],
  ['DM', 8],
  ['ZM', 9],
  ['OM', 10],
  ['UM', 11],
  ['PM', 12],
  ['FZ', 15],
] as const;
const VECTORS = [
  ['v4f', 'ieee_single', 4],
  ['v2d', 'ieee_double', 2],
  ['v16i8', 'int8', 16],
  ['v8i16', 'int16', 8],
  ['v4i32', 'int32', 4],
  ['v2i64', 'int64', 2],
] as const;
const UNION = [
  ['v4_float', 'v4f'],
  ['v2_double', 'v2d'],
  ['v16_int8', 'v16i8'],
  ['v8_int16', 'v8i16'],
  ['v4_int32', 'v4i32'],
  ['v2_int64', 'v2i64'],
  ['uint128', 'uint128'],
] as const;

function feature(name: string, types: string, from: number, to: number): string {
  const regs = GDB_REGISTERS.slice(from, to).map(
    (r, n) => `<reg name="${r.name}" bitsize="${r.bits}" type="${r.type}" regnum="${from + n}"/>`,
  );
  return `<feature name="${name}">${types}${regs.join('')}</feature>`;
}

/** `target.xml`. */
export function targetDescription(): string {
  const sse = GDB_REGISTERS.findIndex((r) => r.name === 'xmm0');
  const vectors = VECTORS.map(([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`).join('');
  const union = `<union id="vec128">${UNION.map(([name, type]) => `<field name="${name}" type="${type}"/>`).join('')}</union>`;
  return `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>i386</architecture>${feature(
    'org.gnu.gdb.i386.core',
    flags('i386_eflags', EFLAGS),
    0,
    sse,
  )}${feature(
    'org.gnu.gdb.i386.sse',
    vectors + union + flags('i386_mxcsr', MXCSR),
    sse,
    GDB_REGISTERS.length,
  )}</target>`;
}
