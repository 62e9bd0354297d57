/**
 * The processor's registers as gdb knows them, in gdb's order: one table for processors without long mode, one for those with it.
 * GDB manual, "i386 Features": `org.gnu.gdb.i386.core`, `.sse`, `.segments` and `.avx`. The description is in gdb-description.ts.
 */
import { CS, DS, ENV, ES, FLAG_VM, FS, GS, HF_TOP, HF_TOP_SHIFT, SEG_STRIDE, SS, XMM_STRIDE } from '@emkit/x86';
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

/** Eight bytes: halves. */
function quad(
  name: string,
  type: string,
  read: (cpu: X86Cpu) => readonly [low: number, high: number],
  write: (cpu: X86Cpu, low: number, high: number) => boolean | void,
): GdbRegister {
  return {
    name,
    bits: 64,
    type,
    read: (cpu) => {
      const [low, high] = read(cpu);
      return Uint8Array.of(...toBytes(low), ...toBytes(high));
    },
    write: (cpu, bytes) => bytes.length === 8 && write(cpu, fromBytes(bytes), fromBytes(bytes.subarray(4))) !== false,
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

/** EFLAGS, selectors, x87: the same in both. */
const COMMON: readonly GdbRegister[] = [
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
];
const xmm = (count: number): GdbRegister[] =>
  Array.from({ length: count }, (_, n) => area(`xmm${n}`, 'vec128', 16, () => ENV.XMM + XMM_STRIDE * n));
const MXCSR_REGISTER: GdbRegister = word(
  'mxcsr',
  'i386_mxcsr',
  (cpu) => cpu.env32(ENV.MXCSR),
  (cpu, v) => {
    if ((v & ~0xffff) !== 0) return false;
    cpu.setEnv32(ENV.MXCSR, v);
    afterFpuWrite(cpu);
    return true;
  },
);

/** A feature of the description, and its registers. */
export interface GdbFeature {
  readonly name: 'core' | 'sse' | 'segments' | 'avx';
  readonly registers: readonly GdbRegister[];
}
export interface GdbRegisterSet {
  readonly architecture: 'i386' | 'i386:x86-64';
  readonly features: readonly GdbFeature[];
  /** Of all features, by gdb's number. */
  readonly registers: readonly GdbRegister[];
}
const registerSet = (
  architecture: GdbRegisterSet['architecture'],
  features: readonly GdbFeature[],
): GdbRegisterSet => ({ architecture, features, registers: features.flatMap((f) => f.registers) });

export const GDB_I386 = registerSet('i386', [
  {
    name: 'core',
    registers: [
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
      ...COMMON,
    ],
  },
  { name: 'sse', registers: [...xmm(8), MXCSR_REGISTER] },
]);

/** gdb's order of the general registers, which is not the processor's. */
const AMD64_GENERAL = [
  ['rax', 0],
  ['rbx', 3],
  ['rcx', 1],
  ['rdx', 2],
  ['rsi', 6],
  ['rdi', 7],
  ['rbp', 5],
  ['rsp', 4],
  ...Array.from({ length: 8 }, (_, n) => [`r${n + 8}`, n + 8] as const),
] as const;
const baseOf = (n: number): number => ENV.SEG + n * SEG_STRIDE + 8;

/** In 16- and 32-bit code the upper halves are what is left in them, and `$rip` is EIP. */
export const GDB_AMD64 = registerSet('i386:x86-64', [
  {
    name: 'core',
    registers: [
      ...AMD64_GENERAL.map(([name, n]) =>
        quad(
          name,
          name === 'rsp' || name === 'rbp' ? 'data_ptr' : 'int64',
          (cpu) => [cpu.reg(n), cpu.regHigh(n)],
          (cpu, low, high) => cpu.setReg64(n, low, high),
        ),
      ),
      quad(
        'rip',
        'code_ptr',
        (cpu) => [cpu.env32(ENV.EIP), cpu.code64 ? cpu.env32(ENV.CS_BASE) : 0],
        (cpu, low, high) => {
          cpu.setRip(low, high);
          cpu.halted = false;
        },
      ),
      ...COMMON,
    ],
  },
  { name: 'sse', registers: [...xmm(16), MXCSR_REGISTER] },
  {
    name: 'segments',
    registers: (
      [
        ['fs_base', FS],
        ['gs_base', GS],
      ] as const
    ).map(([name, n]) =>
      quad(
        name,
        'int',
        (cpu) => [cpu.env32(baseOf(n)), cpu.env32(baseOf(n) + 4)],
        (cpu, low, high) => {
          cpu.setSegBase(n, low, high);
          cpu.updateHflags();
        },
      ),
    ),
  },
  {
    name: 'avx',
    registers: Array.from({ length: 16 }, (_, n) =>
      area(`ymm${n}h`, 'uint128', 16, () => ENV.XMM + XMM_STRIDE * n + 16),
    ),
  },
]);
