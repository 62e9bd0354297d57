import { describe, expect, it } from 'vitest';
import { CODE, DATA, HIGH, STACK_TOP, hexBytes, longCode, longMachine, runCodeAt } from '../../test/flat-machine.ts';
import type { IrMachine, MachineStop } from '../../test/ir-machine.ts';
import { EAX, EBP, EBX, ECX, EDI, EDX, ENV, ESI, ESP, EXC, FLAG_ZF, FS, GS, SEG_BASE, SEG_STRIDE } from '../state.ts';

const runCode = (m: IrMachine, code: readonly number[]): MachineStop => runCodeAt(m, CODE, code);
const run = (m: IrMachine, code: string): number => runCode(m, hexBytes(code)).vector;
const set = (m: IrMachine, r: number, v: bigint): void =>
  m.cpu.setReg64(r, Number(BigInt.asUintN(32, v)), Number(BigInt.asUintN(32, v >> 32n)));
const get = (m: IrMachine, r: number): bigint => (BigInt(m.cpu.regHigh(r)) << 32n) | BigInt(m.cpu.reg(r));
const put64 = (m: IrMachine, at: number, v: bigint): void =>
  m.view.setBigUint64(m.host(at), BigInt.asUintN(64, v), true);
const read64 = (m: IrMachine, at: number): bigint => m.view.getBigUint64(m.host(at), true);
const R8 = 8;
const R12 = 12;
const ONES = 0xffff_ffff_ffff_ffffn;

describe('registers of 64-bit code', () => {
  it('32-bit writes clear the upper half, 16- and 8-bit writes keep it', () => {
    const m = longMachine();
    for (const [code, value] of [
      ['31 c0', 0n],
      ['b8 78 56 34 92', 0x92345678n],
      ['66 b8 34 12', 0xffff_ffff_ffff_1234n],
      ['b0 12', 0xffff_ffff_ffff_ff12n],
      ['b4 12', 0xffff_ffff_ffff_12ffn],
      ['48 c7 c0 00 00 00 80', 0xffff_ffff_8000_0000n],
      ['48 b8 08 07 06 05 04 03 02 01', 0x0102_0304_0506_0708n],
      ['0f 44 c1', 0xffff_ffffn], // CMOVE, not taken
      ['90', ONES],
      ['87 c0', 0xffff_ffffn],
    ] as const) {
      set(m, EAX, ONES);
      m.cpu.setEflags(0, FLAG_ZF);
      expect([code, run(m, code)]).toEqual([code, -1]);
      expect([code, get(m, EAX)]).toEqual([code, value]);
    }
  });

  it('a REX prefix turns AH to BH into SPL to DIL, and makes R8 to R15 reachable', () => {
    const m = longMachine();
    set(m, EAX, 0x1234n);
    set(m, ESI, 0x5678n);
    run(m, '88 e1 40 88 f3'); // mov cl, ah; mov bl, sil
    expect([get(m, ECX) & 0xffn, get(m, EBX) & 0xffn]).toEqual([0x12n, 0x78n]);
    set(m, R8, 0n);
    run(m, '41 88 c0 45 88 c4'); // mov r8b, al; mov r12b, r8b
    expect([get(m, R8) & 0xffn, get(m, R12) & 0xffn]).toEqual([0x34n, 0x34n]);
    // LAHF is about AH with REX too
    m.cpu.setEflags(FLAG_ZF, 0x8d5);
    run(m, '48 9f');
    expect(get(m, EAX) & 0xff00n).toBe(0x4200n);
  });

  it('forward a 16-bit write only to its own register', () => {
    const m = longMachine();
    set(m, EAX, 0xabcdn);
    set(m, EBP, 0n);
    run(m, '66 89 c5 89 e9 88 e8'); // mov bp, ax; mov ecx, ebp; mov al, ch
    expect(get(m, EAX) & 0xffn).toBe(0xabn);
  });
});

