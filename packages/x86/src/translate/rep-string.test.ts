import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE, DATA, HIGH, flatMachine, hexBytes, longMachine, runCode, runCodeAt } from '../../test/flat-machine.ts';
import type { IrMachine } from '../../test/ir-machine.ts';
import { DS, EAX, ECX, EDI, ENV, ESI, EXC, FLAG_DF, FLAG_ZF, G, GLOBALS_32, HF_SEGCHECK } from '../state.ts';

/** F3/F2 by name, element operation, operand size. */
const FORMS = ['a4', '66 a5', 'a5', 'aa', '66 ab', 'ab', 'ac', '66 ad', 'ad', 'a6', '66 a7', 'a7', 'ae', '66 af', 'af'];
const PREFIXES = ['f3', 'f2'];
const PAGE = 4096;

/** The same by the one-element instruction and a loop, ended as REP ends: an oracle that shares no code with the helper. */
function byLoop(m: IrMachine, form: string, prefix: string, address16: boolean): void {
  const compares = /a[67]|a[ef]/.test(form);
  const code = address16 ? `67 ${form}` : form;
  for (let n = 0; n < 20000; n++) {
    const count = m.cpu.reg(ECX) & (address16 ? 0xffff : -1);
    if (count === 0) return;
    const stop = runCode(m, hexBytes(code), 4);
    if (stop.vector >= 0) return;
    if (address16) m.cpu.setReg16(ECX, count - 1);
    else m.cpu.setReg(ECX, count - 1);
    if (compares && ((m.cpu.eflags() & FLAG_ZF) !== 0) !== (prefix === 'f3')) return;
  }
}
/** The same in 64-bit code; a count in ECX clears the upper half of RCX, as its instruction would. */
function byLoop64(m: IrMachine, form: string, prefix: string, address32: boolean): void {
  const compares = /a[67]|a[ef]/.test(form);
  for (let n = 0; n < 200; n++) {
    if (m.cpu.reg(ECX) === 0) return;
    const stop = runCodeAt(m, CODE, hexBytes(address32 ? `67 ${form}` : form), 4);
    if (stop.vector >= 0) return;
    m.cpu.setReg(ECX, m.cpu.reg(ECX) - 1);
    if (compares && ((m.cpu.eflags() & FLAG_ZF) !== 0) !== (prefix === 'f3')) return;
  }
}
const upper = (m: IrMachine): unknown => [
  ...[EAX, ECX, ESI, EDI].map((r) => m.cpu.regHigh(r)),
  [...m.u8.subarray(m.host(HIGH + DATA), m.host(HIGH + DATA) + 3 * PAGE)].join(''),
];
function prepare(m: IrMachine, seed: number, si: number, di: number, count: number, down: boolean): void {
  const { cpu } = m;
  for (let k = 0; k < 3 * PAGE; k++) m.u8[m.host(DATA + k)] = (k * seed) % 5;
  cpu.setReg(EAX, 0x03020100 + seed);
  cpu.setReg(ESI, DATA + si);
  cpu.setReg(EDI, DATA + di);
  cpu.setReg(ECX, count);
  cpu.setEflags(down ? FLAG_DF : 0, 0x8d5 | FLAG_DF);
}
const state = (m: IrMachine): unknown => [
  ...[EAX, ECX, ESI, EDI].map((r) => m.cpu.reg(r)),
  m.cpu.eflags(),
  [...m.u8.subarray(m.host(DATA), m.host(DATA) + 3 * PAGE)].join(''),
];

