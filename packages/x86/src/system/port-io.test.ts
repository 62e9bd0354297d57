import { describe, expect, it } from 'vitest';
import { type Bench, IDT, KCODE, TSS, gate, protectedBench, toUser } from '../../test/fake-host.ts';
import { DS, ECX, EDI, EDX, ENV, ES, ESI, FLAG_DF, FLAG_IOPL, FLAG_TF, FLAG_VM } from '../state.ts';
import { REP_IO_CHUNK, insOuts, portIn, portOut } from './port-io.ts';

const GP0 = { vector: 13, error: 0 };
const ADDRESS32 = 1;
const REP = 2;
const INS = 0;
const OUTS = 1;

describe('I/O permission', () => {
  it('level 0 and IOPL need no map', () => {
    const b = protectedBench();
    b.host.portValue = 0x12345678;
    expect(portIn(b.cpu, 0xffff0070, 4)).toBe(0x12345678);
    portOut(b.cpu, 0x70, 1, 0xabc);
    expect(b.host.ports).toEqual([
      { port: 0x70, size: 4, value: -1 },
      { port: 0x70, size: 1, value: 0xbc },
    ]);
    toUser(b);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_IOPL;
    b.cpu.updateHflags();
    b.host.ram.setUint8(TSS + 0x68, 0xff);
    expect(b.try(() => portIn(b.cpu, 0, 1))).toBeNull();
  });
  it('the map decides bit by bit, across bytes', () => {
    const b = protectedBench();
    toUser(b);
    b.host.ram.setUint8(TSS + 0x68 + 2, 0x01); // port 16
    expect(b.try(() => portIn(b.cpu, 15, 1))).toBeNull();
    expect(b.try(() => portIn(b.cpu, 15, 2))).toEqual(GP0);
    expect(b.try(() => portIn(b.cpu, 16, 1))).toEqual(GP0);
    expect(b.try(() => portOut(b.cpu, 13, 4, 0))).toEqual(GP0);
    expect(b.try(() => portOut(b.cpu, 12, 4, 0))).toBeNull();
    expect(b.host.ports.length).toBe(2);
  });
  it('ends at the TSS limit, and a 16-bit TSS has none', () => {
    const b = protectedBench();
    toUser(b);
    b.host.ram.setUint8(TSS + 0x1ff, 0); // clear bits do not help: the byte behind them is beyond the limit
    const last = (0x1ff - 0x68) * 8;
    expect(b.try(() => portIn(b.cpu, last - 1, 1))).toBeNull();
    expect(b.try(() => portIn(b.cpu, last, 1))).toEqual(GP0);
    b.cpu.setSegCache(ENV.TR, 0x28, TSS, 0x1ff, 0x8300);
    expect(b.try(() => portIn(b.cpu, 0, 1))).toEqual(GP0);
  });
  it('VM86 asks the map at any IOPL', () => {
    const b = protectedBench();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_VM | FLAG_IOPL;
    b.cpu.updateHflags();
    b.host.ram.setUint8(TSS + 0x68, 1);
    expect(b.try(() => portIn(b.cpu, 0, 1))).toEqual(GP0);
    expect(b.try(() => portIn(b.cpu, 1, 1))).toBeNull();
  });
});

