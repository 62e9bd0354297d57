import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DeviceTimer,
  defineVmState,
  field,
  loadSections,
  loadState,
  MAX_STATE_BYTES,
  saveSections,
  saveState,
  StateError,
  type StateSection,
  type VmState,
} from './index.ts';

class FakeTimer implements DeviceTimer {
  deadline = -1;
  mod(deadline: number): void {
    this.deadline = deadline;
  }
  del(): void {
    this.deadline = -1;
  }
}

interface ChipState {
  on: boolean;
  index: number;
  word: number;
  signed: number;
  when: number;
  past: number;
  rate: number;
  regs: Uint8Array;
  counts: Uint16Array;
  queue: number[];
  channel: { mode: number };
  channels: { mode: number; base: number }[];
  timer: FakeTimer;
  rare: number;
}

const blank = (): ChipState => ({
  on: false,
  index: 0,
  word: 0,
  signed: 0,
  when: 0,
  past: 0,
  rate: 0,
  regs: new Uint8Array(4),
  counts: new Uint16Array(2),
  queue: [],
  channel: { mode: 0 },
  channels: [
    { mode: 0, base: 0 },
    { mode: 0, base: 0 },
  ],
  timer: new FakeTimer(),
  rare: 0,
});
const full = (): ChipState => ({
  on: true,
  index: 3,
  word: 0xffffffff,
  signed: -5,
  when: 2 ** 53 - 1,
  past: -(2 ** 40) - 1,
  rate: 0.1,
  regs: new Uint8Array([1, 2, 3, 255]),
  counts: new Uint16Array([0, 65535]),
  queue: [7, 8, 9],
  channel: { mode: 2 },
  channels: [
    { mode: 1, base: 5 },
    { mode: 3, base: 6 },
  ],
  timer: Object.assign(new FakeTimer(), { deadline: 12345678901 }),
  rare: 9,
});

const fields = [
  field.bool('on'),
  field.u8('index', { max: 3 }),
  field.u32('word'),
  field.i32('signed'),
  field.u64('when'),
  field.i64('past'),
  field.f64('rate'),
  field.buffer('regs', 4),
  field.array('counts', 'u16', 2),
  field.list('queue', 'u8', 4),
  field.struct('channel', [field.u8('mode', { max: 3 })]),
  field.structs('channels', [field.u8('mode', { max: 3 }), field.u16('base')], 2),
  field.timer('timer'),
] as const;
const chip = defineVmState<ChipState>({
  name: 'chip',
  version: 1,
  fields,
  subsections: [
    { name: 'rare', version: 1, needed: (s) => s.rare !== 0, fields: [field.u8('rare')], absent: { rare: 0 } },
  ],
  check: (s) => (s.channel.mode === 1 && s.on ? 'mode 1 while on' : null),
});
const section = (state: object, vmstate: VmState = chip, id = 'chip0'): StateSection & { loads: number } => ({
  id,
  vmstate,
  state,
  loads: 0,
  onPostLoad() {
    this.loads++;
  },
});

describe('VMState', () => {
  it('carries every kind of field, in place', () => {
    const target = blank();
    const { regs, timer } = target;
    loadState(section(target), saveState(section(full())));
    expect(target).toEqual(full());
    expect(target.regs).toBe(regs);
    expect(target.timer).toBe(timer);
  });

  it('leaves a subsection out when it is not needed, and restores its absent values', () => {
    const saved = saveState(section({ ...full(), rare: 0 }));
    expect(saved.length).toBeLessThan(saveState(section(full())).length);
    const target = full();
    loadState(section(target), saved);
    expect(target.rare).toBe(0);
  });

  it('gives fields that came later their default, and refuses states from the future', () => {
    const old = defineVmState<{ a: number }>({ name: 'n', version: 1, fields: [field.u8('a')] });
    const now = defineVmState<{ a: number; b: number; c: number[] }>({
      name: 'n',
      version: 3,
      minVersion: 1,
      fields: [
        field.u8('a'),
        field.u16('b', { since: 2, default: 77 }),
        field.array('c', 'u8', 2, { since: 3, default: 4 }),
      ],
    });
    const target = { a: 0, b: 0, c: [0, 0] };
    loadState(section(target, now), saveState(section({ a: 9 }, old)));
    expect(target).toEqual({ a: 9, b: 77, c: [4, 4] });
    expect(() => loadState(section({ a: 0 }, old), saveState(section(target, now)))).toThrow(
      /section 'chip0': version 3 is not in the supported 1\.\.1/,
    );
  });

  it('names section and field of a value that makes no sense, and changes nothing in any section', () => {
    const wide = defineVmState<ChipState>({
      name: 'chip',
      version: 1,
      fields: [field.bool('on'), field.u8('index'), ...fields.slice(2)],
    });
    const first = section(blank(), chip, 'first');
    const second = section(blank(), chip, 'second');
    const bad = saveSections([section(full(), chip, 'first'), section({ ...full(), index: 4 }, wide, 'second')]);
    expect(() => loadSections([first, second], bad)).toThrow(
      "section 'second', field 'index': value 4 is outside 0..3",
    );
    expect(first.state).toEqual(blank());
    expect([first.loads, second.loads]).toEqual([0, 0]);
  });

  it('refuses contradictions found by check', () => {
    const state = { ...full(), channel: { mode: 1 } };
    expect(() => loadState(section(blank()), saveState(section(state)))).toThrow("section 'chip0': mode 1 while on");
  });

  it('refuses missing, unknown and repeated sections, another layout, trailing bytes, and oversize', () => {
    const saved = saveState(section(full()));
    expect(() => loadSections([section(blank()), section(blank(), chip, 'other')], saved)).toThrow(
      "section 'other': missing",
    );
    expect(() => loadState(section(blank(), chip, 'other'), saved)).toThrow("this machine has no device 'chip0'");
    const twice = new Uint8Array([...saved, ...saved.subarray(12)]);
    twice[8] = 2;
    expect(() => loadState(section(blank()), twice)).toThrow('occurs twice');
    const foreign = defineVmState<object>({ name: 'gpu', version: 1, fields: [] });
    expect(() => loadState(section({}, foreign), saved)).toThrow("holds a 'chip', this machine has a 'gpu'");
    expect(() => loadState(section(blank()), new Uint8Array([...saved, 0]))).toThrow('1 bytes follow');
    expect(() => loadState(section(blank()), new Uint8Array(MAX_STATE_BYTES + 1))).toThrow('exceed the limit');
    expect(() => saveSections([section(full()), section(full())])).toThrow('two sections have this id');
  });

  it('refuses to save an object that does not fit its description', () => {
    expect(() => saveState(section({ ...full(), index: 4 }))).toThrow("field 'index': value 4 is outside");
    expect(() => saveState(section({ ...full(), regs: new Uint8Array(5) }))).toThrow("field 'regs': has 5 elements");
    expect(() => saveState(section({ ...full(), queue: [1, 2, 3, 4, 5] }))).toThrow("field 'queue'");
  });

  it('answers any damage with a StateError and an unchanged device', () => {
    const saved = saveState(section(full()));
    for (let length = 0; length < saved.length; length++)
      expect(() => loadState(section(blank()), saved.subarray(0, length))).toThrow(StateError);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(saved.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = saved.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const target = section(blank());
          try {
            loadState(target, bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(StateError);
            expect(target.state).toEqual(blank());
            return;
          }
          saveState(target); // loaded: then every value is in its range
        },
      ),
      { numRuns: 3000, seed: 7 },
    );
  });
});