describe('addresses of 64-bit code', () => {
  it('RIP-relative operands count from the next instruction, in the window at hand', () => {
    const m = longMachine();
    put64(m, DATA, 0x1122334455667788n);
    put64(m, HIGH + DATA, 0x99aabbccddeeff00n);
    const code = hexBytes('48 8b 05 f9 2f 00 00'); // mov rax, [rip + 2ff9h]
    expect(runCodeAt(m, CODE, code).vector).toBe(-1);
    expect(get(m, EAX)).toBe(0x1122334455667788n);
    expect(runCodeAt(m, HIGH + CODE, code).vector).toBe(-1);
    expect(get(m, EAX)).toBe(0x99aabbccddeeff00n);
    expect(runCodeAt(m, HIGH + CODE, hexBytes('67 48 8d 05 f8 2f 00 00')).vector).toBe(-1); // lea, 32-bit address
    expect(get(m, EAX)).toBe(0x80004000n);
  });

  it('wrap at 64 bits, with a 32-bit address size at 32', () => {
    const m = longMachine();
    put64(m, DATA, 77n);
    set(m, EBX, ONES - 0xfn);
    run(m, '48 8b 83 10 40 00 00'); // mov rax, [rbx + 4010h]
    expect(get(m, EAX)).toBe(77n);
    set(m, EBX, 0x1234_ffff_fff0n);
    run(m, '67 48 8b 83 10 40 00 00');
    expect(get(m, EAX)).toBe(77n);
    expect(run(m, '48 a1 00 40 00 00 00 00 00 00')).toBe(-1);
    expect(get(m, EAX)).toBe(77n);
  });

  it('have 64-bit bases of FS and GS, and no other', () => {
    const m = longMachine();
    put64(m, HIGH + DATA, 5n);
    put64(m, DATA, 6n);
    m.cpu.setSegBase(FS, 0x80000000, 0xffffffff);
    m.cpu.setSegBase(3, 0x1000, 0);
    run(m, '64 48 8b 0c 25 00 40 00 00 3e 48 8b 14 25 00 40 00 00');
    expect([get(m, ECX), get(m, EDX)]).toEqual([5n, 6n]);
  });

  it('that are not canonical are #GP(0), through RSP and RBP #SS(0)', () => {
    const m = longMachine();
    for (const r of [EBX, EBP]) set(m, r, 1n << 47n);
    expect(runCode(m, hexBytes('48 8b 03'))).toEqual({ vector: EXC.GP, error: 0 });
    expect(runCode(m, hexBytes('48 8b 45 00'))).toEqual({ vector: EXC.SS, error: 0 });
    expect(runCode(m, hexBytes('f0 48 01 03'))).toEqual({ vector: EXC.GP, error: 0 });
    set(m, ESP, 1n << 47n);
    expect(runCode(m, hexBytes('58'))).toEqual({ vector: EXC.SS, error: 0 });
    set(m, ESI, 1n << 47n);
    set(m, ECX, 1n);
    for (const code of ['48 a5', 'f3 48 a5'])
      expect([code, runCode(m, hexBytes(code))]).toEqual([code, { vector: EXC.GP, error: 0 }]);
  });

  it('a bit offset reaches 2^61 bytes far', () => {
    const m = longMachine();
    set(m, EBX, BigInt(DATA) + 0x1000_0000_0000n);
    set(m, ECX, -0x8000_0000_0000n + 3n);
    put64(m, DATA, 8n);
    run(m, '48 0f b3 0b 0f 92 c0'); // btr [rbx], rcx; setb al
    expect([get(m, EAX) & 0xffn, read64(m, DATA)]).toEqual([1n, 0n]);
  });
});

