/** Mutated kernels of every format: a plan or a LoadError, nothing else; and RAM outside the plan's segments stays as it was. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commitPlan, createGuestRam, planBoot, planLinuxSetup, probeKernel, type BootPlan } from './index.ts';
import { bzImage, elf, multibootHeader, pvhNote, request } from './images.fixture.ts';

const MIB = 1 << 20;
const RAM = 24 * MIB;
const SEED = 20240613;
const RUNS = 4000;

const flat = new Uint8Array(0x400);
flat.set(multibootHeader(0x10003, [MIB, MIB, MIB + 0x400, MIB + 0x800, MIB + 0x40]));
const code = new Uint8Array(0x100);
code.set(multibootHeader(3));
const IMAGES: readonly Uint8Array[] = [
  bzImage({ prefAddress: 2 * MIB, initSize: MIB }),
  flat,
  elf([
    { physical: MIB, data: code, memorySize: 0x900 },
    { physical: 2 * MIB, data: Uint8Array.of(1) },
  ]),
  elf([
    { physical: MIB, data: new Uint8Array(0x100) },
    { type: 4, physical: 0, data: pvhNote(MIB) },
  ]),
  elf(
    [
      { physical: MIB, data: new Uint8Array(0x100) },
      { type: 4, physical: 0, data: pvhNote(MIB, 8) },
    ],
    { wide: true },
  ),
];

/** Interesting places: headers live in the first KiB and, for the ELF images, at 0x1000 (first segment, notes). */
const place = fc.oneof(fc.nat(0x80), fc.integer({ min: 0x1f0, max: 0x280 }), fc.integer({ min: 0x1000, max: 0x1120 }));
const word = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000, MIB, RAM, RAM - 1, 0x9fc00, 0xa0000),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const mutation = fc.tuple(place, word, fc.constantFrom(1, 2, 4));

describe('hostile kernels', () => {
  it('give a plan or a LoadError, and write nothing outside the plan', () => {
    const memory = new Uint8Array(RAM);
    let planned = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        fc.nat(IMAGES.length - 1),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(0x1200)),
        fc.boolean(),
        (which, changes, cut, withModule) => {
          let image = IMAGES[which]!.slice();
          const v = new DataView(image.buffer);
          for (const [at, value, size] of changes) {
            if (at + 4 > image.length) continue;
            if (size === 1) v.setUint8(at, value & 0xff);
            else if (size === 2) v.setUint16(at, value & 0xffff, true);
            else v.setUint32(at, value, true);
          }
          if (cut !== null) image = image.subarray(0, cut);
          probeKernel(image);
          const asked = request(image, RAM, {
            commandLine: 'x',
            modules: withModule ? [{ bytes: Uint8Array.of(1, 2), commandLine: 'm' }] : [],
          });
          for (const plan of [() => planBoot(asked), () => planLinuxSetup(asked)]) {
            let made: BootPlan;
            try {
              made = plan();
            } catch (error) {
              refused++;
              expect((error as { kind?: string }).kind, String((error as Error).stack)).toBe('load');
              continue;
            }
            planned++;
            checkCommit(memory, made);
          }
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
    // The mutations must reach both sides, or the test shows nothing.
    expect(planned).toBeGreaterThan(RUNS / 20);
    expect(refused).toBeGreaterThan(RUNS / 20);
  });
});

/** Commits to marked memory; outside the segments every mark must still stand. The marks are put back. */
function checkCommit(memory: Uint8Array, plan: BootPlan): void {
  const writes: [number, number][] = [];
  const ram = createGuestRam(memory);
  commitPlan(plan, {
    size: RAM,
    write: (address, bytes) => {
      ram.write(address, bytes);
      writes.push([address, address + bytes.length]);
    },
    zero: (address, length) => {
      ram.zero(address, length);
      writes.push([address, address + length]);
    },
  });
  for (const [from, to] of writes) {
    expect(plan.segments.some((s) => from >= s.address && to <= s.address + s.memorySize)).toBe(true);
    memory.fill(0, from, to);
  }
  const { entry } = plan;
  const start = entry.segments.cs.base + entry.eip;
  expect(plan.segments.some((s) => start >= s.address && start < s.address + s.memorySize)).toBe(true);
}
