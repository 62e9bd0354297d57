/** Translations that a machine keeps for the next one: when they are asked for, and what a store that fails does. */
import { describe, expect, it } from 'vitest';
import { createPc } from '../src/index.ts';
import type { PcExit, PcOptions, TranslationStore } from '../src/index.ts';

const BASE = 0x10_0000;
const HEADER = 32;

/** A multiboot kernel: counts down from a million, then writes a byte to the debug exit. */
function kernel(): Uint8Array {
  const loop = [0xb9, ...[0x40, 0x42, 0x0f, 0x00], 0x49, 0x75, 0xfd]; // mov ecx, 1000000; dec ecx; jnz
  const code = [...loop, 0xb0, 7, 0x66, 0xba, 0x01, 0x05, 0xee, 0xf4]; // mov al, 7; mov dx, 501H; out dx, al; hlt
  const image = new Uint8Array(HEADER + code.length);
  const end = BASE + image.length;
  const words = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, end, end + 0x1000, BASE + HEADER];
  words.forEach((w, i) => new DataView(image.buffer).setInt32(i * 4, w | 0, true));
  image.set(code, HEADER);
  return image;
}

class MapStore implements TranslationStore {
  readonly map = new Map<string, Uint8Array>();
  loads = 0;
  load(key: string): Promise<Uint8Array | undefined> {
    this.loads++;
    return Promise.resolve(this.map.get(key));
  }
  save(key: string, bytes: Uint8Array): Promise<void> {
    this.map.set(key, bytes);
    return Promise.resolve();
  }
}

async function run(
  store: TranslationStore,
  more: Partial<PcOptions> = {},
): Promise<{ exit: PcExit; warnings: string[]; restored: number }> {
  const warnings: string[] = [];
  const pc = await createPc({
    memorySize: 4 << 20,
    kernel: { name: 'counter', bytes: kernel() },
    devices: [{ driver: 'isa-debug-exit', properties: new Map(), typed: '' }],
    translations: { store, build: 'one', guest: 'counter' },
    warn: (text) => warnings.push(text),
    ...more,
  });
  const exit = await pc.run();
  const { blocks } = pc.board.tcg;
  return {
    exit,
    warnings,
    restored: blocks.saved?.stats.restored ?? 0,
  };
}

const END = { kind: 'debug-exit', code: 15 };

describe('translations kept from run to run', () => {
  it('the second machine has those of the first, and ends as it did', async () => {
    const store = new MapStore();
    expect(await run(store)).toEqual({ exit: END, warnings: [], restored: 0 });
    expect(store.map.size).toBe(1);
    const [, before] = [...store.map][0];
    const second = await run(store);
    expect(second).toMatchObject({ exit: END, warnings: [] });
    expect(second.restored).toBeGreaterThan(0);
    expect([...store.map.values()][0]).toBe(before); // nothing new
  });

  it('another build, guest, processor or choice of optimisations has its own', async () => {
    const store = new MapStore();
    await run(store);
    const others: Partial<PcOptions>[] = [
      { translations: { store, build: 'two', guest: 'counter' } },
      { translations: { store, build: 'one', guest: 'another' } },
      { cpu: 'pentium3' },
      { optimisations: { folding: false } },
    ];
    for (const other of others) expect(await run(store, other)).toMatchObject({ exit: END, restored: 0 });
    expect(store.map.size).toBe(1 + others.length);
  });

  it('kept-blocks can be off', async () => {
    const store = new MapStore();
    await run(store, { optimisations: { 'kept-blocks': false } });
    expect(store.map.size).toBe(0);
    await run(store);
    expect(await run(store, { optimisations: { 'kept-blocks': false } })).toMatchObject({ exit: END, restored: 0 });
  });

  it('a store that fails, and bytes that are damaged, are warnings', async () => {
    const bad: TranslationStore = {
      load: () => Promise.reject(new Error('no disk')),
      save: () => Promise.reject(new Error('disk full')),
    };
    const { exit, warnings } = await run(bad);
    expect(exit).toEqual(END);
    expect(warnings).toEqual([
      'translations of earlier runs are not used: no disk',
      'translations are not kept for the next run: disk full',
    ]);
    const store = new MapStore();
    await run(store);
    for (const bytes of store.map.values()) bytes[bytes.length >> 1] ^= 4;
    const damaged = await run(store);
    expect(damaged).toMatchObject({ exit: END, restored: 0 });
    expect(damaged.warnings).toEqual(['translations of earlier runs are damaged, and not used']);
  });
});
