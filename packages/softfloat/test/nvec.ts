/// <reference types="node" />
/**
 * Reader of the recorded CPU vectors (NVEC files, format in their own README).
 * The vectors lie outside the repository, in ../shared next to its root.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

export interface CpuState {
  readonly gpr: number[]; // low halves
  readonly gprHigh: number[];
  flags: number;
  fcw: number;
  fsw: number;
  tag: number;
  mxcsr: number;
  st: Uint8Array[];
  xmm: Uint8Array[];
}
export interface MemoryRun {
  readonly addr: number;
  readonly data: Uint8Array;
}
export interface Vector {
  readonly index: number;
  readonly mode: number;
  readonly code: Uint8Array;
  readonly exc: number;
  readonly undef: number;
  readonly tol: number;
  readonly fswUndef: number;
  readonly init: CpuState;
  readonly out: CpuState;
  readonly before: readonly MemoryRun[];
  readonly after: readonly MemoryRun[];
}

export function vectorFile(name: string): string {
  const marker = join('shared', 'conformance', 'native-vectors', 'data');
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const file = join(dir, marker, name);
    if (existsSync(file)) return file;
    if (dir === dirname(dir))
      throw new Error(`recorded vectors not found: ${marker}/${name} beside the repository root`);
  }
}

export function readVectors(name: string): Vector[] {
  const b = gunzipSync(readFileSync(vectorFile(name)));
  const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
  if (b.toString('latin1', 0, 4) !== 'NVEC') throw new Error(`${name}: not NVEC`);
  const mode = v.getUint8(6);
  const count = v.getUint32(8, true);
  let p = 64;
  const u8 = (): number => v.getUint8(p++);
  const u16 = (): number => v.getUint16((p += 2) - 2, true);
  const u32 = (): number => v.getUint32((p += 4) - 4, true);
  const bytes = (n: number): Uint8Array => new Uint8Array(b.subarray((p += n) - n, p));
  const reg = (s: CpuState, i: number): void => {
    s.gpr[i] = u32();
    if (mode === 64) s.gprHigh[i] = u32();
  };
  const registers = (s: CpuState): void => {
    const m = u32();
    for (let i = 0; i < 16; i++) if ((m >> i) & 1) reg(s, i);
    if (m & 0x10000) s.flags = u32();
    if (m & 0x20000) p += mode === 64 ? 8 : 4;
  };
  const memory = (): MemoryRun[] =>
    Array.from({ length: u8() }, () => {
      const addr = u32();
      return { addr, data: bytes(u16()) };
    });
  const fx = (s: CpuState): void => {
    const m = u32();
    if (m & 1) s.fcw = u16();
    if (m & 2) s.fsw = u16();
    if (m & 4) s.tag = u8();
    if (m & 8) s.mxcsr = u32();
    for (let i = 0; i < 8; i++) if ((m >> (8 + i)) & 1) s.st[i] = bytes(10);
    for (let i = 0; i < 16; i++) if ((m >>> (16 + i)) & 1) s.xmm[i] = bytes(16);
  };
  const fresh = (): CpuState => ({
    gpr: Array.from({ length: 16 }, (_, i) =>
      i === 4 ? 0x30000800 : i < 8 || mode === 64 ? 0x01010101 * (16 + i) : 0,
    ),
    gprHigh: Array.from({ length: 16 }, (_, i) => (mode === 64 && i !== 4 ? 0x01010101 * (16 + i) : 0)),
    flags: 0,
    fcw: 0x37f,
    fsw: 0,
    tag: 0,
    mxcsr: 0x1f80,
    st: Array.from({ length: 8 }, () => new Uint8Array(10)),
    xmm: Array.from({ length: 16 }, () => new Uint8Array(16)),
  });
  return Array.from({ length: count }, (_, index): Vector => {
    p += 2;
    const hasFx = u8();
    const tol = u8();
    const exc = u8();
    const code = bytes(u8());
    const undef = u32();
    if (exc !== 255) p += exc === 14 ? 4 + (mode === 64 ? 8 : 4) : 4;
    const init = fresh();
    registers(init);
    const before = memory();
    const out: CpuState = { ...init, gpr: [...init.gpr], gprHigh: [...init.gprHigh] };
    registers(out);
    const after = memory();
    let fswUndef = 0;
    if (hasFx) {
      fswUndef = u16();
      fx(init);
      Object.assign(out, {
        fcw: init.fcw,
        fsw: init.fsw,
        tag: init.tag,
        mxcsr: init.mxcsr,
        st: [...init.st],
        xmm: [...init.xmm],
      });
      fx(out);
    }
    return { index, mode, code, exc, undef, tol, fswUndef, init, out, before, after };
  });
}

export const hex = (b: Uint8Array): string =>
  Array.from(b, (x) => x.toString(16).padStart(2, '0'))
    .reverse()
    .join('');
