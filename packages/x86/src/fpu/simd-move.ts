/**
 * Handlers of SIMD data movement: MOVD, MOVQ, MOVDQA/U, MOVxPS/PD, partial and non-temporal moves, duplicates,
 * MASKMOV, EMMS, MXCSR and the fences. Non-temporal stores are plain stores; fences do nothing (one processor, coherent
 * caches). SDM Vol. 2B.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { OP_P } from '../decode/row.ts';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import { DS, EDI, ENV, EXC, G, HF_SSE_FAST } from '../state.ts';
import { addressArguments, is64, isWide } from './address.ts';
import { storeMaskedBytes } from './avx-masked.ts';
import { SSE_FAST_MASK, SSE_FAST_VALUE } from './mxcsr.ts';
import {
  alignedAddress,
  enterMmx,
  low32,
  low64,
  mm,
  mm64,
  mmxReady,
  setMm64,
  sseMmxReady,
  sseReady,
  storeAddress,
  xmmSourceUnaligned,
  zeroExtend32,
  zeroExtend64,
} from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const REPLACE32 = opId('i32x4_replace_lane');
const REPLACE64 = opId('i64x2_replace_lane');
const LANE64 = opId('i64x2_extract_lane');
const SPLAT64 = opId('i64x2_splat');

const load64 = (t: Translator): Value => t.load(3, t.memory(8, ACCESS_READ));
const high64 = (t: Translator, v: Value): Value => t.b.emit(LANE64, v, -1, -1, 1);

// --- whole registers ----------------------------------------------------------------------------------------------
const loadAligned: Handler = (t, i) => {
  if (!sseReady(t)) return;
  t.setXmm(i.reg, t.isMem ? t.load(4, alignedAddress(t, ACCESS_READ)) : t.xmm(i.rm));
};
const loadUnaligned: Handler = (t, i) => {
  if (sseReady(t)) t.setXmm(i.reg, xmmSourceUnaligned(t));
};
const storeAligned: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (t.isMem) t.store(4, alignedAddress(t, ACCESS_WRITE), t.xmm(i.reg));
  else t.setXmm(i.rm, t.xmm(i.reg));
};
const storeUnaligned: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (t.isMem) t.store(4, storeAddress(t, 16), t.xmm(i.reg));
  else t.setXmm(i.rm, t.xmm(i.reg));
};

// --- MOVD (with REX.W: MOVQ), MOVQ -----------------------------------------------------------------------------------------------------
const movdLoad: Handler = (t, i) => {
  if (i.row.method0 === OP_P) {
    if (!mmxReady(t)) return;
    const v = isWide(t) ? t.read(1) : t.b.extU(t.read(1));
    enterMmx(t);
    setMm64(t, i.reg, v);
  } else if (sseReady(t)) t.setXmm(i.reg, isWide(t) ? zeroExtend64(t, t.read(1)) : zeroExtend32(t, t.read(1)));
};
const movdStore: Handler = (t, i) => {
  const isMmx = i.row.operands[1]!.method === OP_P;
  if (isMmx ? !mmxReady(t) : !sseReady(t)) return;
  const wide = isMmx ? mm64(t, i.reg) : low64(t, t.xmm(i.reg));
  const v = isWide(t) ? wide : isMmx ? t.b.wrap(wide) : low32(t, t.xmm(i.reg));
  if (t.isMem) t.write(0, v);
  if (isMmx) enterMmx(t);
  if (!t.isMem) t.write(0, v);
};
const movqMmxLoad: Handler = (t, i) => {
  if (!mmxReady(t)) return;
  const v = t.isMem ? load64(t) : mm64(t, i.rm);
  enterMmx(t);
  setMm64(t, i.reg, v);
};
/** MOVQ Qq,Pq and MOVNTQ. */
const movqMmxStore: Handler = (t, i) => {
  if (!mmxReady(t)) return;
  const v = mm64(t, i.reg);
  if (t.isMem) t.store(3, storeAddress(t, 8), v);
  enterMmx(t);
  if (!t.isMem) setMm64(t, i.rm, v);
};
const movqLoad: Handler = (t, i) => {
  if (sseReady(t)) t.setXmm(i.reg, zeroExtend64(t, t.isMem ? load64(t) : low64(t, t.xmm(i.rm))));
};
const movqStore: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = low64(t, t.xmm(i.reg));
  if (t.isMem) t.store(3, storeAddress(t, 8), v);
  else t.setXmm(i.rm, zeroExtend64(t, v));
};
const movq2dq: Handler = (t, i) => {
  if (!sseMmxReady(t)) return;
  const v = mm64(t, i.rm);
  enterMmx(t);
  t.setXmm(i.reg, zeroExtend64(t, v));
};
const movdq2q: Handler = (t, i) => {
  if (!sseMmxReady(t)) return;
  enterMmx(t);
  setMm64(t, i.reg, low64(t, t.xmm(i.rm)));
};

