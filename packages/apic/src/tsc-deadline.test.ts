/** Behaviour by Intel SDM Vol. 3A §11.5.4.1 "TSC-Deadline Mode". */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { LOCAL_APIC, type LocalApic } from './index.ts';
import { ApicReg } from './registers.ts';

const BASE = 0xfee00000;
const DEADLINE_MODE = 0x40000;

interface Setup {
  bus: FakeBus;
  apic: LocalApic;
  get(reg: number): number;
  put(reg: number, value: number): void;
  ack(): number | null;
}

function setup(entry = DEADLINE_MODE | 0xec): Setup {
  const bus = createFakeBus();
  const apic = bus.add(LOCAL_APIC, { 'tsc-deadline': true });
  const put = (reg: number, value: number): void => void bus.memory.write32(BASE + reg * 16, value);
  put(ApicReg.SVR, 0x1ff);
  put(ApicReg.LVT_TIMER, entry);
  const ack = (): number | null => {
    if (!apic.isRequesting) return null;
    const vector = apic.acknowledge();
    put(ApicReg.EOI, 0);
    return vector;
  };
  return { bus, apic, put, get: (reg) => bus.memory.read32(BASE + reg * 16), ack };
}

it('interrupts once, at the deadline', () => {
  const s = setup();
  s.apic.setDeadline(1000);
  s.bus.advance(999);
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([null, true]);
  s.bus.advance(1);
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([0xec, false]);
  s.bus.advance(1e9);
  expect(s.ack()).toBe(null);
});

it('interrupts at once when the deadline is past', () => {
  const s = setup();
  s.bus.advance(5000);
  s.apic.setDeadline(5000);
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([0xec, false]);
});

it('is moved and disarmed by further writes', () => {
  const s = setup();
  s.apic.setDeadline(1000);
  s.apic.setDeadline(3000);
  s.bus.advance(2000);
  expect(s.ack()).toBe(null);
  s.apic.setDeadline(-1);
  s.bus.advance(2000);
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([null, false]);
});

it('has no counts', () => {
  const s = setup();
  s.put(ApicReg.TIMER_INITIAL, 1000);
  s.apic.setDeadline(10_000);
  s.put(ApicReg.TIMER_DIVIDE, 0xb);
  expect([s.get(ApicReg.TIMER_INITIAL), s.get(ApicReg.TIMER_CURRENT)]).toEqual([0, 0]);
  s.bus.advance(9999);
  expect(s.ack()).toBe(null);
  s.bus.advance(1);
  expect(s.ack()).toBe(0xec);
});

it('is disarmed by a change of the mode, in either direction', () => {
  const s = setup();
  s.apic.setDeadline(1000);
  s.put(ApicReg.LVT_TIMER, 0xec);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0xec);
  expect(s.apic.isDeadlineArmed).toBe(false);
  s.put(ApicReg.LVT_TIMER, 0x200ec);
  s.put(ApicReg.TIMER_INITIAL, 100_000);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0xec);
  s.bus.advance(1e9);
  expect([s.ack(), s.get(ApicReg.TIMER_CURRENT)]).toEqual([null, 0]);
});

it('stays armed while the entry is masked, or its vector changes', () => {
  const s = setup();
  s.apic.setDeadline(1000);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0x10040);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0x41);
  s.bus.advance(1000);
  expect(s.ack()).toBe(0x41);
  s.apic.setDeadline(2000);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0x10041);
  s.bus.advance(1000);
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([null, false]);
});

it('in another mode a write does nothing and nothing is armed', () => {
  const s = setup(0xec);
  s.apic.setDeadline(1000);
  s.put(ApicReg.TIMER_INITIAL, 100);
  expect(s.apic.isDeadlineArmed).toBe(false);
  s.put(ApicReg.LVT_TIMER, DEADLINE_MODE | 0xec);
  s.bus.advance(1e6);
  expect(s.ack()).toBe(null);
});

it('one that is due but not served yet has expired, and outlives the next write', () => {
  const s = setup();
  s.apic.setDeadline(1000);
  s.bus.clock.nsPerRead = 1000; // past it at the next read, with no turn of the event loop
  expect(s.apic.isDeadlineArmed).toBe(false);
  s.apic.setDeadline(1e6);
  s.bus.clock.nsPerRead = 0;
  expect([s.ack(), s.apic.isDeadlineArmed]).toEqual([0xec, true]);
});

it('does not exist where the processor has none', () => {
  const bus = createFakeBus();
  const apic = bus.add(LOCAL_APIC);
  bus.memory.write32(BASE + 0xf0, 0x1ff);
  bus.memory.write32(BASE + 0x320, DEADLINE_MODE | 0xec);
  expect(bus.memory.read32(BASE + 0x320)).toBe(0xec);
  apic.setDeadline(10);
  bus.advance(100);
  expect(apic.isRequesting).toBe(false);
});

it('goes off after a turn through x2APIC mode, and after a round trip', () => {
  const s = setup();
  s.apic.setBase(BASE | 0xd00);
  expect(s.apic.writeMsr(0x832, DEADLINE_MODE | 0x42, 0)).toBe(true);
  s.apic.setDeadline(1000);
  checkRoundTrip(s.apic, () => createFakeBus().add(LOCAL_APIC, { 'tsc-deadline': true }));
  s.bus.advance(1000);
  expect(s.apic.acknowledge()).toBe(0x42);
});
