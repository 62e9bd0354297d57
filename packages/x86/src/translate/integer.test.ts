import { describe, expect, it } from 'vitest';
import { CODE, DATA, STACK_TOP, flatMachine, hexBytes, realMachine, runCode } from '../../test/flat-machine.ts';
import type { IrMachine } from '../../test/ir-machine.ts';
import {
  CS,
  DS,
  EAX,
  EBP,
  EBX,
  ECX,
  EDX,
  ENV,
  ES,
  ESI,
  ESP,
  EXC,
  FLAG_AC,
  FLAG_CF,
  FLAG_IF,
  FLAG_TF,
  FS,
  HF_INHIBIT_IRQ,
  SS,
} from '../state.ts';

const run = (m: IrMachine, code: string): number => runCode(m, hexBytes(code)).vector;
const put32 = (m: IrMachine, at: number, v: number): void => m.write32(at, v, 0);

describe('stack instructions', () => {
  it('ENTER copies the frame pointers of outer levels, LEAVE undoes it', () => {
    const m = flatMachine();
    m.cpu.setReg(EBP, 0x7100);
    put32(m, 0x70fc, 0xaaaa);
    put32(m, 0x70f8, 0xbbbb);
    run(m, 'c8 20 00 03');
    expect(m.cpu.reg(EBP)).toBe(STACK_TOP - 4);
    expect(m.cpu.reg(ESP)).toBe(STACK_TOP - 16 - 0x20);
    expect([4, 8, 12, 16].map((d) => m.read32(STACK_TOP - d, 0))).toEqual([0x7100, 0xaaaa, 0xbbbb, STACK_TOP - 4]);
    run(m, 'c9');
    expect([m.cpu.reg(EBP), m.cpu.reg(ESP)]).toEqual([0x7100, STACK_TOP]);
  });

  it('POP computes an address through ESP after the increment', () => {
    const m = flatMachine();
    put32(m, STACK_TOP, 0x1234);
    run(m, '8f 44 24 04'); // pop [esp + 4]
    expect(m.read32(STACK_TOP + 8, 0)).toBe(0x1234);
    put32(m, STACK_TOP + 4, 0x5678);
    m.cpu.setReg(ESP, STACK_TOP + 4);
    run(m, '5c');
    expect(m.cpu.reg(ESP)).toBe(0x5678);
  });

  it('a 16-bit stack wraps SP and keeps the upper half of ESP', () => {
    const m = realMachine();
    m.deliver = false;
    m.cpu.setReg(ESP, 0x12340000);
    m.cpu.setReg(EAX, 0xbeef);
    run(m, '50');
    expect(m.cpu.reg(ESP)).toBe(0x1234fffe);
    expect(m.read16(0xfffe, 0)).toBe(0xbeef);
    m.cpu.setReg(ESP, 1);
    expect(run(m, '50')).toBe(EXC.SS);
  });

  it('a fault in the middle of PUSHA or POPA changes no register', () => {
    const m = flatMachine();
    m.cpu.setReg(ESP, 0x10);
    m.pages.delete(0xfffff);
    expect(runCode(m, hexBytes('60'))).toEqual({ vector: EXC.PF, error: 2 });
    expect(m.cpu.reg(ESP)).toBe(0x10);
    m.cpu.setReg(ESP, 0xfff0);
    m.cpu.setReg(EAX, 77);
    expect(run(m, '61')).toBe(EXC.PF);
    expect([m.cpu.reg(ESP), m.cpu.reg(EAX)]).toEqual([0xfff0, 77]);
  });
});

