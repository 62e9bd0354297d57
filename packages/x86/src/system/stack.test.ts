import { describe, expect, it } from 'vitest';
import { KDATA, protectedBench } from '../../test/fake-host.ts';
import { ENV, ESP, SS } from '../state.ts';
import { descriptorBase, descriptorLimit, withinLimit } from './descriptor.ts';
import { commitStack, openStack, pop16, pop32, push16, push32 } from './stack.ts';

describe('descriptor fields', () => {
  it('base and limit are put together', () => {
    expect([descriptorBase(0x56781234, 0x9a0c_be34 | 0), descriptorLimit(0x56781234, 0x9a0cbe34)]).toEqual([
      0x9a345678, 0xc1234,
    ]);
    expect(descriptorLimit(0x56781234, 0x9a8cbe34)).toBe(0xc1234fff);
    expect(descriptorLimit(0xffff, 0x8f0000)).toBe(0xffffffff);
  });
  // SDM Vol. 3A §5.3 "Limit Checking": [access byte << 8 with B, limit, offset, size, within]
  it.each([
    [0x9200, 0xffff, 0xffff, 1, true],
    [0x9200, 0xffff, 0xffff, 2, false],
    [0x9200, 0xffffffff, 0xfffffffe, 4, true], // wraps, which flat segments allow
    [0x9600, 0x0fff, 0x0fff, 1, false], // expand-down: offsets above the limit only
    [0x9600, 0x0fff, 0x1000, 1, true],
    [0x9600, 0x0fff, 0xffff, 1, true],
    [0x9600, 0x0fff, 0xffff, 2, false],
    [0x409600, 0x0fff, 0x10000, 4, true],
    [0x409600, 0x0fff, 0xfffffffe, 4, false],
    [0x9e00, 0x0fff, 0x1000, 1, false], // conforming code is not expand-down
  ])('%i limit %i offset %i size %i', (flags, limit, offset, size, within) => {
    expect(withinLimit(flags, limit, offset, size)).toBe(within);
  });
});

describe('transfer stack', () => {
  function stack16(sp: number, limit = 0xffff): ReturnType<typeof protectedBench> {
    const b = protectedBench();
    b.cpu.setSeg(SS, KDATA, 0x10000, limit, 0x9300);
    b.cpu.setReg(ESP, sp);
    openStack(b.cpu);
    return b;
  }
  it('a 16-bit stack wraps in SP and keeps the upper half of ESP', () => {
    const b = stack16(0x12340000);
    push32(b.cpu, 0x11223344);
    push16(b.cpu, 0x5566);
    commitStack(b.cpu);
    expect([b.cpu.reg(ESP), b.r32(0x1fffc), b.r16(0x1fffa)]).toEqual([0x1234fffa, 0x11223344, 0x5566]);
    openStack(b.cpu);
    expect([pop16(b.cpu), pop32(b.cpu)]).toEqual([0x5566, 0x11223344]);
    commitStack(b.cpu);
    expect(b.cpu.reg(ESP)).toBe(0x12340000);
  });
  it('a push across offset 0 or a pop beyond the limit is #SS(0) and moves nothing', () => {
    const b = stack16(2);
    expect(b.try(() => push32(b.cpu, 0))).toEqual({ vector: 12, error: 0 });
    const c = stack16(0xfffd);
    expect(c.try(() => pop32(c.cpu))).toEqual({ vector: 12, error: 0 });
    expect([b.cpu.stackPtr, c.cpu.stackPtr]).toEqual([2, 0xfffd]);
  });
  it('an expand-down stack ends above its limit', () => {
    const b = protectedBench();
    b.cpu.setSeg(SS, KDATA, 0, 0x8fff, 0x409700);
    b.cpu.setReg(ESP, 0x9004);
    openStack(b.cpu);
    push32(b.cpu, 1);
    expect(b.try(() => push32(b.cpu, 2))).toEqual({ vector: 12, error: 0 });
  });
  it('user stacks are written as user', () => {
    const b = protectedBench();
    b.w32(0x10000, 0x11007);
    b.w32(0x11000 + 4 * 9, 0x9003); // supervisor page
    b.cpu.setCrRaw(3, 0x10000);
    b.cpu.setCrRaw(0, 0x80000011);
    b.cpu.cpl = 3;
    b.cpu.setReg(ESP, 0x9800);
    openStack(b.cpu);
    expect(b.try(() => push32(b.cpu, 1))).toEqual({ vector: 14, error: 7 });
    expect(b.cpu.env32(ENV.CR + 16)).toBe(0x97ff); // the test host touches the last byte first
  });
});
