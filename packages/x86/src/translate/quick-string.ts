/**
 * REP MOVS and REP STOS in hot code: one copy or fill of memory, where all of it is upwards, within a page of RAM, and (STOS) of one byte's pattern. Everything
 * else bails out to the script helper (rep-string.ts), which alone knows restarts, devices, overlaps and limits. SDM Vol. 2B "MOVS", "REP", "STOS".
 */
import type { Value } from '@emkit/ir';
import type { Insn } from '../decode/insn.ts';
import {
  EAX,
  ECX,
  EDI,
  ES,
  ESI,
  FLAG_DF,
  FS,
  G,
  HF_ALIGN,
  HF_DEBUG,
  HF_FGCHECK,
  HF_SEGCHECK,
  HF_TF,
} from '../state.ts';
import type { Translator } from './translator.ts';

const PAGE = 4096;

/** Whether the instruction may be done in bulk, as far as that can be known now; asks `quickForm` last, which takes note. */
export function quickRepeat(t: Translator, i: Insn, size: number): boolean {
  // 32-bit addresses in 64-bit code would clear high halves where nothing is repeated
  if (i.asize !== (t.is64 ? 3 : 2)) return false;
  const checks = t.is64 ? 0 : HF_SEGCHECK | (i.segment >= FS ? HF_FGCHECK : 0);
  const align = size === 0 ? 0 : HF_ALIGN;
  return (t.flags & (checks | align | HF_TF | HF_DEBUG)) === 0 && t.quickForm('bulk-strings');
}

/** Bytes to do, i32, at most a page; leaves where there are more or DF is set. */
function bytesToDo(t: Translator, i: Insn, size: number): Value {
  const { b } = t;
  const count = t.reg(ECX, i.asize);
  b.bailIf(b.and(b.get(G.EFLAGS), b.i32(FLAG_DF)));
  b.bailIf(b.gtU(count, t.int(i.asize, PAGE >> size)));
  return b.shl(t.low(count), b.i32(size));
}

function advance(t: Translator, i: Insn, bytes: Value, ...registers: readonly number[]): void {
  const by = i.asize === 3 ? t.extend(bytes) : bytes;
  t.setReg(ECX, i.asize, t.int(i.asize, 0));
  for (const r of registers) t.setReg(r, i.asize, t.b.add(t.reg(r, i.asize), by));
}

export function quickMovs(t: Translator, i: Insn, size: number): void {
  const bytes = bytesToDo(t, i, size);
  t.b.copy(t.addBase(ES, t.reg(EDI, i.asize)), t.addBase(i.segment, t.reg(ESI, i.asize)), bytes);
  advance(t, i, bytes, ESI, EDI);
}

export function quickStos(t: Translator, i: Insn, size: number): void {
  const { b } = t;
  const bytes = bytesToDo(t, i, size);
  const value = t.reg(EAX, size);
  const byte = t.reg(EAX, 0);
  if (size > 0) {
    const pattern = size === 3 ? b.i64Parts(0x01010101, 0x01010101) : b.i32(size === 2 ? 0x01010101 : 0x0101);
    b.bailIf(b.ne(value, b.mul(size === 3 ? t.extend(byte) : byte, pattern)));
  }
  b.fill(t.addBase(ES, t.reg(EDI, i.asize)), byte, bytes);
  advance(t, i, bytes, EDI);
}
