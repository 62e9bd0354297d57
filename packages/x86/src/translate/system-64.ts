/**
 * System instructions that came with long mode or after it: SYSCALL and SYSRET, the bases of FS and GS, extended control
 * registers, keys, SMAP's override, INVPCID, random numbers. What the helpers check is said in system/.
 * SDM Vol. 2A/2B, pages by mnemonic.
 */
import { EXIT_WORK } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { FEATURE } from '../decode/features.ts';
import { CC_EFLAGS } from '../flags.ts';
import { ENV, FLAG_AC, G, GS, SEG_BASE, SEG_STRIDE } from '../state.ts';
import { inlineSyscall, inlineSysret } from './fast-syscall.ts';
import { notCanonical } from './quick-descriptors.ts';
import { quickBase } from './quick-segments.ts';
import { ACCESS_READ } from './translator.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';

/** Result of operand size: the helper returned its low half and left the high half in SCRATCH. */
const result = (t: Translator, size: number, v: Value): Value => (size === 3 ? t.pair(v, t.envLoad(ENV.SCRATCH)) : v);

/** SYSCALL and SYSRET may be done without the helper; where there is SMAP in hot code only, which leaves to it if EFLAGS.AC ends. */
const quick = (t: Translator): boolean =>
  t.is64 && !t.special && t.optimisations.transitions && (!t.has(FEATURE.smap!) || t.quickForm('transitions'));
const syscall: Handler = (t) => {
  if (quick(t)) inlineSyscall(t);
  else t.finishWith('syscall', [t.nextPc()], EXIT_WORK);
};
const sysret: Handler = (t, i) => {
  if (i.size === 3 && t.cpl === 0 && quick(t)) inlineSysret(t);
  else t.finishWith('sysret', [t.b.i32(1 << i.size)], EXIT_WORK);
};

/** In the way of every system call: without a helper. */
const swapgs: Handler = (t) => {
  if (t.cpl !== 0) {
    t.protectionFault();
    return;
  }
  const base = ENV.SEG + GS * SEG_STRIDE + SEG_BASE;
  const shown = t.envLoad64(base);
  t.envStore(base, t.envLoad64(ENV.MSR_KERNEL_GS_BASE));
  t.envStore(ENV.MSR_KERNEL_GS_BASE, shown);
  t.forgetBases();
};
/** RDFSBASE, RDGSBASE (arg: the segment). */
const readBase: Handler = (t, i) => {
  const at = quickBase(t, i.row.arg);
  if (at >= 0) {
    const base = t.envLoad64(at);
    t.write(0, t.size(0) === 3 ? base : t.low(base));
    return;
  }
  const v = t.callKeep('read_fsgsbase', t.b.i32(i.row.arg));
  t.write(0, result(t, t.size(0), v));
};
const writeBase: Handler = (t, i) => {
  const v = t.read(0);
  const at = quickBase(t, i.row.arg);
  if (at >= 0) {
    if (t.size(0) === 3) t.b.bailIf(notCanonical(t, v));
    t.envStore(at, t.sized(3, v));
    t.forgetBases();
    return;
  }
  t.callKeep('write_fsgsbase', t.b.i32(i.row.arg), t.low(v), t.size(0) === 3 ? t.high(v) : t.b.i32(0));
};

/** Helper that writes EAX and EDX, upper halves too. */
const keeping =
  (helper: string): Handler =>
  (t) => {
    t.callKeep(helper);
  };
/** Helper that may change block flags or translations of addresses. */
const changing =
  (helper: string): Handler =>
  (t) => {
    t.callKeep(helper);
    t.exitNext();
  };
/** The override of SMAP grants more; taking it away needs the helper, which knows what was reached under it. */
const stac: Handler = (t) => {
  const { b } = t;
  if (t.cpl === 0) b.set(G.EFLAGS, b.or(b.get(G.EFLAGS), b.i32(FLAG_AC)));
  else t.undefined();
};

const invpcid: Handler = (t, i) => {
  if (t.cpl !== 0) {
    t.protectionFault();
    return;
  }
  const low = t.load(3, t.memory(16, ACCESS_READ));
  const high = t.load(3, t.memoryAt(8));
  t.envStore(ENV.SCRATCH, low);
  t.envStore(ENV.SCRATCH + 8, high);
  const type = t.reg(i.reg, t.is64 ? 3 : 2);
  t.callKeep('invpcid', t.low(type), t.is64 ? t.high(type) : t.b.i32(0));
  t.exitNext();
};
const rdpid: Handler = (t) => t.write(0, t.sized(t.size(0), t.envLoad(ENV.MSR_TSC_AUX)));
const random =
  (helper: string): Handler =>
  (t, i) => {
    const v = t.call(helper, t.b.i32(1 << i.size));
    t.beginFlags(CC_EFLAGS);
    t.write(0, result(t, i.size, v));
  };

export const SYSTEM_64_HANDLERS: HandlerTable = {
  syscall,
  sysret,
  swapgs,
  read_base: readBase,
  write_base: writeBase,
  xgetbv: keeping('xgetbv'),
  xsetbv: changing('xsetbv'),
  rdpkru: keeping('rdpkru'),
  wrpkru: changing('wrpkru'),
  stac,
  clac: keeping('clac'),
  invpcid,
  rdpid,
  rdrand: random('rdrand'),
  rdseed: random('rdseed'),
};
