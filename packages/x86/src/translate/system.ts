/**
 * System instructions: what only needs the block flags (CPL, protected mode) is checked here, the rest is a helper's.
 * SDM Vol. 2A/2B, pages by mnemonic; Vol. 3A §2.8 "System Instruction Summary".
 */
import { FEATURE } from '../decode/features.ts';
import { CC_EFLAGS } from '../flags.ts';
import { CS, EAX, EBX, ECX, EDX, ENV, FLAG_IF, G, GS, HF_INHIBIT_IRQ, HF_IOPL_OK, SEG_SELECTOR, SS } from '../state.ts';
import { LOAD_SEG_NO_SHADOW, SHADOW_STI } from '../system/load-seg.ts';
import { quickSysenter, quickSysexit } from './quick-interrupt-32.ts';
import { changesFlags, quickLoadSegment, quickReadBaseMsr, quickWriteBaseMsr } from './quick-segments.ts';
import { ACCESS_READ, ACCESS_WRITE } from './translator.ts';
import type { Handler, HandlerTable, Translator } from './translator.ts';
import { EXIT_ALWAYS, EXIT_LOOKUP, EXIT_WORK } from '@emkit/ir';
import type { Value } from '@emkit/ir';

/** #GP(0) unless CPL is 0. */
const privileged =
  (handler: Handler): Handler =>
  (t, i) =>
    t.cpl === 0 ? handler(t, i) : t.protectionFault();
/** #UD unless CPL is 0. SDM Vol. 2B "MONITOR", "MWAIT". */
const supervisorOnly =
  (handler: Handler): Handler =>
  (t, i) =>
    t.cpl === 0 ? handler(t, i) : t.undefined();
/** #UD in real and virtual-8086 mode. */
const protectedOnly =
  (handler: Handler): Handler =>
  (t, i) =>
    t.protectedMode ? handler(t, i) : t.undefined();

// --- segment registers ------------------------------------------------------------------------------------------
const movToSeg: Handler = (t, i) => {
  const seg = i.reg & 7;
  if (seg === CS || seg > GS) {
    t.undefined();
    return;
  }
  const selector = t.low(t.read(1));
  if (quickLoadSegment(t, seg, selector)) {
    if (changesFlags(seg)) t.exitNext();
    return;
  }
  t.call('load_seg', t.b.i32(seg), selector);
  t.exitNext(EXIT_LOOKUP, seg === SS, seg !== SS);
};
/** Memory gets 16 bits whatever the operand size. */
const storeWord = (t: Translator, size: number, v: Value): void => {
  if (t.isMem) t.store(1, t.memory(2, ACCESS_WRITE), v);
  else t.setReg(t.insn.rm, size, t.sized(size, v));
};
const movFromSeg: Handler = (t, i) => {
  if ((i.reg & 7) > GS) t.undefined();
  else storeWord(t, i.size, t.segSelector(i.reg & 7));
};
/** LES, LDS, LSS, LFS, LGS. */
const loadFar: Handler = (t, i) => {
  const n = 1 << i.size;
  const address = t.memory(n + 2, ACCESS_READ);
  const offset = t.load(i.size, address);
  const selector = t.load(1, t.memoryAt(n));
  t.call('load_seg', t.b.i32(i.row.arg === SS ? SS | LOAD_SEG_NO_SHADOW : i.row.arg), selector);
  t.setReg(i.reg, i.size, offset);
  t.exitNext();
};

// --- descriptor tables and selectors ----------------------------------------------------------------------------
/** CR4.UMIP may keep these from programs. */
const notForPrograms =
  (handler: Handler): Handler =>
  (t, i) => {
    if (t.cpl !== 0 && t.has(FEATURE.umip!)) t.callKeep('check_umip');
    handler(t, i);
  };
const storeSelector = (at: number): Handler =>
  protectedOnly(notForPrograms((t, i) => storeWord(t, i.size, t.b.and(t.envLoad(at + SEG_SELECTOR), t.b.i32(0xffff)))));
const loadSystemSegment = (helper: string): Handler =>
  protectedOnly(
    privileged((t) => {
      t.call(helper, t.read(0));
      t.exitNext();
    }),
  );
/** VERR, VERW: ZF by the helper, as EFLAGS bits. */
const verify = (helper: string): Handler =>
  protectedOnly((t) => {
    t.call(helper, t.read(0));
    t.beginFlags(CC_EFLAGS);
  });
/** LAR, LSL: the destination is written only when ZF came out set. */
const describe = (helper: string): Handler =>
  protectedOnly((t, i) => {
    const { b } = t;
    const selector = i.mod === 3 ? t.reg(i.rm, 1) : t.read(1);
    const v = t.call(helper, selector, b.i32(i.size === 1 ? 2 : 4));
    t.beginFlags(CC_EFLAGS);
    t.write(0, b.select(t.zero(), t.sized(i.size, v), t.read(0)));
  });
