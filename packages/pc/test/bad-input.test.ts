/** Options, kernels and guests that are wrong: a PcError with words, or the behaviour that a guest would see; never a hang. */
import { demoGuest } from '@emkit/demo-guest';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPc, MAX_MEMORY, PcError } from '../src/index.ts';
import type { PcExit, PcOptions, SerialBackend } from '../src/index.ts';

const MIB = 2 ** 20;
const BASE = 0x10_0000;

/** A multiboot kernel of the given code, entered in flat 32-bit protected mode. */
function guest(code: readonly number[]): { name: string; bytes: Uint8Array } {
  const bytes = new Uint8Array(32 + code.length);
  const words = [
    0x1badb002,
    0x10000,
    -(0x1badb002 + 0x10000),
    BASE,
    BASE,
    BASE + bytes.length,
    BASE + bytes.length + 0x1000,
    BASE + 32,
  ];
  words.forEach((w, n) => new DataView(bytes.buffer).setInt32(n * 4, w | 0, true));
  bytes.set(code, 32);
  return { name: 'guest', bytes };
}
const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** mov al, n; mov dx, 0x501; out dx, al: exit code 2n + 1 */
const leave = (n: number): number[] => [0xb0, n, 0x66, 0xba, 0x01, 0x05, 0xee];
const EXIT_DEVICE = {
  driver: 'isa-debug-exit',
  properties: new Map([['iobase', '0x501']]),
  typed: '-device isa-debug-exit,iobase=0x501',
};

const small = (more: Partial<PcOptions>): PcOptions => ({
  memorySize: 16 * MIB,
  devices: [EXIT_DEVICE],
  noReboot: true,
  ...more,
});

async function refusal(options: Partial<PcOptions>): Promise<string> {
  try {
    const pc = await createPc(small(options));
    pc.quit();
    await pc.run();
  } catch (error) {
    expect(error).toBeInstanceOf(PcError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

async function run(code: readonly number[], more: Partial<PcOptions> = {}): Promise<PcExit> {
  const pc = await createPc(small({ kernel: guest(code), ...more }));
  return pc.run();
}

describe('options that are refused', () => {
  it('memory sizes', async () => {
    const kernel = guest([0xf4]);
    for (const memorySize of [0, -1, NaN, Infinity, 4096, MIB - 4096, MIB + 1, MAX_MEMORY + 4096, 99 * 2 ** 40])
      expect(await refusal({ kernel, memorySize }), String(memorySize)).toMatch(/RAM/);
  });
  it('nothing to boot', async () => expect(await refusal({})).toContain('no boot device'));
  it('an optimisation that does not exist', async () =>
    expect(await refusal({ kernel: guest([0xf4]), optimisations: { link: false } })).toContain("'link'"));
  it('a CPU that does not exist', async () =>
    expect(await refusal({ kernel: guest([0xf4]), cpu: 'pentium9' })).toContain('pentium9'));
  it('a device that does not exist, or with wrong properties', async () => {
    const device = (driver: string, ...properties: [string, string][]): PcOptions['devices'] => [
      { driver, properties: new Map(properties), typed: `-device ${driver}` },
    ];
    expect(await refusal({ kernel: guest([0xf4]), devices: device('e1000')! })).toContain(
      "'e1000' is not a valid device model name",
    );
    expect(await refusal({ kernel: guest([0xf4]), devices: device('isa-debug-exit', ['iobase', 'here'])! })).toContain(
      'iobase',
    );
    expect(await refusal({ kernel: guest([0xf4]), devices: device('isa-debug-exit', ['colour', 'red'])! })).toContain(
      'colour',
    );
  });
  it('firmware of a wrong size', async () => {
    for (const size of [0, 1, 0x10001, 17 * MIB])
      expect(await refusal({ bios: { name: 'b', bytes: new Uint8Array(size) } })).toContain('BIOS');
  });
  it('a fifth serial port', async () => {
    const port: SerialBackend = {
      write: () => undefined,
      read: () => new Uint8Array(),
      onReadable: undefined,
      onBreak: undefined,
    };
    expect(await refusal({ kernel: guest([0xf4]), serial: [port, port, port, port, port] })).toContain('four');
  });
});

describe('kernels that are refused', () => {
  it('files that are no kernel', async () => {
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array(3),
      new Uint8Array(5000),
      Uint8Array.from('#!/bin/sh\n', (c) => c.charCodeAt(0)),
    ])
      expect(await refusal({ kernel: { name: 'junk', bytes } })).toContain("could not load kernel 'junk'");
  });
  it('an ELF for another processor', async () => {
    const bytes = new Uint8Array(256);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64-bit little-endian
    bytes[16] = 2;
    bytes[18] = 0xb7; // AArch64
    expect(await refusal({ kernel: { name: 'arm', bytes } })).toContain('arm');
  });
  it('a truncated kernel', async () => {
    const whole = demoGuest();
    for (const length of [40, 100, whole.length >> 1])
      expect(await refusal({ kernel: { name: 'cut', bytes: whole.subarray(0, length) } })).toContain('cut');
  });
  it('a refusal names the next step', async () => {
    const kernel = { name: 'cut', bytes: demoGuest().subarray(0, 40) };
    await expect(createPc(small({ kernel }))).rejects.toMatchObject({ hint: expect.stringContaining('not whole') });
  });
  it('an initrd larger than RAM', async () => {
    const message = await refusal({
      kernel: guest([0xf4]),
      modules: [{ bytes: new Uint8Array(17 * MIB), commandLine: '' }],
    });
    expect(message).toMatch(/RAM|memory/i);
  });
  it('mutated headers', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        async (changes) => {
          const bytes = demoGuest().slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const pc = await createPc(
              small({ memorySize: 2 * MIB, kernel: { name: 'mutant', bytes }, startPaused: true }),
            );
            pc.quit();
          } catch (error) {
            if (!(error instanceof PcError)) throw error;
          }
        },
      ),
      { numRuns: 15, seed: 5 },
    ));
});