describe('segments', () => {
  it('adds bases, and checks limits with #GP and #SS', () => {
    const m = flatMachine();
    m.cpu.setSeg(DS, 0x10, DATA, 0xfff, 0x00409300);
    m.cpu.updateHflags();
    put32(m, DATA + 0x10, 0xcafe);
    expect(run(m, 'a1 10 00 00 00')).toBe(-1);
    expect(m.cpu.reg(EAX)).toBe(0xcafe);
    expect(run(m, 'a1 fc 0f 00 00')).toBe(-1);
    expect(runCode(m, hexBytes('a1 fd 0f 00 00'))).toEqual({ vector: EXC.GP, error: 0 });
    m.cpu.setSeg(SS, 0x10, 0, STACK_TOP - 5, 0x00409300);
    m.cpu.updateHflags();
    expect(runCode(m, hexBytes('50'))).toEqual({ vector: EXC.SS, error: 0 });
  });

  it('turns the limit of an expand-down segment round', () => {
    const m = flatMachine();
    m.cpu.setSeg(ES, 0x10, 0, DATA, 0x00409700);
    m.cpu.updateHflags();
    expect(run(m, '26 a1 01 40 00 00')).toBe(-1);
    expect(run(m, '26 a1 00 40 00 00')).toBe(EXC.GP);
    expect(run(m, '26 a0 00 10 00 00')).toBe(EXC.GP);
  });

  it('checks types: no write to read-only or code, no read of execute-only, nothing through a null selector', () => {
    const m = flatMachine();
    const access = (flags: number, code: string): number => {
      m.cpu.setSeg(FS, 0x10, 0, 0xffffffff, flags);
      m.cpu.updateHflags();
      return run(m, code);
    };
    const READ = '64 a1 00 40 00 00';
    const WRITE = '64 a3 00 40 00 00';
    expect([access(0x00cf9100, READ), access(0x00cf9100, WRITE)]).toEqual([-1, EXC.GP]);
    expect([access(0x00cf9b00, READ), access(0x00cf9b00, WRITE)]).toEqual([-1, EXC.GP]);
    expect(access(0x00cf9900, READ)).toBe(EXC.GP);
    expect([access(0, READ), access(0, WRITE)]).toEqual([EXC.GP, EXC.GP]);
  });

  it('checks fetches and branch targets against the CS limit', () => {
    const m = flatMachine();
    m.cpu.setSeg(CS, 8, 0, CODE + 0x10, 0x00409b00);
    m.cpu.updateHflags();
    expect(run(m, '90 e9 00 10 00 00')).toBe(EXC.GP);
    expect(m.cpu.eip).toBe(CODE + 1);
    // the target, 100Fh, is inside; the code there runs into the limit
    expect(run(m, 'eb 0d')).toBe(EXC.GP);
    expect(m.cpu.eip).toBe(CODE + 0x11);
  });

  it('accesses in real mode fault at the end of 64K', () => {
    const m = realMachine();
    m.deliver = false;
    expect(run(m, 'a1 fe ff')).toBe(-1);
    expect(run(m, 'a1 ff ff')).toBe(EXC.GP);
    m.cpu.setReg(EBP, 0xffff);
    expect(run(m, '8b 46 00')).toBe(EXC.SS);
    expect(run(m, '67 66 a1 00 00 01 00')).toBe(EXC.GP);
  });
});

describe('checks', () => {
  it('alignment at CPL 3 with AC and AM', () => {
    const m = flatMachine(3);
    m.cpu.setCrRaw(0, 0x40011);
    m.cpu.setEflags(FLAG_AC, FLAG_AC);
    m.cpu.updateHflags();
    expect(run(m, 'a1 02 40 00 00')).toBe(EXC.AC);
    expect(m.cpu.ei32[ENV.EXCEPTION_ERROR >> 2]).toBe(0);
    expect(run(m, '66 a1 02 40 00 00')).toBe(EXC.GP); // HLT at CPL 3
  });

  it('BOUND, INTO, AAM 0 and divisions raise their exceptions', () => {
    const m = flatMachine();
    put32(m, DATA, -5);
    put32(m, DATA + 4, 5);
    m.cpu.setReg(EBX, DATA);
    m.cpu.setReg(EAX, 5);
    expect(run(m, '62 03')).toBe(-1);
    m.cpu.setReg(EAX, 6);
    expect(run(m, '62 03')).toBe(EXC.BR);
    m.cpu.setReg(EAX, -6);
    expect(run(m, '62 03')).toBe(EXC.BR);
    expect(run(m, 'd4 00')).toBe(EXC.DE);
    m.cpu.setReg(EAX, 0x80000000);
    m.cpu.setReg(ECX, 0xffffffff);
    expect(run(m, '99 f7 f9')).toBe(EXC.DE);
    m.cpu.setReg(EDX, 0x80000000);
    m.cpu.setReg(EAX, 0);
    expect(run(m, 'f7 f9')).toBe(EXC.DE);
    expect(run(m, 'ce')).toBe(-1);
    m.cpu.setReg(EAX, 0x7fffffff);
    expect(run(m, '40 ce')).toBe(EXC.OF);
  });

  it('privileged instructions are #GP(0) at CPL 3, protected-only ones #UD in real mode', () => {
    const user = flatMachine(3);
    for (const code of ['f4', '0f 20 c0', '0f 22 c0', '0f 06', '0f 01 10', '0f 08', '0f 30', '0f 32', 'fa', 'fb', 'ec'])
      expect([code, run(user, code)]).toEqual([code, EXC.GP]);
    expect(run(user, '0f 20 c8')).toBe(EXC.UD);
    expect(run(user, '8e c8')).toBe(EXC.UD);
    expect(run(user, '8c f0')).toBe(EXC.UD);
    const real = realMachine();
    real.deliver = false;
    for (const code of ['0f 00 d0', '0f 00 e0', '0f 02 c0', '0f 03 c0', '63 c0'])
      expect([code, run(real, code)]).toEqual([code, EXC.UD]);
  });
});