describe('INS and OUTS', () => {
  function strings(): Bench {
    const b = protectedBench();
    b.cpu.setReg(EDX, 0x1f0);
    b.cpu.setReg(EDI, 0x6000);
    b.cpu.setReg(ESI, 0x6000);
    b.cpu.setReg(ECX, 3);
    b.host.portValue = 0xa1b2;
    return b;
  }
  it('REP INSW stores, counts and moves on', () => {
    const b = strings();
    insOuts(b.cpu, INS, 2, ADDRESS32 | REP, 0x5003);
    expect([b.r32(0x6000), b.r32(0x6004), b.cpu.reg(ECX), b.cpu.reg(EDI), b.cpu.eip]).toEqual([
      0xa1b2a1b2, 0xa1b2, 0, 0x6006, 0x5003,
    ]);
  });
  it('INSB without REP leaves ECX; DF goes down; 16-bit addressing wraps DI alone', () => {
    const b = strings();
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_DF;
    b.cpu.setReg(EDI, 0x77770000);
    insOuts(b.cpu, INS, 1, 0, 0x5002);
    expect([b.host.physRead8(0), b.cpu.reg(EDI), b.cpu.reg(ECX)]).toEqual([0xb2, 0x7777ffff, 3]);
  });
  it('OUTS takes the override segment', () => {
    const b = strings();
    b.cpu.setSeg(ES, 0x10, 0x100, 0xffffffff, 0xc09300);
    b.w32(0x6000, 0x11);
    b.w32(0x6100, 0x22);
    insOuts(b.cpu, OUTS, 4, ADDRESS32 | (DS << 4), 0x5002);
    insOuts(b.cpu, OUTS, 1, ADDRESS32 | (ES << 4), 0x5002);
    expect(b.host.ports.map((p) => p.value)).toEqual([0x11, b.host.physRead8(0x6104)]);
  });
  it('REP with zero count does nothing', () => {
    const b = strings();
    b.cpu.setReg(ECX, 0);
    insOuts(b.cpu, INS, 4, ADDRESS32 | REP, 0x5003);
    expect([b.host.ports.length, b.cpu.eip]).toEqual([0, 0x5003]);
  });
  it('a page fault in the middle keeps progress and reads no port for nothing', () => {
    const b = strings();
    b.w32(0x10000, 0x11003);
    for (let i = 0; i < 6; i++) b.w32(0x11000 + 4 * i, (i << 12) | 3);
    b.w32(0x11000 + 4 * 6, 0x6003);
    b.cpu.setCrRaw(3, 0x10000);
    b.cpu.setCrRaw(0, 0x80000011);
    b.cpu.setReg(EDI, 0x6ffc);
    expect(b.try(() => insOuts(b.cpu, INS, 4, ADDRESS32 | REP, 0x5003))).toEqual({ vector: 14, error: 2 });
    expect([b.cpu.reg(ECX), b.cpu.reg(EDI), b.host.ports.length, b.cpu.cr(2)]).toEqual([2, 0x7000, 1, 0x7000]);
  });
  it('long strings stop for interrupts with EIP on the instruction', () => {
    const b = strings();
    b.cpu.setReg(ECX, REP_IO_CHUNK + 5);
    b.cpu.setReg(EDI, 0x20000);
    insOuts(b.cpu, INS, 1, ADDRESS32 | REP, 0x5003);
    expect([b.cpu.eip, b.cpu.reg(ECX)]).toEqual([0x5000, 5]);
    b.cpu.ei32[ENV.EFLAGS >> 2] |= FLAG_TF;
    b.cpu.updateHflags();
    insOuts(b.cpu, INS, 1, ADDRESS32 | REP, 0x5003);
    expect([b.cpu.eip, b.cpu.reg(ECX)]).toEqual([0x5000, 4]);
  });
  it('checks the segment: limit and rights', () => {
    const b = strings();
    b.cpu.setSeg(ES, 0x10, 0, 0x6001, 0x409300);
    b.cpu.updateHflags();
    expect(b.try(() => insOuts(b.cpu, INS, 4, ADDRESS32, 0x5003))).toEqual(GP0);
    b.cpu.setSeg(ES, 0x10, 0, 0xffffffff, 0xc09100);
    b.cpu.updateHflags();
    expect(b.try(() => insOuts(b.cpu, INS, 4, ADDRESS32, 0x5003))).toEqual(GP0);
    expect(b.host.ports).toEqual([]);
  });
});

describe('I/O breakpoints', () => {
  it('trap after the instruction when CR4.DE is set', () => {
    const b = protectedBench();
    b.descriptor(IDT + 8, gate(KCODE, 0x8000, 0x8e));
    b.cpu.setDrRaw(2, 0x71);
    b.cpu.setDrRaw(7, 0x02000420);
    portIn(b.cpu, 0x71, 1);
    expect(b.cpu.env32(ENV.PENDING_DR6)).toBe(0);
    b.cpu.setCrRaw(4, 8);
    portIn(b.cpu, 0x70, 2);
    b.cpu.deliverPendingTrap();
    expect([b.cpu.eip, b.cpu.dr(6) & 15]).toEqual([0x8000, 4]);
  });
});
