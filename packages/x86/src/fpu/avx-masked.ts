/**
 * Handlers of masked moves and gathers: VMASKMOVPx, VPMASKMOVx, VPGATHERxx, VGATHERxPx. What is masked out must not fault, which only a script
 * helper gets right in all cases (avx-helpers.ts). Hot code has forms of its own that touch more than they have to, where that cannot be seen:
 *
 * - A masked load reads the whole vector, a masked store reads it and writes back what is masked out. The TLB's check admits only bytes
 *   of one page of RAM with the right to do it; any other case leaves the region before anything is done, and the helper runs.
 * - A gather whose elements are all wanted is that many loads; nothing is set before the last of them.
 *
 * SDM Vol. 2C "VMASKMOV", "VPMASKMOV", "VPGATHERDD/VPGATHERQD" ff.
 */
import { MEM_RMW, opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import { FS, HF_FGCHECK, HF_SEGCHECK } from '../state.ts';
import { addressArguments, is64, onStack } from './address.ts';
import {
  GATHER_64,
  GATHER_ADDRESS_32,
  GATHER_DESTINATION,
  GATHER_ELEMENT,
  GATHER_INDEX,
  GATHER_INDEX_SIZE,
  GATHER_MASK,
  GATHER_SCALE,
  GATHER_SEGMENT,
  GATHER_YMM,
  MASKED_DATA,
  MASKED_MASK,
  MASKED_STACK,
  MASKED_YMM,
} from './avx-helpers.ts';
import { first, isYmm, setResult, sseReady, ymm, zero } from './simd-operands.ts';
import type { Halves } from './simd-operands.ts';

const AND = opId('v128_and');
const SELECT = opId('v128_bitselect');
const SIGNS = { 2: opId('i32x4_shr_s'), 3: opId('i64x2_shr_s') };
const BITMASK = { 2: opId('i32x4_bitmask'), 3: opId('i64x2_bitmask') };
const SPLAT = { 2: opId('i32x4_splat'), 3: opId('i64x2_splat') };
const REPLACE = { 2: opId('i32x4_replace_lane'), 3: opId('i64x2_replace_lane') };
const LANE = { 2: opId('i32x4_extract_lane'), 3: opId('i64x2_extract_lane') };
const BYTE_SIGNS = opId('i8x16_shr_s');
const ENVLD_V128 = opId('envld_v128');
/** log2 of an element's bytes. */
type Size = 2 | 3;

// --- masked moves -----------------------------------------------------------------------------------------------------------
/** All ones in the lanes whose top bit is set. */
const lanesOf = (t: Translator, mask: Value, size: Size): Value =>
  t.b.emit(SIGNS[size], mask, t.b.i32((8 << size) - 1));
const bothHalves = (t: Translator, v: Halves, f: (half: Value, n: number) => Value): Halves => ({
  lo: f(v.lo, 0),
  hi: isYmm(t) ? f(v.hi, 1) : -1,
});
function spillHalves(t: Translator, at: number, v: Halves): void {
  t.envStore(at, v.lo);
  if (isYmm(t)) t.envStore(at + 16, v.hi);
}
/** log2 of the element's size and what MASKED_* say. */
const maskedBits = (t: Translator): Value =>
  t.b.i32(t.insn.row.arg | (isYmm(t) ? MASKED_YMM : 0) | (onStack(t) ? MASKED_STACK : 0));

const maskLoad: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const address = t.memory(1, ACCESS_READ);
  const mask = first(t);
  if (t.quickForm('masked-moves')) {
    const result = bothHalves(t, mask, (half, n) =>
      t.b.emit(AND, t.load(4, t.memoryAt(16 * n)), lanesOf(t, half, i.row.arg as Size)),
    );
    setResult(t, result.lo, result.hi);
    return;
  }
  spillHalves(t, MASKED_MASK, mask);
  t.call('avx_mask_load', ...addressArguments(t, address), maskedBits(t));
  const part = (at: number): Value => t.b.emit(ENVLD_V128, -1, -1, -1, MASKED_DATA + at);
  setResult(t, part(0), isYmm(t) ? part(16) : -1);
};
const maskStore: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const address = t.memory(1, ACCESS_WRITE);
  const mask = first(t);
  const data = ymm(t, i.reg);
  if (t.quickForm('masked-moves')) {
    // both halves are read, and so checked, before one is written
    const result = bothHalves(t, mask, (half, n) =>
      t.b.emit(
        SELECT,
        n === 0 ? data.lo : data.hi,
        t.load(4, t.memoryAt(16 * n), true),
        lanesOf(t, half, i.row.arg as Size),
      ),
    );
    t.store(4, address, result.lo);
    if (isYmm(t)) t.store(4, t.memoryAt(16), result.hi);
    return;
  }
  spillHalves(t, MASKED_MASK, mask);
  spillHalves(t, MASKED_DATA, data);
  t.call('avx_mask_store', ...addressArguments(t, address), maskedBits(t));
};

