/**
 * Reader of the NVEC format (native-vectors/README.md, "File format"), both widths: one record at a time. A 64-bit
 * register is two words, low first, as in env; mode-32 files have zeros in the high ones.
 */
export interface FxState {
  fcw: number;
  fsw: number;
  ftw: number;
  mxcsr: number;
  /** ST(0)..ST(7), 10 bytes each; XMM0-15, 16 bytes each. */
  st: Uint8Array[];
  xmm: Uint8Array[];
  /** Upper halves of YMM0-15, where they are recorded. */
  ymmHigh?: Uint8Array[];
}
export interface CpuState {
  /** 16 registers (rax rcx rdx rbx rsp rbp rsi rdi r8..r15), then the instruction pointer: two words each. */
  words: Uint32Array;
  flags: number;
}
/** Word of the instruction pointer in `CpuState.words`. */
export const IP = 32;
export interface MemoryRun {
  readonly address: number;
  readonly data: Uint8Array;
}
export interface Vector {
  readonly mode: 32 | 64;
  readonly index: number;
  readonly code: Uint8Array;
  /** 255: none. */
  readonly exception: number;
  readonly error: number;
  /** Low and high word. */
  readonly cr2: readonly [number, number];
  readonly undefinedFlags: number;
  readonly tolerance: number;
  readonly initial: CpuState;
  readonly final: CpuState;
  readonly before: readonly MemoryRun[];
  readonly after: readonly MemoryRun[];
  /** Undefined: the vector has no FPU part. */
  readonly fx?: { readonly initial: FxState; readonly final: FxState; readonly undefinedFsw: number };
}

const DEFAULT_IP = 0x10000800;
const DEFAULT_SP = 0x30000800;
const HEADER = 64;
/** Value of the record's `fx` byte when upper halves of YMM registers follow each fx delta (host-vectors/hostgen.c). */
const WITH_YMM = 2;

/** Registers of the default state: byte 10h + n repeated in register n. */
function defaults(mode: 32 | 64): Uint32Array {
  const words = new Uint32Array(34);
  for (let n = 0; n < (mode === 64 ? 16 : 8); n++)
    words.fill((0x10 + n) * 0x01010101, 2 * n, 2 * n + (mode === 64 ? 2 : 1));
  words.set([DEFAULT_SP, 0], 8);
  words[IP] = DEFAULT_IP;
  return words;
}
const DEFAULT_32 = defaults(32);
const DEFAULT_64 = defaults(64);

export function* readVectors(file: Uint8Array): Generator<Vector> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (String.fromCharCode(...file.subarray(0, 4)) !== 'NVEC' || file[4] !== 1)
    throw new Error('not an NVEC version 1 file');
  if (file[6] !== 32 && file[6] !== 64) throw new Error(`vectors of ${file[6]}-bit code`);
  const mode: 32 | 64 = file[6] === 64 ? 64 : 32;
  const count = view.getUint32(8, true);
  let p = HEADER;
  const u8 = (): number => view.getUint8(p++);
  const u16 = (): number => view.getUint16((p += 2) - 2, true);
  const u32 = (): number => view.getUint32((p += 4) - 4, true);
  const bytes = (n: number): Uint8Array => file.slice(p, (p += n));
  const high = (): number => (mode === 64 ? u32() : 0);
  const registers = (s: CpuState): void => {
    const mask = u32();
    const word = (n: number): void => {
      s.words[n] = u32();
      s.words[n + 1] = high();
    };
    for (let n = 0; n < 16; n++) if ((mask & (1 << n)) !== 0) word(2 * n);
    if ((mask & 0x10000) !== 0) s.flags = u32();
    if ((mask & 0x20000) !== 0) word(IP);
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
    if (s.ymmHigh === undefined) return;
    const high = u32();
    for (let n = 0; n < 16; n++) if ((high & (1 << n)) !== 0) s.ymmHigh[n] = bytes(16);
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
    const cr2 = [exception === 14 ? u32() : 0, exception === 14 ? high() : 0] as const;
    const initial: CpuState = { words: (mode === 64 ? DEFAULT_64 : DEFAULT_32).slice(), flags: 0 };
    registers(initial);
    const before = memory();
    const final: CpuState = { words: initial.words.slice(), flags: initial.flags };
    registers(final);
    const after = memory();
    const common = {
      mode,
      index,
      code,
      exception,
      error,
      cr2,
      undefinedFlags,
      tolerance,
      initial,
      final,
      before,
      after,
    };
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
        ...(hasFx === WITH_YMM ? { ymmHigh: Array.from({ length: 16 }, () => new Uint8Array(16)) } : {}),
      };
      fx(first);
      const last: FxState = { ...first, st: [...first.st], xmm: [...first.xmm] };
      if (first.ymmHigh !== undefined) last.ymmHigh = [...first.ymmHigh];
      fx(last);
      yield { ...common, fx: { initial: first, final: last, undefinedFsw } };
    }
    if (p !== start + length) throw new Error(`record ${index} has another length than it says`);
  }
}
