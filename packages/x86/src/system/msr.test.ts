import { describe, expect, it } from 'vitest';
import { Bench, protectedBench } from '../../test/fake-host.ts';
import { EAX, ECX, EDX, ENV } from '../state.ts';
import { rdmsr, wrmsr } from './msr.ts';
import { rdpmc, rdtsc, rdtscp } from './time-stamp.ts';

const GP0 = { vector: 13, error: 0 };
function write(b: Bench, msr: number, low: number, high = 0): ReturnType<Bench['try']> {
  b.cpu.setReg(ECX, msr);
  b.cpu.setReg(EAX, low);
  b.cpu.setReg(EDX, high);
  return b.try(() => wrmsr(b.cpu));
}
function read(b: Bench, msr: number): [number, number] | ReturnType<Bench['try']> {
  b.cpu.setReg(ECX, msr);
  return b.try(() => rdmsr(b.cpu)) ?? [b.cpu.reg(EAX), b.cpu.reg(EDX)];
}

describe('MSRs', () => {
  it('reset values', () => {
    const b = new Bench();
    expect(read(b, 0x1b)).toEqual([0xfee00900, 0]);
    expect(read(b, 0x277)).toEqual([0x00070406, 0x00070406]);
    expect(read(b, 0xfe)).toEqual([0x508, 0]);
    expect(read(b, 0x179)).toEqual([0x10a, 0]);
  });
  it('unknown ones, and those of absent features, are #GP(0)', () => {
    const b = new Bench('pentium,-apic');
    for (const msr of [0xc0000080, 0x174, 0x277, 0x200, 0x179, 0x1234, 0xffffffff, 0x1b]) {
      expect(read(b, msr)).toEqual(GP0);
      expect(write(b, msr, 0)).toEqual(GP0);
    }
  });
  it('stores SYSENTER, MTRRs and machine-check controls in 64 bits', () => {
    const b = new Bench('max,-lm');
    for (const msr of [0x174, 0x175, 0x176, 0x400, 0x424, 0x17b]) {
      expect(write(b, msr, 0x12345678, 0x9abc)).toBeNull();
      expect(read(b, msr)).toEqual([0x12345678, 0x9abc]);
    }
    expect(write(b, 0x26f, 0x06060606, 0x01040500)).toBeNull();
    expect(read(b, 0x26f)).toEqual([0x06060606, 0x01040500]);
  });
  // [msr, low, high] that must be refused. SDM Vol. 3A §11.11, §11.12.4, Vol. 3B §16.3.2
  it.each([
    [0x277, 0x02000000, 0],
    [0x277, 0, 8],
    [0x2ff, 0x2, 0],
    [0x2ff, 0x100, 0],
    [0x2ff, 0, 1],
    [0x250, 0x07, 0],
    [0x200, 0x100, 0],
    [0x201, 0x1ff, 0],
    [0x201, 0x800, 0x10],
    [0x401, 1, 0],
    [0xc0000080, 0x100, 0],
    [0xc0000080, 0, 1],
    [0x1b, 0xfee00d00, 0],
    [0x1b, 0xfee00900, 0x10],
  ])('refuses %i = %i:%i', (msr, low, high) => {
    const b = new Bench('max,-lm,-x2apic');
    const before = read(b, msr);
    expect(write(b, msr, low, high)).toEqual(GP0);
    expect(read(b, msr)).toEqual(before);
  });
  it('EFER.NXE changes flush under paging', () => {
    const b = protectedBench();
    b.cpu.setCrRaw(0, 0x80000011);
    b.host.flushes = [];
    write(b, 0xc0000080, 0x800);
    write(b, 0xc0000080, 0x800);
    expect([b.cpu.env32(ENV.MSR_EFER), b.host.flushes]).toEqual([0x800, ['all']]);
  });
  it('tells the machine of a new APIC base', () => {
    const b = new Bench();
    const seen: number[] = [];
    Object.assign(b.host, { apicBaseChanged: (v: number) => seen.push(v) });
    write(b, 0x1b, 0xfec00100);
    expect(seen).toEqual([0xfec00100]);
  });
});

describe('time-stamp counter', () => {
  it('reads 64 bits and can be written', () => {
    const b = new Bench();
    b.host.ticks = 0x1_2345_6789;
    rdtsc(b.cpu);
    expect([b.cpu.reg(EDX), b.cpu.reg(EAX)]).toEqual([1, 0x23456789]);
    write(b, 0x10, 5, 0);
    b.host.ticks += 100;
    rdtsc(b.cpu);
    expect([b.cpu.reg(EDX), b.cpu.reg(EAX)]).toEqual([0, 105]);
    write(b, 0x10, 0xffffffff, 0xffffffff);
    b.host.ticks += 2;
    expect(read(b, 0x10)).toEqual([1, 0]);
  });
  it('CR4.TSD and PCE guard user level', () => {
    const b = protectedBench();
    b.cpu.setCrRaw(4, 4);
    b.cpu.setReg(ECX, 0);
    expect(b.try(() => rdtsc(b.cpu))).toBeNull();
    b.cpu.cpl = 3;
    expect(b.try(() => rdtsc(b.cpu))).toEqual(GP0);
    expect(b.try(() => rdpmc(b.cpu))).toEqual(GP0);
    b.cpu.setCrRaw(4, 0x100);
    expect(b.try(() => rdpmc(b.cpu))).toBeNull();
    b.cpu.setReg(ECX, 2);
    expect(b.try(() => rdpmc(b.cpu))).toEqual(GP0);
  });
  it('RDTSCP returns TSC_AUX', () => {
    const b = new Bench();
    write(b, 0xc0000103, 7);
    rdtscp(b.cpu);
    expect(b.cpu.reg(ECX)).toBe(7);
  });
});