/** MASKMOVDQU and MASKMOVQ in hot code: bytes of `data` whose mask byte has its top bit set, to memory; 8 or 16. */
export function storeMaskedBytes(
  t: Translator,
  bytes: number,
  segment: number,
  address: Value,
  data: Value,
  mask: Value,
): void {
  const { b } = t;
  const stack = t.stackFlag(segment);
  const chosen = b.emit(BYTE_SIGNS, mask, b.i32(7));
  if (bytes === 16) {
    b.store('st128', address, b.emit(SELECT, data, b.load('ld128', address, MEM_RMW | stack), chosen), stack);
    return;
  }
  const old = b.emit(SPLAT[3], b.load('ld64', address, MEM_RMW | stack));
  b.store('st64', address, b.emit(LANE[3], b.emit(SELECT, data, old, chosen)), stack);
}

// --- gathers ------------------------------------------------------------------------------------------------------------------
/** Element or index n of a register. */
function lane(t: Translator, v: Halves, size: Size, n: number): Value {
  const perHalf = 16 >> size;
  return t.b.emit(LANE[size], n < perHalf ? v.lo : v.hi, -1, -1, n & (perHalf - 1));
}
/** Linear address of the element that an index names; `base` is the effective address without it. */
function elementAddress(t: Translator, base: Value, indices: Halves, indexSize: Size, n: number): Value {
  const { b, insn } = t;
  let offset: Value;
  if (insn.asize === 3) {
    const index = lane(t, indices, indexSize, n);
    offset = b.add(base, b.shl(indexSize === 3 ? index : b.extS(index), b.i64(insn.scale)));
  } else {
    const index = indexSize === 3 ? lane(t, indices, 2, 2 * n) : lane(t, indices, 2, n);
    offset = b.add(t.low(base), b.shl(index, b.i32(insn.scale)));
    if (is64(t)) offset = t.extend(offset);
  }
  return t.addBase(insn.segment, offset);
}
/** All elements at once; bails out unless all are wanted. */
function gatherAll(t: Translator, base: Value, index: number, size: Size, indexSize: Size): void {
  const { b, insn } = t;
  const wide = isYmm(t);
  const count = (wide ? 32 : 16) >> Math.max(size, indexSize);
  const perHalf = 16 >> size;
  const mask = ymm(t, insn.vexV);
  for (let from = 0; from < count; from += perHalf) {
    const all = (1 << Math.min(perHalf, count - from)) - 1;
    const chosen = b.emit(BITMASK[size], from === 0 ? mask.lo : mask.hi);
    b.bailIf(b.ne(all === 2 ** perHalf - 1 ? chosen : b.and(chosen, b.i32(all)), b.i32(all)));
  }
  const indices = ymm(t, index);
  const halves: Value[] = [];
  for (let n = 0; n < count; n++) {
    const element = t.load(size, elementAddress(t, base, indices, indexSize, n));
    const half = Math.floor(n / perHalf);
    const at = n & (perHalf - 1);
    // fewer elements than fill half a register: zeros behind them
    if (at === 0 && count - n >= perHalf) halves[half] = b.emit(SPLAT[size], element);
    else halves[half] = b.emit(REPLACE[size], halves[half] ?? zero(t), element, -1, at);
  }
  setResult(t, halves[0]!, halves[1] ?? -1);
  setResult(t, zero(t), -1, insn.vexV);
}
/** Destination, indices and mask must be three registers. */
const gather: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { index } = i;
  if (index === i.reg || index === i.vexV || i.reg === i.vexV) {
    t.undefined();
    return;
  }
  // the address without the indices
  i.index = -1;
  const base = t.ea();
  i.index = index;
  const size = (i.row.arg & 3) as Size;
  const indexSize = (i.row.arg >> 4) as Size;
  const limits = is64(t) ? 0 : t.flags & (i.segment >= FS ? HF_FGCHECK : HF_SEGCHECK);
  if (limits === 0 && t.quickForm('masked-moves')) {
    gatherAll(t, base, index, size, indexSize);
    return;
  }
  const bits =
    (i.reg << GATHER_DESTINATION) |
    (index << GATHER_INDEX) |
    (i.vexV << GATHER_MASK) |
    (i.scale << GATHER_SCALE) |
    (size << GATHER_ELEMENT) |
    (indexSize << GATHER_INDEX_SIZE) |
    (i.segment << GATHER_SEGMENT) |
    (isYmm(t) ? GATHER_YMM : 0) |
    (i.is64 ? GATHER_64 : 0) |
    (i.is64 && i.asize === 2 ? GATHER_ADDRESS_32 : 0);
  t.call('avx_gather', ...addressArguments(t, base), t.b.i32(bits));
};

export const AVX_MASKED_HANDLERS: HandlerTable = {
  vmask_load: maskLoad,
  vmask_store: maskStore,
  vgather: gather,
};
