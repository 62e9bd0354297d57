/** The options of the memory import, and that building is deterministic. */
import { describe, expect, it } from 'vitest';
import { buildSoftFloatModule } from './module.ts';

interface Engine {
  readonly Memory: new (d: { initial: number; maximum?: number; shared?: boolean }) => {
    readonly buffer: ArrayBufferLike;
  };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => object;
}
const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;

describe('buildSoftFloatModule', () => {
  it('gives the same bytes each time', () => {
    expect(buildSoftFloatModule()).toEqual(buildSoftFloatModule());
  });

  it('imports a shared memory when asked to', () => {
    const module = new Module(buildSoftFloatModule({ minPages: 2, maxPages: 16, shared: true }));
    expect(
      () => new Instance(module, { env: { memory: new Memory({ initial: 2, maximum: 16, shared: true }) } }),
    ).not.toThrow();
  });

  it('accepts any memory of the minimum size or more', () => {
    const module = new Module(buildSoftFloatModule());
    expect(() => new Instance(module, { env: { memory: new Memory({ initial: 40, maximum: 100 }) } })).not.toThrow();
    expect(
      () =>
        new Instance(new Module(buildSoftFloatModule({ minPages: 3 })), {
          env: { memory: new Memory({ initial: 2 }) },
        }),
    ).toThrow();
  });
});
