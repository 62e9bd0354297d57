/**
 * The IR's ops as script, for `IrMachine`: what each does to the machine's values, env and memory. i64 values are bigints;
 * no vectors, no floats.
 */
import { opId } from '@emkit/ir';
import type { IrBlock } from '@emkit/ir';
import { ENV, WASM_HELPERS, evaluateFlags } from '../src/index.ts';
import type { IrMachine } from './ir-machine.ts';

export type Op = (m: IrMachine, block: IrBlock, i: number) => void;

export const EVAL: Op[] = [];
const def = (name: string, op: Op): void => {
  EVAL[opId(name)] = op;
};
const bool = (v: boolean): number => (v ? 1 : 0);
type Binary = (a: number, b: number) => number;
const I32_BINARY: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: Math.imul,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr_s: (a, b) => a >> b,
  shr_u: (a, b) => a >>> b,
  rotl: (a, b) => (a << b) | ((a >>> 1) >>> (31 - (b & 31))),
  rotr: (a, b) => (a >>> b) | ((a << 1) << (31 - (b & 31))),
  div_s: (a, b) => {
    if (b === 0 || (b === -1 && a === -0x80000000)) throw new Error('wasm trap: div_s');
    return a / b;
  },
  div_u: (a, b) => {
    if (b === 0) throw new Error('wasm trap: div_u');
    return (a >>> 0) / (b >>> 0);
  },
  rem_s: (a, b) => {
    if (b === 0) throw new Error('wasm trap: rem_s');
    return a % b;
  },
  rem_u: (a, b) => {
    if (b === 0) throw new Error('wasm trap: rem_u');
    return (a >>> 0) % (b >>> 0);
  },
  eq: (a, b) => bool(a === b),
  ne: (a, b) => bool(a !== b),
  lt_s: (a, b) => bool(a < b),
  gt_s: (a, b) => bool(a > b),
  le_s: (a, b) => bool(a <= b),
  ge_s: (a, b) => bool(a >= b),
  lt_u: (a, b) => bool(a >>> 0 < b >>> 0),
  gt_u: (a, b) => bool(a >>> 0 > b >>> 0),
  le_u: (a, b) => bool(a >>> 0 <= b >>> 0),
  ge_u: (a, b) => bool(a >>> 0 >= b >>> 0),
};
for (const [name, f] of Object.entries(I32_BINARY))
  def(`i32_${name}`, (m, k, i) => {
    m.values[i] = Math.trunc(f(m.i(k, i, 0), m.i(k, i, 1))) | 0;
  });
const I32_UNARY: Readonly<Record<string, (a: number) => number>> = {
  eqz: (a) => bool(a === 0),
  clz: (a) => Math.clz32(a),
  ctz: (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a)),
  popcnt: (a) => {
    let n = 0;
    for (let v = a; v !== 0; v &= v - 1) n++;
    return n;
  },
  extend8_s: (a) => (a << 24) >> 24,
  extend16_s: (a) => (a << 16) >> 16,
  bswap: (a) => ((a & 0xff) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24),
};
for (const [name, f] of Object.entries(I32_UNARY))
  def(`i32_${name}`, (m, k, i) => {
    m.values[i] = f(m.i(k, i, 0)) | 0;
  });
const s64 = (v: bigint): bigint => BigInt.asIntN(64, v);
const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const bits64 = (v: bigint): string => u64(v).toString(2);
const nonZero64 = (b: bigint): bigint => {
  if (b === 0n) throw new Error('wasm trap: i64 division');
  return b;
};
const I64_BINARY: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 63n),
  shr_u: (a, b) => u64(a) >> (b & 63n),
  shr_s: (a, b) => a >> (b & 63n),
  rotl: (a, b) => (u64(a) << (b & 63n)) | (u64(a) >> ((64n - (b & 63n)) & 63n)),
  rotr: (a, b) => (u64(a) >> (b & 63n)) | (u64(a) << ((64n - (b & 63n)) & 63n)),
  div_u: (a, b) => u64(a) / u64(nonZero64(b)),
  rem_u: (a, b) => u64(a) % u64(nonZero64(b)),
  rem_s: (a, b) => a % nonZero64(b),
  div_s: (a, b) => {
    if (b === -1n && a === -(1n << 63n)) throw new Error('wasm trap: i64.div_s');
    return a / nonZero64(b);
  },
};
for (const [name, f] of Object.entries(I64_BINARY))
  def(`i64_${name}`, (m, k, i) => {
    m.values[i] = s64(f(m.l(k, i, 0), m.l(k, i, 1)));
  });