describe('one-instruction modes', () => {
  it('the trap flag raises #DB after each instruction, with EIP at the next', () => {
    const m = realMachine();
    // IVT[1]: a handler that counts and returns
    m.write16(4, 0x3000, 0);
    m.write16(6, 0, 0);
    hexBytes('36 ff 06 00 50 cf').forEach((v, k) => {
      m.u8[m.host(0x3000 + k)] = v;
    });
    m.write16(0x5000, 0, 0);
    // pushf; or word [bp], 100h; popf; inc ax; inc ax; jmp +0; pushf; and word [bp], feffh; popf
    m.cpu.setReg(EBP, STACK_TOP - 2);
    m.cpu.setReg(EAX, 0);
    expect(run(m, '9c 81 4e 00 00 01 9d 40 40 eb 00 9c 81 66 00 ff fe 9d 40')).toBe(-1);
    expect(m.cpu.reg(EAX)).toBe(3);
    // after POPF that sets TF: inc, inc, jmp, pushf, and, popf (whose trap still comes)
    expect(m.read16(0x5000, 0)).toBe(6);
    expect(m.cpu.eflags() & FLAG_TF).toBe(0);
  });

  it('STI and MOV SS begin a shadow that the next instruction ends', () => {
    const m = flatMachine();
    m.map(0x1000);
    m.maxInsns = 1;
    const after = (code: string, blocks: number): number => {
      runCode(m, hexBytes(code), blocks);
      return m.cpu.hflags & HF_INHIBIT_IRQ;
    };
    expect(after('fb 90 90', 1)).toBe(HF_INHIBIT_IRQ);
    expect(m.cpu.eflags() & FLAG_IF).toBe(FLAG_IF);
    expect(after('fb 90 90', 2)).toBe(0);
    const real = realMachine();
    real.deliver = false;
    expect(runCode(real, hexBytes('8e d0 90 90'), 1).vector).toBe(-2);
    expect(real.cpu.hflags & HF_INHIBIT_IRQ).toBe(HF_INHIBIT_IRQ);
    real.run(1);
    expect(real.cpu.hflags & HF_INHIBIT_IRQ).toBe(0);
    // LSS has none
    expect(runCode(real, hexBytes('0f b2 26 00 40 90'), 1).vector).toBe(-2);
    expect(real.cpu.hflags & HF_INHIBIT_IRQ).toBe(0);
  });
});

describe('memory operands', () => {
  it('BT with a register offset reaches before and behind its operand', () => {
    const m = flatMachine();
    put32(m, DATA + 0x200, 1 << 7);
    m.cpu.setReg(EBX, DATA + 0x100);
    m.cpu.setReg(ECX, 0x100 * 8 + 7);
    run(m, '0f ab 0b'); // bts
    expect(m.cpu.eflags() & FLAG_CF).toBe(FLAG_CF);
    m.cpu.setReg(ECX, -0x100 * 8 + 33);
    run(m, '0f ab 0b');
    expect(m.read32(DATA + 4, 0)).toBe(2);
    m.cpu.setReg(ECX, 0xffff); // 16-bit offset: -1
    run(m, '66 0f ab 0b');
    expect(m.read16(DATA + 0xfe, 0)).toBe(0x8000);
  });

  it('CMPXCHG8B compares and exchanges, and keeps the other flags', () => {
    const m = flatMachine();
    put32(m, DATA, 5);
    put32(m, DATA + 4, 6);
    [
      [EAX, 5],
      [EDX, 6],
      [EBX, 7],
      [ECX, 8],
      [ESI, DATA],
    ].forEach(([r, v]) => m.cpu.setReg(r, v));
    m.cpu.setEflags(FLAG_CF, 0x8d5);
    run(m, 'f0 0f c7 0e');
    expect([m.read32(DATA, 0), m.read32(DATA + 4, 0), m.cpu.eflags() & 0x8d5]).toEqual([7, 8, 0x41]);
    run(m, '0f c7 0e');
    expect([m.cpu.reg(EAX), m.cpu.reg(EDX), m.cpu.eflags() & 0x8d5]).toEqual([7, 8, 1]);
  });
});
