import { expect, it } from 'vitest';
import { KEPT_BYTES } from './limits.ts';
import { MessageMemory } from './message-memory.ts';

it('cuts small messages one behind the other, and begins anew when all are released', () => {
  const memory = new MessageMemory();
  const [a, b] = [memory.take(100), memory.take(4124)];
  expect([b.buffer === a.buffer, b.byteOffset]).toEqual([true, a.byteOffset + 100]);
  memory.release(a);
  expect(memory.take(16).byteOffset).toBe(b.byteOffset + b.length);
  memory.release(b);
  memory.release(new Uint8Array(a.buffer, 0, 16));
  expect(memory.take(16).byteOffset).toBe(0);
});

it('gives nothing out twice, whatever is taken and released in which order', () => {
  const memory = new MessageMemory();
  let state = 1;
  const random = (below: number): number => (state = (state * 48271) % 0x7fffffff) % below;
  const held: { bytes: Uint8Array; mark: number }[] = [];
  for (let n = 0; n < 4000; n++) {
    if (held.length > 0 && random(2) === 0) {
      const [{ bytes, mark }] = held.splice(random(held.length), 1) as [{ bytes: Uint8Array; mark: number }];
      expect([bytes[0], bytes[bytes.length - 1]]).toEqual([mark, mark]);
      memory.release(bytes);
    } else {
      const bytes = memory.take(1 + random(random(4) === 0 ? 200_000 : 9000)).fill(n % 251);
      held.push({ bytes, mark: n % 251 });
    }
  }
  for (const { bytes, mark } of held) expect([bytes[0], bytes[bytes.length - 1]]).toEqual([mark, mark]);
});

it('uses a large buffer again, and keeps no more than the limit', () => {
  const memory = new MessageMemory();
  const first = memory.take(65536 + 28);
  memory.release(first);
  const again = memory.take(65536);
  expect(again.buffer === memory.take(65536).buffer).toBe(false);
  expect(again.buffer === first.buffer).toBe(false);
  expect(memory.take(65536 + 100).buffer === first.buffer).toBe(true);
  const many = Array.from({ length: 40 }, () => memory.take(100_000));
  for (const bytes of many) memory.release(bytes);
  const buffers = new Set(many.map(({ buffer }) => buffer));
  let kept = 0;
  while (buffers.delete(memory.take(100_000).buffer)) kept++;
  expect(kept).toBeGreaterThan(0);
  expect(kept * 100_000).toBeLessThanOrEqual(KEPT_BYTES);
});

it('has nothing to do with what it did not give, nor with what is larger than it keeps', () => {
  const memory = new MessageMemory();
  memory.release(new Uint8Array(16));
  const huge = memory.take(KEPT_BYTES + 1);
  memory.release(huge);
  expect(memory.take(KEPT_BYTES + 1).buffer === huge.buffer).toBe(false);
});
