/**
 * Reader of the NVEC format (native-vectors/README.md, "File format"): one record at a time, fields as plain numbers.
 * Mode-32 files only.
 */
export interface FxState {
  fcw: number;
  fsw: number;
  ftw: number;
  mxcsr: number;
  /** ST(0)..ST(7), 10 bytes each; XMM0-7, 16 bytes each. */
  st: Uint8Array[];
  xmm: Uint8Array[];
}
export interface CpuState {
  gpr: number[];
  flags: number;
  ip: number;
}
export interface MemoryRun {
  readonly address: number;
  readonly data: Uint8Array;
}
export interface Vector {
  readonly index: number;
  readonly code: Uint8Array;
  /** 255: none. */
  readonly exception: number;
  readonly error: number;
  readonly cr2: number;
  readonly undefinedFlags: number;
  readonly tolerance: number;
  readonly initial: CpuState;
  readonly final: CpuState;
  readonly before: readonly MemoryRun[];
  readonly after: readonly MemoryRun[];
  /** Undefined: the vector has no FPU part. */
  readonly fx?: { readonly initial: FxState; readonly final: FxState; readonly undefinedFsw: number };
}

export const DEFAULT_IP = 0x10000800;
const DEFAULT_SP = 0x30000800;
const HEADER = 64;

export function* readVectors(file: Uint8Array): Generator<Vector> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (String.fromCharCode(...file.subarray(0, 4)) !== 'NVEC' || file[4] !== 1)
    throw new Error('not an NVEC version 1 file');
  if (file[6] !== 32) throw new Error('a 64-bit vector file: long mode is not supported');
  const count = view.getUint32(8, true);
  let p = HEADER;
  const u8 = (): number => view.getUint8(p++);
  const u16 = (): number => view.getUint16((p += 2) - 2, true);
  const u32 = (): number => view.getUint32((p += 4) - 4, true);
  const bytes = (n: number): Uint8Array => file.slice(p, (p += n));
  const registers = (s: CpuState): void => {
    const mask = u32();
    for (let n = 0; n < 16; n++) if ((mask & (1 << n)) !== 0) s.gpr[n] = u32();
    if ((mask & 0x10000) !== 0) s.flags = u32();
    if ((mask & 0x20000) !== 0) s.ip = u32();
  };
  const memory = (): MemoryRun[] =>
    Array.from({ length: u8() }, () => {
      const address = u32();
      return { address, data: bytes(u16()) };
    });
  const fx = (s: FxState): void => {
    const mask = u32();
    if ((mask & 1) !== 0) s.fcw = u16();
    if ((mask & 2) !== 0) s.fsw = u16();
    if ((mask & 4) !== 0) s.ftw = u8();
    if ((mask & 8) !== 0) s.mxcsr = u32();
    for (let n = 0; n < 8; n++) if ((mask & (0x100 << n)) !== 0) s.st[n] = bytes(10);
    for (let n = 0; n < 16; n++) if ((mask & (0x10000 << n)) !== 0) s.xmm[n] = bytes(16);
  };
  for (let index = 0; index < count; index++) {
    const start = p;
    const length = u16();
    const hasFx = u8();
    const tolerance = u8();
    const exception = u8();
    const code = bytes(u8());
    const undefinedFlags = u32();
    const error = exception === 255 ? 0 : u32();
    const cr2 = exception === 14 ? u32() : 0;
    const initial: CpuState = {
      gpr: Array.from({ length: 16 }, (_, n) => (n < 8 ? (0x10 + n) * 0x01010101 : 0)),
      flags: 0,
      ip: DEFAULT_IP,
    };
    initial.gpr[4] = DEFAULT_SP;
    registers(initial);
    const before = memory();
    const final: CpuState = { ...initial, gpr: [...initial.gpr] };
    registers(final);
    const after = memory();
    const common = { index, code, exception, error, cr2, undefinedFlags, tolerance, initial, final, before, after };
    if (hasFx === 0) yield common;
    else {
      const undefinedFsw = u16();
      const first: FxState = {
        fcw: 0x37f,
        fsw: 0,
        ftw: 0,
        mxcsr: 0x1f80,
        st: Array.from({ length: 8 }, () => new Uint8Array(10)),
        xmm: Array.from({ length: 16 }, () => new Uint8Array(16)),
      };
      fx(first);
      const last: FxState = { ...first, st: [...first.st], xmm: [...first.xmm] };
      fx(last);
      yield { ...common, fx: { initial: first, final: last, undefinedFsw } };
    }
    if (p !== start + length) throw new Error(`record ${index} has another length than it says`);
  }
}