const I64_COMPARE: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt_s: (a, b) => a < b,
  gt_s: (a, b) => a > b,
  le_s: (a, b) => a <= b,
  ge_s: (a, b) => a >= b,
  lt_u: (a, b) => u64(a) < u64(b),
  gt_u: (a, b) => u64(a) > u64(b),
  le_u: (a, b) => u64(a) <= u64(b),
  ge_u: (a, b) => u64(a) >= u64(b),
};
for (const [name, f] of Object.entries(I64_COMPARE))
  def(`i64_${name}`, (m, k, i) => {
    m.values[i] = bool(f(m.l(k, i, 0), m.l(k, i, 1)));
  });
const I64_UNARY: Readonly<Record<string, (a: bigint) => bigint>> = {
  clz: (a) => BigInt(a === 0n ? 64 : 64 - bits64(a).length),
  ctz: (a) => BigInt(a === 0n ? 64 : /0*$/.exec(bits64(a))![0].length),
  popcnt: (a) => BigInt(bits64(a).replaceAll('0', '').length),
  extend8_s: (a) => BigInt.asIntN(8, a),
  extend16_s: (a) => BigInt.asIntN(16, a),
  extend32_s: (a) => BigInt.asIntN(32, a),
  bswap: (a) => {
    let r = 0n;
    for (let n = 0n; n < 64n; n += 8n) r = (r << 8n) | ((a >> n) & 255n);
    return r;
  },
};
for (const [name, f] of Object.entries(I64_UNARY))
  def(`i64_${name}`, (m, k, i) => {
    m.values[i] = s64(f(m.l(k, i, 0)));
  });
def('i64_eqz', (m, k, i) => {
  m.values[i] = bool(m.l(k, i, 0) === 0n);
});
def('i32_wrap_i64', (m, k, i) => {
  m.values[i] = Number(BigInt.asIntN(32, m.l(k, i, 0)));
});
def('i64_extend_i32_s', (m, k, i) => {
  m.values[i] = BigInt(m.i(k, i, 0));
});
def('i64_extend_i32_u', (m, k, i) => {
  m.values[i] = BigInt(m.i(k, i, 0) >>> 0);
});
for (const t of ['i32', 'i64'])
  def(`${t}_select`, (m, k, i) => {
    m.values[i] = m.values[m.i(k, i, 2) !== 0 ? k.a[i] : k.b[i]];
  });
def('i32_const', (m, k, i) => {
  m.values[i] = k.imm[i];
});
def('i64_const', (m, k, i) => {
  m.values[i] = s64((BigInt(k.imm2[i]) << 32n) | BigInt(k.imm[i] >>> 0));
});

// --- state --------------------------------------------------------------------------------------------------------
def('get_i32', (m, k, i) => {
  m.values[i] = m.view.getInt32(m.globals[k.imm[i]].offset, true);
});
def('get_i64', (m, k, i) => {
  m.values[i] = m.view.getBigInt64(m.globals[k.imm[i]].offset, true);
});
def('set_i32', (m, k, i) => m.view.setInt32(m.globals[k.imm[i]].offset, m.i(k, i, 0), true));
def('set_i64', (m, k, i) => m.view.setBigInt64(m.globals[k.imm[i]].offset, m.l(k, i, 0), true));
def('envld_i32', (m, k, i) => {
  m.values[i] = m.view.getInt32(k.imm[i], true);
});
def('envld_i64', (m, k, i) => {
  m.values[i] = m.view.getBigInt64(k.imm[i], true);
});
def('envld_8u', (m, k, i) => {
  m.values[i] = m.view.getUint8(k.imm[i]);
});
def('envld_16u', (m, k, i) => {
  m.values[i] = m.view.getUint16(k.imm[i], true);
});
def('envst_i32', (m, k, i) => m.view.setInt32(k.imm[i], m.i(k, i, 0), true));
def('envst_i64', (m, k, i) => m.view.setBigInt64(k.imm[i], m.l(k, i, 0), true));
def('envst_16', (m, k, i) => m.view.setInt16(k.imm[i], m.i(k, i, 0), true));