const arpl = protectedOnly((t) => {
  const { b } = t;
  const x = t.readRmw(0);
  const rpl = b.and(t.read(1), b.i32(3));
  const raise = b.ltU(b.and(x, b.i32(3)), rpl);
  t.write(0, b.select(raise, b.or(b.and(x, b.i32(0xfffc)), rpl), x));
  t.setZero(raise);
});
const storeTable =
  (base: number, limit: number): Handler =>
  (t) => {
    const address = t.memory(t.is64 ? 10 : 6, ACCESS_WRITE);
    t.store(1, address, t.envLoad(limit));
    if (t.is64) t.store(3, t.memoryAt(2), t.envLoad64(base));
    else t.store(2, t.memoryAt(2), t.envLoad(base));
  };
const loadTable = (helper: string): Handler =>
  privileged((t, i) => {
    const { b } = t;
    const limit = t.load(1, t.memory(t.is64 ? 10 : 6, ACCESS_READ));
    if (t.is64) {
      const wide = t.load(3, t.memoryAt(2));
      t.callKeep(helper, limit, t.low(wide), t.high(wide));
      return;
    }
    const base = t.load(2, t.memoryAt(2));
    t.callKeep(helper, limit, i.size === 1 ? b.and(base, b.i32(0xffffff)) : base);
  });

// --- control and debug registers, MSRs --------------------------------------------------------------------------
/** CR8 is the task priority register of 64-bit code. */
const hasControlRegister = (t: Translator, n: number): boolean => n === 0 || (n >= 2 && n <= 4) || (n === 8 && t.is64);
/** General register operand of these moves: always of the mode's width. */
const registerArguments = (t: Translator, r: number): Value[] =>
  t.is64 ? [t.low(t.reg(r, 3)), t.high(t.reg(r, 3))] : [t.reg(r, 2)];
/** A result of which the helper returned the low half and left the high half in SCRATCH. */
const result64 = (t: Translator, v: Value): Value => t.pair(v, t.envLoad(ENV.SCRATCH));
function moveFrom(t: Translator, r: number, helper: string, n: number): void {
  const v = t.callKeep(helper, t.b.i32(n));
  if (t.is64) t.setReg(r, 3, result64(t, v));
  else t.setReg(r, 2, v);
}
const movFromCr: Handler = (t, i) => {
  if (!hasControlRegister(t, i.reg)) t.undefined();
  else if (t.cpl !== 0) t.protectionFault();
  else moveFrom(t, i.rm, 'mov_from_cr', i.reg);
};
const movToCr: Handler = (t, i) => {
  if (!hasControlRegister(t, i.reg)) t.undefined();
  else if (t.cpl !== 0) t.protectionFault();
  else {
    t.call('mov_to_cr', t.b.i32(i.reg), ...registerArguments(t, i.rm));
    t.exitNext(EXIT_WORK);
  }
};
/** DR8-DR15 do not exist. */
const debugRegister = (handler: Handler): Handler => {
  const atZero = privileged(handler);
  return (t, i) => (i.reg > 7 ? t.undefined() : atZero(t, i));
};
const movFromDr = debugRegister((t, i) => moveFrom(t, i.rm, 'mov_from_dr', i.reg));
const movToDr = debugRegister((t, i) => {
  t.call('mov_to_dr', t.b.i32(i.reg), ...registerArguments(t, i.rm));
  t.exitNext(EXIT_ALWAYS);
});
const smsw = notForPrograms((t, i) => storeWord(t, i.size, t.envLoad(ENV.CR)));
const lmsw = privileged((t) => {
  t.call('lmsw', t.read(0));
  t.exitNext(EXIT_WORK);
});
/** Helper without arguments at CPL 0 that may change block flags or translations. */
const privilegedHelper = (name: string): Handler =>
  privileged((t) => {
    t.call(name);
    t.exitNext(EXIT_WORK);
  });
const invlpg = privileged((t, i) => {
  const lin = t.addBase(i.segment, t.ea());
  t.call('invlpg', t.low(lin), ...(t.wide ? [t.high(lin)] : []));
  t.exitNext();
});
/** Helper that writes the low halves of `results`; in 64-bit code their upper halves become 0. */
const plainHelper =
  (name: string, ...results: number[]): Handler =>
  (t) => {
    t.callKeep(name);
    if (t.is64) for (const r of results) t.setReg(r, 2, t.reg(r, 2));
  };
const clflush: Handler = (t) => {
  t.load(0, t.memory(1, ACCESS_READ));
};

