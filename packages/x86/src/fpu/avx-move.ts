/**
 * Handlers of AVX data movement: whole registers, scalars and halves, duplicates, VZEROUPPER, VZEROALL.
 * Not here: masked moves and gathers (avx-masked.ts). SDM Vol. 2B, 2C.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { SZ_D } from '../decode/row.ts';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import { demandAlignment } from './address.ts';
import {
  eachHalf,
  firstXmm,
  isYmm,
  low32,
  low64,
  setResult,
  source,
  sseReady,
  storeAddress,
  xmmSource,
  ymm,
  zero,
  zeroExtend32,
  zeroExtend64,
} from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const REPLACE32 = opId('i32x4_replace_lane');
const REPLACE64 = opId('i64x2_replace_lane');
const LANE64 = opId('i64x2_extract_lane');
const SPLAT64 = opId('i64x2_splat');

const bytesOfVector = (t: Translator): number => (isYmm(t) ? 32 : 16);

// --- whole registers --------------------------------------------------------------------------------------------------------
const load =
  (aligned: boolean): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    if (aligned && t.isMem) demandAlignment(t, t.memory(bytesOfVector(t), ACCESS_READ), bytesOfVector(t));
    const s = source(t);
    setResult(t, s.lo, s.hi);
  };
const store =
  (aligned: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = ymm(t, i.reg);
    if (!t.isMem) {
      setResult(t, v.lo, v.hi, i.rm);
      return;
    }
    const address = storeAddress(t, bytesOfVector(t));
    if (aligned) demandAlignment(t, address, bytesOfVector(t));
    if (isYmm(t)) t.checkWideStore();
    t.store(4, address, v.lo);
    if (isYmm(t)) t.store(4, t.memoryAt(16), v.hi);
  };

// --- scalars and halves -------------------------------------------------------------------------------------------------------
const movdLoad: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = t.read(1);
  setResult(t, i.size === 3 ? zeroExtend64(t, v) : zeroExtend32(t, v));
};
const movdStore: Handler = (t, i) => {
  if (sseReady(t)) t.write(0, i.size === 3 ? low64(t, t.xmm(i.reg)) : low32(t, t.xmm(i.reg)));
};
const load64 = (t: Translator): Value => t.load(3, t.memory(8, ACCESS_READ));
const movqLoad: Handler = (t, i) => {
  if (sseReady(t)) setResult(t, zeroExtend64(t, t.isMem ? load64(t) : low64(t, t.xmm(i.rm))));
};
const movqStore: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = low64(t, t.xmm(i.reg));
  if (t.isMem) t.store(3, storeAddress(t, 8), v);
  else setResult(t, zeroExtend64(t, v), -1, i.rm);
};
/** VMOVSS and VMOVSD with memory: zeros above. */
const loadLow: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (i.row.operands[1]!.size === SZ_D) setResult(t, zeroExtend32(t, t.load(2, t.memory(4, ACCESS_READ))));
  else setResult(t, zeroExtend64(t, load64(t)));
};
const storeLow: Handler = (t, i) => {
  if (!sseReady(t)) return;
  if (i.row.operands[0]!.size === SZ_D) t.store(2, storeAddress(t, 4), low32(t, t.xmm(i.reg)));
  else t.store(3, storeAddress(t, 8), low64(t, t.xmm(i.reg)));
};
/** Between registers: the low lane of one, the rest of vvvv. Opcode 11 has destination and source the other way round. */
const moveLow =
  (low: (t: Translator, v: Value) => Value, replace: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const [to, from] = (i.opcode & 1) !== 0 ? [i.rm, i.reg] : [i.reg, i.rm];
    setResult(t, t.b.emit(replace, firstXmm(t), low(t, t.xmm(from))), -1, to);
  };
/** VMOVLPx, VMOVHPx from memory; VMOVHLPS, VMOVLHPS take the other half of a register. row.arg: the half written. */
const loadHalf: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const half = i.row.arg;
  const v = t.isMem ? load64(t) : t.b.emit(LANE64, t.xmm(i.rm), -1, -1, 1 - half);
  setResult(t, t.b.emit(REPLACE64, firstXmm(t), v, -1, half));
};
const movddup: Handler = (t) => {
  if (!sseReady(t)) return;
  const { b } = t;
  if (isYmm(t)) eachHalf(t, (_d, s) => b.shuffle(s, s, byteLanes(8, 0, 0)));
  else setResult(t, b.emit(SPLAT64, low64(t, xmmSource(t, 8))));
};
const duplicate =
  (...lanes: number[]): Handler =>
  (t) => {
    if (sseReady(t)) eachHalf(t, (_d, s) => t.b.shuffle(s, s, byteLanes(4, ...lanes)));
  };

// --- VZEROUPPER, VZEROALL -------------------------------------------------------------------------------------------------------
const zeroRegisters =
  (all: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    for (let n = 0; n < (i.is64 ? 16 : 8); n++) setResult(t, all ? zero(t) : t.xmm(n), -1, n);
  };

/** VLDMXCSR and the like are the handlers of SSE. */
export const AVX_MOVE_HANDLERS: HandlerTable = {
  vload_aligned: load(true),
  vload_unaligned: load(false),
  vstore_aligned: store(true),
  vstore_unaligned: store(false),
  vmovd_load: movdLoad,
  vmovd_store: movdStore,
  vmovq_load: movqLoad,
  vmovq_store: movqStore,
  vload_low: loadLow,
  vstore_low: storeLow,
  vmovss: moveLow(low32, REPLACE32),
  vmovsd: moveLow(low64, REPLACE64),
  vload_half: loadHalf,
  vmovddup: movddup,
  vmovsldup: duplicate(0, 0, 2, 2),
  vmovshdup: duplicate(1, 1, 3, 3),
  vzeroupper: zeroRegisters(false),
  vzeroall: zeroRegisters(true),
};
