import { RAM_BASE } from '@emkit/codegen';
import { expect, it } from 'vitest';
import { createMemory, HostMemoryError, MAX_RAM_BYTES } from './guest-memory.ts';

it('holds the translator and the guest', () => {
  expect(createMemory(4096).buffer.byteLength).toBe(RAM_BASE + 65536);
  expect(RAM_BASE + MAX_RAM_BYTES).toBe(2 ** 32);
});

it('says how much the engine would not give', () => {
  expect(() => createMemory(MAX_RAM_BYTES + 65536)).toThrow(HostMemoryError);
  try {
    createMemory(MAX_RAM_BYTES + 65536);
  } catch (error) {
    expect(error).toMatchObject({
      kind: 'no-memory',
      bytes: 2 ** 32 + 65536,
      message: expect.stringContaining('4097 MiB'),
    });
  }
});