describe('stack of 64-bit code', () => {
  it('has slots of 8 bytes, of 2 with 66', () => {
    const m = longMachine();
    set(m, EAX, 0x0123456789abcdefn);
    run(m, '50 6a ff 68 00 00 00 80 66 50');
    expect(m.cpu.reg(ESP)).toBe(STACK_TOP - 26);
    expect([8, 16, 24].map((d) => read64(m, STACK_TOP - d))).toEqual([
      0x0123456789abcdefn,
      ONES,
      0xffff_ffff_8000_0000n,
    ]);
    run(m, '66 59 41 58 58 5a');
    expect([get(m, ECX), get(m, R8), get(m, EAX), get(m, EDX)]).toEqual([
      0xcdefn,
      0xffff_ffff_8000_0000n,
      ONES,
      0x0123456789abcdefn,
    ]);
  });

  it('ENTER and LEAVE, PUSHFQ and POPFQ', () => {
    const m = longMachine();
    set(m, EBP, 0x7100n);
    put64(m, 0x70f8, 0xaaaan);
    run(m, 'c8 20 00 02');
    expect([get(m, EBP), get(m, ESP)]).toEqual([BigInt(STACK_TOP - 8), BigInt(STACK_TOP - 24 - 0x20)]);
    expect([8, 16, 24].map((d) => read64(m, STACK_TOP - d))).toEqual([0x7100n, 0xaaaan, BigInt(STACK_TOP - 8)]);
    run(m, 'c9');
    expect([get(m, EBP), get(m, ESP)]).toEqual([0x7100n, BigInt(STACK_TOP)]);
    run(m, '31 c0 9c 58 48 0d 00 0c 00 00 50 31 c9 ff c1 9d 9c 59');
    expect(get(m, ECX) & 0xfffn).toBe(get(m, EAX) & 0xfffn);
  });

  it('calls push all of RIP, and return through it', () => {
    const m = longMachine();
    // call over HLT; pop rbx; jmp back is not needed: HLT follows
    expect(runCodeAt(m, HIGH + CODE, hexBytes('e8 01 00 00 00 f4 5b')).vector).toBe(-1);
    expect(get(m, EBX)).toBe(0xffff_ffff_8000_1005n);
    put64(m, STACK_TOP - 8, 0xffff_ffff_8000_1100n);
    m.u8[m.host(HIGH + 0x1100)] = 0xf4;
    set(m, ESP, BigInt(STACK_TOP - 8));
    expect(run(m, 'c3')).toBe(-1);
    expect(m.cpu.rip).toBe(HIGH + 0x1101);
    expect(get(m, ESP)).toBe(BigInt(STACK_TOP));
  });
});

describe('branches of 64-bit code', () => {
  it('go from one window of 4 GiB to the next', () => {
    const m = longMachine();
    m.map(0xfffff000);
    m.map(0x100000000);
    m.u8[m.host(0x100000010)] = 0xf4;
    for (const code of ['e9 13 00 00 00', '0f 85 12 00 00 00']) {
      m.cpu.setEflags(0, FLAG_ZF);
      const bytes = hexBytes(code);
      bytes.forEach((v, k) => {
        m.u8[m.host(0x100000000 - 8 + k)] = v;
      });
      m.cpu.rip = 0x100000000 - 8;
      expect(m.run(50).vector).toBe(-1);
      expect(m.cpu.rip).toBe(0x100000011);
    }
    // and in sequence
    m.u8[m.host(0xffffffff)] = 0x90;
    m.u8[m.host(0x100000000)] = 0xf4;
    m.cpu.rip = 0xffffffff;
    expect(m.run(50).vector).toBe(-1);
    expect(m.cpu.rip).toBe(0x100000001);
  });

  it('to what is not canonical fault before RIP changes', () => {
    const m = longMachine();
    set(m, EAX, 1n << 47n);
    put64(m, STACK_TOP - 8, 1n << 62n);
    for (const code of ['ff e0', 'ff d0', 'c3']) {
      set(m, ESP, BigInt(STACK_TOP - 8));
      expect([code, runCode(m, hexBytes(code))]).toEqual([code, { vector: EXC.GP, error: 0 }]);
      expect([m.cpu.rip, get(m, ESP)]).toEqual([CODE, BigInt(STACK_TOP - 8)]);
    }
    set(m, EAX, BigInt.asUintN(64, BigInt(HIGH + 0x1200)));
    m.u8[m.host(HIGH + 0x1200)] = 0xf4;
    expect(run(m, 'ff e0')).toBe(-1);
    expect(m.cpu.rip).toBe(HIGH + 0x1201);
  });

  it('count in RCX, with a 32-bit address size in ECX', () => {
    const m = longMachine();
    set(m, ECX, 1n << 32n);
    run(m, 'e2 01 f4'); // taken over HLT
    expect([get(m, ECX), m.cpu.rip]).toEqual([0xffff_ffffn, CODE + 4]);
    set(m, ECX, (1n << 32n) + 1n);
    run(m, '67 e2 01 f4');
    expect([get(m, ECX), m.cpu.rip]).toEqual([0n, CODE + 4]);
    set(m, ECX, 1n << 32n);
    run(m, '67 e3 01 f4');
    expect(m.cpu.rip).toBe(CODE + 5);
  });
});