// --- interrupts and ports ---------------------------------------------------------------------------------------
const cli: Handler = (t) => {
  const { b } = t;
  if ((t.flags & HF_IOPL_OK) !== 0) {
    b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~FLAG_IF)));
    return;
  }
  t.call('cli', t.nextPc());
  t.exitNext(EXIT_WORK);
};
/**
 * The shadow is begun also when IF was set already, where a CPU has none: nobody can tell, as an interrupt then waits
 * one instruction more.
 */
const sti: Handler = (t) => {
  const { b } = t;
  if ((t.flags & HF_IOPL_OK) !== 0 && !t.special) {
    b.set(G.EFLAGS, b.or(b.get(G.EFLAGS), b.i32(FLAG_IF)));
    t.envStore(ENV.INHIBIT_IRQ, b.i32(SHADOW_STI));
    t.setFlags(t.flags | HF_INHIBIT_IRQ);
    t.stop();
    return;
  }
  t.call('sti', t.nextPc());
  t.exitNext(EXIT_WORK, true);
};
const hlt = privileged((t) => t.finishWith('hlt', [t.nextPc()], EXIT_ALWAYS));
const portOf = (t: Translator, operand: number): Value =>
  t.insn.row.imm1 !== 0 ? t.b.i32(t.insn.imm & 0xff) : t.read(operand);
/** Where no permission and no breakpoint of ports is to be looked at, hot code calls the device without leaving. */
const callsPorts = (t: Translator): boolean => (t.flags & HF_IOPL_OK) !== 0 && !t.special && t.quickForm('ports');
const portIn: Handler = (t) => {
  const { b } = t;
  const size = t.size(0);
  const port = portOf(t, 1);
  const bytes = b.i32(1 << size);
  t.setReg(EAX, size, callsPorts(t) ? t.callDevice('port_in', port, bytes) : t.callKeep('port_in', port, bytes));
  t.stop();
};
const portOut: Handler = (t) => {
  const { b } = t;
  const size = t.size(1);
  const port = portOf(t, 0);
  const bytes = b.i32(1 << size);
  const v = t.reg(EAX, size);
  if (callsPorts(t)) t.callDevice('port_out', port, bytes, v);
  else t.callKeep('port_out', port, bytes, v);
  t.stop();
};

const ud: Handler = (t) => t.undefined();

export const SYSTEM_HANDLERS: HandlerTable = {
  mov_to_seg: movToSeg,
  mov_from_seg: movFromSeg,
  load_far: loadFar,
  sldt: storeSelector(ENV.LDTR),
  str: storeSelector(ENV.TR),
  lldt: loadSystemSegment('lldt'),
  ltr: loadSystemSegment('ltr'),
  verr: verify('verr'),
  verw: verify('verw'),
  lar: describe('lar'),
  lsl: describe('lsl'),
  arpl,
  sgdt: notForPrograms(storeTable(ENV.GDT_BASE, ENV.GDT_LIMIT)),
  sidt: notForPrograms(storeTable(ENV.IDT_BASE, ENV.IDT_LIMIT)),
  lgdt: loadTable('lgdt'),
  lidt: loadTable('lidt'),
  mov_from_cr: movFromCr,
  mov_to_cr: movToCr,
  mov_from_dr: movFromDr,
  mov_to_dr: movToDr,
  smsw,
  lmsw,
  clts: privilegedHelper('clts'),
  wbinvd: privileged(plainHelper('wbinvd')),
  rdmsr: privileged((t, i) => {
    if (!quickReadBaseMsr(t)) plainHelper('rdmsr', EAX, EDX)(t, i);
  }),
  wrmsr: privileged((t, i) => {
    if (!quickWriteBaseMsr(t)) privilegedHelper('wrmsr')(t, i);
  }),
  invlpg,
  rdtsc: plainHelper('rdtsc', EAX, EDX),
  rdtscp: plainHelper('rdtscp', EAX, EDX, ECX),
  rdpmc: plainHelper('rdpmc', EAX, EDX),
  cpuid: plainHelper('cpuid', EAX, ECX, EDX, EBX),
  monitor: supervisorOnly(plainHelper('monitor')),
  mwait: supervisorOnly((t) => t.finishWith('mwait', [t.nextPc()], EXIT_ALWAYS)),
  sysenter: (t) => {
    if (!quickSysenter(t)) t.finishWith('sysenter', []);
  },
  sysexit: (t, i) => {
    if (i.size === 3 || !quickSysexit(t)) t.finishWith('sysexit', [t.b.i32(1 << i.size)]);
  },
  clflush,
  cli,
  sti,
  hlt,
  in: portIn,
  out: portOut,
  ud,
};