describe('guests that misbehave', () => {
  it('a triple fault resets', async () => {
    // lidt [empty]; int3
    const warnings: string[] = [];
    const code = [0x0f, 0x01, 0x1d, ...u32(BASE + 0x800), 0xcc];
    expect(await run(code, { warn: (text) => warnings.push(text) })).toEqual({ kind: 'reset' });
    expect(warnings).toEqual([expect.stringMatching(/^triple fault at [0-9a-f]{4}:00100027, /)]);
  });
  it('cpu_reset logs the state that a triple fault loses', async () => {
    let text = '';
    const log = { items: new Set(['cpu_reset']), ranges: [], write: (more: string): void => void (text += more) };
    await run([0x0f, 0x01, 0x1d, ...u32(BASE + 0x800), 0xb8, ...u32(0x12345678), 0xcc], { log });
    expect(text).toMatch(/^CPU Reset \(CPU 0\)\nEAX=[\s\S]*\nTriple fault\nEAX=12345678 /);
  });
  it('a jump to unmapped memory executes what the bus returns and ends in a fault', async () => {
    // no IDT: the invalid opcode FF FF becomes a triple fault
    expect(await run([0x0f, 0x01, 0x1d, ...u32(BASE + 0x800), 0xb8, ...u32(0xd0000000), 0xff, 0xe0])).toEqual({
      kind: 'reset',
    });
  });
  it('reads and writes of nothing: all ones, ignored', async () => {
    // mov eax, [d0000000]; mov [d0000000], eax; inc eax; jnz fail; leave 7; fail: leave 1
    const code = [0xa1, ...u32(0xd0000000), 0xa3, ...u32(0xd0000000), 0x40, 0x75, 7, ...leave(7), ...leave(1)];
    expect(await run(code)).toEqual({ kind: 'debug-exit', code: 15 });
  });
  it('ports of nothing read as all ones', async () => {
    // mov dx, 0x5678; in eax, dx; inc eax; jnz fail
    expect(await run([0x66, 0xba, 0x78, 0x56, 0xed, 0x40, 0x75, 7, ...leave(7), ...leave(1)])).toEqual({
      kind: 'debug-exit',
      code: 15,
    });
  });
  it.each(['cold', 'hot'] as const)(
    'a guest that writes code for ever does not fill the translator (%s)',
    async (tier) => {
      // 20000 times: the immediate of the next instruction changes
      const code = [
        0xb9,
        ...u32(20000),
        0x89,
        0x0d,
        ...u32(BASE + 32 + 12),
        0xb8,
        ...u32(0),
        0xe2,
        0xf3 - 0,
        ...leave(3),
      ];
      const pc = await createPc(small({ kernel: guest(code), tier }));
      expect(await pc.run()).toEqual({ kind: 'debug-exit', code: 7 });
      expect(pc.board.tcg.codeMap.count).toBeLessThan(100);
    },
  );
  it('quit ends a guest that spins', async () => {
    const pc = await createPc(small({ kernel: guest([0xfa, 0xeb, 0xfe]) }));
    const end = pc.run();
    pc.board.machine.env.clock.createTimer(() => pc.quit()).mod(pc.board.machine.env.clock.now() + 5_000_000);
    expect(await end).toEqual({ kind: 'quit' });
  });
});