describe('system instructions of 64-bit code', () => {
  it('move all 64 bits of control and debug registers', () => {
    const m = longMachine();
    set(m, EAX, 0xffff_8000_1234_5678n);
    run(m, '0f 22 d0 0f 20 d3'); // mov cr2, rax; mov rbx, cr2
    expect(get(m, EBX)).toBe(0xffff_8000_1234_5678n);
    run(m, '0f 23 c0 0f 21 c3'); // mov dr0, rax; mov rbx, dr0
    expect(get(m, EBX)).toBe(0xffff_8000_1234_5678n);
    expect(run(m, '44 0f 20 c0')).toBe(-1); // mov rax, cr8
    expect(run(m, '44 0f 20 c8')).toBe(EXC.UD);
    expect(run(m, '44 0f 21 c0')).toBe(EXC.UD);
  });

  it('load and store table registers of 10 bytes', () => {
    const m = longMachine();
    m.view.setUint16(m.host(DATA), 0x1ff, true);
    put64(m, DATA + 2, 0xffff_ffff_8000_7000n);
    set(m, EBX, BigInt(DATA));
    run(m, '0f 01 13 0f 01 43 10'); // lgdt [rbx]; sgdt [rbx + 16]
    expect([m.view.getUint16(m.host(DATA + 16), true), read64(m, DATA + 18)]).toEqual([0x1ff, 0xffff_ffff_8000_7000n]);
    put64(m, DATA + 2, 1n << 56n);
    expect(run(m, '0f 01 1b')).toBe(EXC.GP);
  });

  it('SWAPGS exchanges, at CPL 0; RDMSR and CPUID clear upper halves', () => {
    const m = longMachine();
    m.cpu.setSegBase(GS, 0x4000, 0);
    m.cpu.setEnv64(ENV.MSR_KERNEL_GS_BASE, 0x80004000, 0xffffffff);
    put64(m, DATA, 1n);
    put64(m, HIGH + DATA, 2n);
    run(m, '65 48 8b 04 25 00 00 00 00 0f 01 f8 65 48 8b 0c 25 00 00 00 00');
    expect([get(m, EAX), get(m, ECX)]).toEqual([1n, 2n]);
    const base = ENV.SEG + GS * SEG_STRIDE + SEG_BASE;
    expect([m.cpu.envNumber(base), m.cpu.envNumber(ENV.MSR_KERNEL_GS_BASE)]).toEqual([HIGH + DATA, DATA]);
    expect(run(longMachine(3), '0f 01 f8')).toBe(EXC.GP);
    for (const r of [EAX, ECX, EDX, EBX]) set(m, r, ONES << 32n);
    run(m, '0f a2');
    expect([EAX, ECX, EDX, EBX].map((r) => m.cpu.regHigh(r))).toEqual([0, 0, 0, 0]);
  });

  it('CMPXCHG16B compares 16 bytes at a boundary of 16', () => {
    const m = longMachine();
    set(m, EDI, BigInt(DATA));
    put64(m, DATA, 1n);
    put64(m, DATA + 8, 2n);
    set(m, EAX, 1n);
    set(m, EDX, 2n);
    set(m, EBX, 3n);
    set(m, ECX, 4n);
    run(m, 'f0 48 0f c7 0f');
    expect([read64(m, DATA), read64(m, DATA + 8), m.cpu.eflags() & FLAG_ZF]).toEqual([3n, 4n, FLAG_ZF]);
    run(m, 'f0 48 0f c7 0f');
    expect([get(m, EAX), get(m, EDX), m.cpu.eflags() & FLAG_ZF]).toEqual([3n, 4n, 0]);
    set(m, EDI, BigInt(DATA + 8));
    expect(run(m, '48 0f c7 0f')).toBe(EXC.GP);
  });
});

describe('compatibility mode', () => {
  it('wraps at 4 GiB, and adds the low half of a base', () => {
    const m = longMachine();
    longCode(m, false);
    m.map(0xfffff000);
    m.view.setUint16(m.host(0xfffffffe), 0x5678, true);
    m.view.setUint16(m.host(0), 0x1234, true);
    m.cpu.setReg(EBX, 0xfffff000);
    expect(run(m, '8b 83 fe 0f 00 00')).toBe(-1);
    expect(get(m, EAX)).toBe(0x12345678n);
    m.cpu.setSegBase(FS, 0xfffffff0, 0xffffffff);
    m.view.setUint32(m.host(DATA), 99, true);
    expect(run(m, '64 8b 0d 10 40 00 00')).toBe(-1);
    expect(get(m, ECX)).toBe(99n);
    // INC, where 64-bit code has REX
    expect(run(m, '40 48')).toBe(-1);
  });
});