// --- scalars and halves ---------------------------------------------------------------------------------------------
const movssLoad: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (t.isMem) t.setXmm(i.reg, zeroExtend32(t, t.load(2, t.memory(4, ACCESS_READ))));
  else t.setXmm(i.reg, t.b.emit(REPLACE32, t.xmm(i.reg), low32(t, t.xmm(i.rm))));
};
const movssStore: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = low32(t, t.xmm(i.reg));
  if (t.isMem) t.store(2, storeAddress(t, 4), v);
  else t.setXmm(i.rm, t.b.emit(REPLACE32, t.xmm(i.rm), v));
};
const movsdLoad: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (t.isMem) t.setXmm(i.reg, zeroExtend64(t, load64(t)));
  else t.setXmm(i.reg, t.b.emit(REPLACE64, t.xmm(i.reg), low64(t, t.xmm(i.rm))));
};
const movsdStore: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = low64(t, t.xmm(i.reg));
  if (t.isMem) t.store(3, storeAddress(t, 8), v);
  else t.setXmm(i.rm, t.b.emit(REPLACE64, t.xmm(i.rm), v));
};
/** MOVLPS/PD, MOVHPS/PD with memory; MOVHLPS, MOVLHPS with a register (the other half of it). */
const loadHalf =
  (half: 0 | 1): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = t.isMem ? load64(t) : half === 0 ? high64(t, t.xmm(i.rm)) : low64(t, t.xmm(i.rm));
    t.setXmm(i.reg, t.b.emit(REPLACE64, t.xmm(i.reg), v, -1, half));
  };
const storeHalf =
  (half: 0 | 1): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = t.xmm(i.reg);
    t.store(3, storeAddress(t, 8), half === 0 ? low64(t, v) : high64(t, v));
  };

const movddup: Handler = (t, i) => {
  if (sseReady(t)) t.setXmm(i.reg, t.b.emit(SPLAT64, t.isMem ? load64(t) : low64(t, t.xmm(i.rm))));
};
const duplicate =
  (lanes: Uint8Array): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = t.isMem ? t.load(4, alignedAddress(t, ACCESS_READ)) : t.xmm(i.rm);
    t.setXmm(i.reg, t.b.shuffle(v, v, lanes));
  };

// --- masked stores ----------------------------------------------------------------------------------------------------
/** Bytes chosen by a mask, one by one: no fault for the ones left out. Hot code: avx-masked.ts. */
const maskmov: Handler = (t, i) => {
  const isMmx = i.row.method0 === OP_P;
  if (isMmx ? !mmxReady(t) : !sseReady(t)) return;
  const bytes = isMmx ? 8 : 16;
  const offset = t.reg(EDI, i.asize);
  const segment = i.override < 0 ? DS : i.override;
  const address = t.linear(segment, is64(t) && i.asize < 3 ? t.b.extU(offset) : offset, bytes, ACCESS_WRITE);
  const data = isMmx ? mm(t, i.reg) : t.xmm(i.reg);
  const mask = isMmx ? mm(t, i.rm) : t.xmm(i.rm);
  if (t.quickForm('masked-moves')) storeMaskedBytes(t, bytes, segment, address, data, mask);
  else {
    t.envStore(ENV.SCRATCH, data);
    t.envStore(ENV.SCRATCH + 16, mask);
    t.call('maskmov', ...addressArguments(t, address), t.b.i32(bytes));
  }
  if (isMmx) enterMmx(t);
};

const emms: Handler = (t) => {
  if (!mmxReady(t)) return;
  enterMmx(t);
  t.envStore(ENV.FPTAGS, t.b.i64Parts(0x01010101, 0x01010101));
};

// --- MXCSR ------------------------------------------------------------------------------------------------------------
const ldmxcsr: Handler = (t) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const v = t.load(2, t.memory(4, ACCESS_READ));
  t.raiseIf(b.ltU(b.i32(0xffff), v), EXC.GP, 0);
  t.envStore(ENV.MXCSR, v);
  const fast = b.eq(b.and(v, b.i32(SSE_FAST_MASK)), b.i32(SSE_FAST_VALUE));
  b.set(G.HFLAGS, b.select(fast, b.i32(t.flags | HF_SSE_FAST), b.i32(t.flags & ~HF_SSE_FAST)));
  t.exitNext();
};
const stmxcsr: Handler = (t) => {
  if (sseReady(t)) t.store(2, storeAddress(t, 4), t.envLoad(ENV.MXCSR));
};

const nothing: Handler = () => undefined;

/** MOVNTI m32, r32 or with REX.W m64, r64. */
const movnti: Handler = (t, i) => {
  const size = isWide(t) ? 3 : 2;
  t.store(size, storeAddress(t, 1 << size), t.reg(i.reg, size));
};

export const SIMD_MOVE_HANDLERS: HandlerTable = {
  load_aligned: loadAligned,
  load_unaligned: loadUnaligned,
  store_aligned: storeAligned,
  store_unaligned: storeUnaligned,
  movd_load: movdLoad,
  movd_store: movdStore,
  movq_mmx_load: movqMmxLoad,
  movq_mmx_store: movqMmxStore,
  movq_load: movqLoad,
  movq_store: movqStore,
  movq2dq,
  movdq2q,
  movss_load: movssLoad,
  movss_store: movssStore,
  movsd_load: movsdLoad,
  movsd_store: movsdStore,
  load_low: loadHalf(0),
  load_high: loadHalf(1),
  store_low: storeHalf(0),
  store_high: storeHalf(1),
  movddup,
  movsldup: duplicate(byteLanes(4, 0, 0, 2, 2)),
  movshdup: duplicate(byteLanes(4, 1, 1, 3, 3)),
  maskmov,
  emms,
  ldmxcsr,
  stmxcsr,
  movnti,
  sse_nothing: nothing,
};