describe('repeated string instructions', () => {
  const position = fc.oneof(
    fc.nat(3 * PAGE - 64),
    fc.constantFrom(PAGE - 1, PAGE - 2, PAGE - 3, 2 * PAGE, 2 * PAGE - 5),
  );
  it('do what the single instruction does count times: overlaps, directions, page crossings, 16-bit addresses', () => {
    const a = flatMachine();
    const b = flatMachine();
    fc.assert(
      fc.property(
        fc.constantFrom(...FORMS),
        fc.constantFrom(...PREFIXES),
        fc.integer({ min: 1, max: 4 }),
        position,
        fc.integer({ min: -12, max: 12 }),
        fc.nat(60),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (form, prefix, seed, si, distance, count, down, address16, hot) => {
          a.hot = hot;
          a.bails = 0;
          const start = Math.min(Math.max(si, 300), 3 * PAGE - 300);
          for (const m of [a, b]) prepare(m, seed, start, start + distance, count, down);
          const stop = runCode(a, hexBytes(`${address16 ? '67 ' : ''}${prefix} ${form}`));
          byLoop(b, form, prefix, address16);
          expect(stop.vector).toBe(-1);
          expect(state(a)).toEqual(state(b));
        },
      ),
      { seed: 6, numRuns: 400 },
    );
  });

  it.each([
    ['f3 a4', 0],
    ['f3 a5', 2],
    ['f3 aa', 0],
    ['f3 ab', 2],
  ])('%s in hot code is one copy or fill within pages, upwards, of one byte and without overlap', (form, size) => {
    const m = flatMachine();
    m.hot = true;
    const bails = (si: number, di: number, count: number, eax = 0x07070707, down = false): number => {
      prepare(m, 1, si, di, count, down);
      m.cpu.setReg(EAX, eax);
      m.bails = 0;
      expect(runCode(m, hexBytes(form)).vector).toBe(-1);
      expect(m.cpu.reg(ECX)).toBe(0);
      expect(m.cpu.reg(EDI)).toBe(DATA + di + (count << size) * (down ? -1 : 1));
      return m.bails;
    };
    const page = PAGE >> size;
    expect(bails(0, PAGE, page)).toBe(0);
    expect(bails(16, PAGE + 4, 100)).toBe(0);
    expect(bails(16, PAGE + 4, page)).toBe(1);
    expect(bails(PAGE + 64, PAGE + 64 + (8 << size), 4, 0x07070707, true)).toBe(1);
    const isCopy = form.includes('a4') || form.includes('a5');
    expect(bails(16, 24, 20)).toBe(isCopy ? 1 : 0);
    expect(bails(24, 16, 20)).toBe(0);
    expect(bails(16, PAGE, 20, 0x07070708)).toBe(!isCopy && size > 0 ? 1 : 0);
  });

  it('move more than one call is allowed to, and far apart', () => {
    const m = flatMachine();
    for (let n = 16; n < 20; n++) m.map(n * PAGE);
    prepare(m, 3, 0, PAGE, 0, false);
    m.cpu.setReg(EDI, 0x2000);
    m.cpu.setReg(ECX, 0x5800);
    m.cpu.setReg(EAX, 0x11223344);
    expect(runCode(m, hexBytes('f3 ab')).vector).toBe(14); // runs out of mapped pages at 14000h
    expect(m.cpu.reg(EDI)).toBe(0x14000);
    expect(m.cpu.reg(ECX)).toBe(0x5800 - (0x14000 - 0x2000) / 4);
    expect(m.read32(0x13ffc, 0)).toBe(0x11223344);
  });

  it('stop at a fault with exact registers and unchanged flags', () => {
    const m = flatMachine();
    prepare(m, 1, 0, 0, 100, false);
    m.cpu.setReg(EDI, 0xfff0);
    m.cpu.setEflags(FLAG_ZF, 0x8d5);
    expect(runCode(m, hexBytes('f3 a4'))).toEqual({ vector: EXC.PF, error: 2 });
    expect([m.cpu.reg(ECX), m.cpu.reg(ESI), m.cpu.reg(EDI)]).toEqual([84, DATA + 16, 0x10000]);
    expect(m.cpu.env32(ENV.CR + 16)).toBe(0x10000);
    expect(m.cpu.eip).toBe(0x1000);
    // a comparison that faults leaves the flags from before, whatever it had compared
    for (let k = 0; k < 16; k++) m.u8[m.host(0xfff0 + k)] = m.u8[m.host(DATA + k)];
    m.cpu.setReg(ESI, DATA);
    m.cpu.setReg(EDI, 0xfff0);
    m.cpu.setReg(ECX, 100);
    m.cpu.setEflags(1, 0x8d5);
    expect(runCode(m, hexBytes('f3 a6')).vector).toBe(EXC.PF);
    expect([m.cpu.reg(ECX), m.cpu.eflags() & 0x8d5]).toEqual([84, 1]);
  });

  it('check segment limits element by element', () => {
    const m = flatMachine();
    prepare(m, 1, 0, 0, 64, false);
    m.cpu.setSeg(DS, 0x10, 0, DATA + 20, 0x00409300);
    m.cpu.updateHflags();
    expect(m.cpu.hflags & HF_SEGCHECK).not.toBe(0);
    m.cpu.setReg(EDI, 0x6000);
    expect(runCode(m, hexBytes('f3 a5'))).toEqual({ vector: EXC.GP, error: 0 });
    // five dwords end at offset 13h; the sixth would end at 17h, beyond 14h
    expect([m.cpu.reg(ECX), m.cpu.reg(ESI)]).toEqual([59, DATA + 20]);
  });

  it('leave everything alone when the count is 0', () => {
    const m = flatMachine();
    prepare(m, 1, 0, 0, 0, false);
    m.cpu.setReg(ESI, 0xdead0000);
    m.cpu.setEflags(1, 0x8d5);
    expect(runCode(m, hexBytes('f3 a6 f2 ae f3 a5')).vector).toBe(-1);
    expect(m.cpu.eflags() & 0x8d5).toBe(1);
  });

  it('do it with elements of 8 bytes and 64-bit or 32-bit registers too', () => {
    const a = longMachine();
    const b = longMachine();
    const forms = [...FORMS, '48 a5', '48 ab', '48 ad', '48 a7', '48 af'];
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.constantFrom(...PREFIXES),
        fc.integer({ min: 1, max: 4 }),
        position,
        fc.integer({ min: -20, max: 20 }),
        fc.nat(60),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (form, prefix, seed, si, distance, count, down, address32, high) => {
          const start = Math.min(Math.max(si, 500), 3 * PAGE - 500);
          for (const m of [a, b]) {
            prepare(m, seed, start, start + distance, count, down);
            m.cpu.setReg64(EAX, m.cpu.reg(EAX), m.cpu.reg(EAX));
            for (let k = 0; k < 3 * PAGE; k++) m.u8[m.host(HIGH + DATA + k)] = (k * seed) % 5;
            // indices into the upper half of the address space, with garbage above a 32-bit register
            if (address32) for (const r of [ECX, ESI, EDI]) m.cpu.setReg64(r, m.cpu.reg(r), 0x1234);
            else if (high) for (const r of [ESI, EDI]) m.cpu.setReg64(r, m.cpu.reg(r) - 2 ** 31, -1);
          }
          const stop = runCodeAt(a, CODE, hexBytes(`${address32 ? '67 ' : ''}${prefix} ${form}`));
          byLoop64(b, form, prefix, address32);
          expect(stop.vector).toBe(-1);
          expect([state(a), upper(a)]).toEqual([state(b), upper(b)]);
        },
      ),
      { seed: 7, numRuns: 500 },
    );
  });

  it('take a count of 64 bits, and stop at the end of the canonical half', () => {
    const m = longMachine();
    m.cpu.setReg64(ECX, 5, 0x80000000);
    m.cpu.setReg64(ESI, DATA, 0);
    m.cpu.setReg64(EDI, HIGH + 0xf000, -1);
    expect(runCodeAt(m, CODE, hexBytes('f3 48 a5')).vector).toBe(EXC.PF);
    expect([m.cpu.reg(ECX), m.cpu.regHigh(ECX)]).toEqual([0xfffffe05, 0x7fffffff]);
    m.map(2 ** 47 - PAGE);
    m.cpu.setReg64(ECX, 100, 0);
    m.cpu.setReg64(EDI, -64, 0x7fff);
    expect(runCodeAt(m, CODE, hexBytes('f3 48 ab'))).toEqual({ vector: EXC.GP, error: 0 });
    expect([m.cpu.reg(ECX), m.cpu.reg(EDI), m.cpu.regHigh(EDI)]).toEqual([92, 0, 0x8000]);
  });
});

it('globals of flags are where the helpers think', () => {
  expect(GLOBALS_32[G.CC_OP].offset).toBe(ENV.CC_OP);
});