// --- memory -------------------------------------------------------------------------------------------------------
for (const suffix of ['', '_a64']) {
  /** Linear number of the address operand; what is not canonical is a fault. */
  const address = (m: IrMachine, k: IrBlock, i: number): number =>
    suffix === '' ? m.i(k, i, 0) >>> 0 : m.canonical(m.l(k, i, 0), k.imm[i]);
  for (const [name, n, sign] of [
    ['ld8u', 1, 0],
    ['ld8s', 1, 24],
    ['ld16u', 2, 0],
    ['ld16s', 2, 16],
    ['ld32', 4, 0],
  ] as const) {
    def(name + suffix, (m, k, i) => {
      m.values[i] = (m.loadBytes(address(m, k, i), n, k.imm[i]) << sign) >> sign;
    });
  }
  def(`ld64${suffix}`, (m, k, i) => {
    const lin = address(m, k, i);
    const low = m.loadBytes(lin, 4, k.imm[i]);
    const high = m.loadBytes(lin + 4, 4, k.imm[i]);
    m.values[i] = s64((BigInt(high) << 32n) | BigInt(low >>> 0));
  });
  for (const [name, n] of [
    ['st8', 1],
    ['st16', 2],
    ['st32', 4],
  ] as const)
    def(name + suffix, (m, k, i) => m.storeBytes(address(m, k, i), n, m.i(k, i, 1), k.imm[i]));
  def(`st64${suffix}`, (m, k, i) => {
    const lin = address(m, k, i);
    const v = m.l(k, i, 1);
    m.storeBytes(lin, 4, Number(BigInt.asUintN(32, v)), k.imm[i]);
    m.storeBytes(lin + 4, 4, Number(BigInt.asUintN(32, v >> 32n)), k.imm[i]);
  });
}
def('raise_if', (m, k, i) => {
  if (m.i(k, i, 0) !== 0) m.cpu.raise(k.imm[i], k.imm2[i]);
});
/** Bulk ops: as the TLB's check in regions, within one page each. */
for (const suffix of ['', '_a64']) {
  const address = (m: IrMachine, k: IrBlock, i: number, n: number): number =>
    suffix === '' ? m.i(k, i, n) >>> 0 : m.canonical(m.l(k, i, n), 0);
  const inPage = (m: IrMachine, lin: number, bytes: number): void => {
    if (Math.floor(lin / 4096) !== Math.floor((lin + bytes - 1) / 4096)) m.bail();
  };
  def(`fill${suffix}`, (m, k, i) => {
    const to = address(m, k, i, 0);
    const bytes = m.i(k, i, 2);
    inPage(m, to, bytes);
    for (let n = 0; n < bytes; n++) m.storeBytes(to + n, 1, m.i(k, i, 1), 0);
  });
  def(`copy${suffix}`, (m, k, i) => {
    const to = address(m, k, i, 0);
    const from = address(m, k, i, 1);
    const bytes = m.i(k, i, 2);
    inPage(m, to, bytes);
    inPage(m, from, bytes);
    if (to >= from && to < from + bytes) m.bail();
    const copied = Array.from({ length: bytes }, (_, n) => m.loadBytes(from + n, 1, 0));
    copied.forEach((byte, n) => m.storeBytes(to + n, 1, byte, 0));
  });
}
def('bail_if', (m, k, i) => {
  if (m.i(k, i, 0) !== 0) m.bail();
});
def('bail_if_work', (m, k, i) => {
  if (m.work && m.i(k, i, 0) !== 0) m.bail();
});
for (let n = 0; n <= 4; n++) {
  def(`callj${n}`, (m, k, i) => {
    const arg = (j: number): number => (j < n ? m.i(k, i, j) : 0);
    m.values[i] = m.helper(k.imm[i], arg(0), arg(1), arg(2), arg(3));
  });
}
for (let n = 2; n <= 3; n++) {
  def(`calld${n}`, (m, k, i) => {
    m.values[i] = m.helper(k.imm[i], m.i(k, i, 0), m.i(k, i, 1), n > 2 ? m.i(k, i, 2) : 0, 0);
  });
}
/** Of the wasm helpers the one that is for integer code: the script's form of it. */
def('callw6', (m, k, i) => {
  const name = WASM_HELPERS[k.imm[i]];
  if (name !== 'x86_flags') throw new Error(`test machine has no ${name}`);
  const [op, dst, dstHigh, src, srcHigh, carry] = [0, 1, 2, 3, 4, 5].map((n) => m.i(k, i, n));
  m.values[i] = evaluateFlags(op!, dst!, src!, carry!, dstHigh, srcHigh);
});

// --- structure ----------------------------------------------------------------------------------------------------
def('nop', () => undefined);
def('insn_start', (m, k, i) => m.insn(k.imm[i]));
def('jmp', (m, k, i) => m.leave(k.imm[i]));
def('br', (m, k, i) => m.leave(m.i(k, i, 0) !== 0 ? k.imm[i] : k.imm2[i]));
def('jmp_ind', (m, k, i) => m.leave(m.i(k, i, 0)));
def('jmp_ind_a64', (m, k, i) => {
  const target = m.l(k, i, 0);
  m.cpu.setEnv32(ENV.CS_BASE, Number(BigInt.asUintN(32, target >> 32n)));
  m.leave(Number(BigInt.asUintN(32, target)));
});
def('exit', (m) => m.exit());
