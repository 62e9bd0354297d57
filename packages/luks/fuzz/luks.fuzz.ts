/** Mutated LUKS1 headers: opened, read, written, amended. Only `BlockError` may come out, and no header may ask for unbounded work. */
import { isBlockError, MemoryStorage } from '@emkit/storage';
import { createLuksDriver } from '../src/index.ts';

const iterations = (): Promise<number> => Promise.resolve(1000);
const driver = createLuksDriver({ iterations });
const secret = (): Uint8Array => Uint8Array.of(1, 2, 3);
/** A count of rounds that is allowed may still take a minute: such inputs are made harmless. */
const MAX_ROUNDS = 20_000;

function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const INTERESTING = [0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xffffffff, 4000, 0x0000dead, 0x00ac71f3];

async function tryImage(file: MemoryStorage): Promise<void> {
  const image = await driver.open(file, { secret });
  await image.info();
  const buffer = new Uint8Array(1000);
  await image.read(100, buffer);
  await image.write?.(500, buffer);
  await image.amend?.({ state: 'inactive', keyslot: '0' }, { force: true, secrets: secret });
  await image.close();
}

export const target = {
  name: 'luks',
  async run(seed: number, count: number): Promise<{ inputs: number; findings: readonly string[] }> {
    const random = generator(seed);
    const findings: string[] = [];
    const original = new MemoryStorage();
    await driver.create?.(original, { size: 4096, secret, options: { 'cipher-alg': 'aes-128', 'cipher-mode': 'cbc' } });
    const bytes = original.bytes();
    for (let i = 0; i < count; i++) {
      const mutated = bytes.slice(0, random(16) === 0 ? random(bytes.length) : bytes.length);
      const view = new DataView(mutated.buffer);
      const changes: string[] = [];
      for (let n = random(4); n >= 0 && mutated.length >= 600; n--) {
        const at = random(148) * 4;
        const value =
          random(2) === 0
            ? (INTERESTING[random(INTERESTING.length)] as number)
            : view.getUint32(at) ^ (1 << random(32));
        view.setUint32(at, value);
        changes.push(`${at}=${value >>> 0}`);
      }
      if (mutated.length >= 592)
        for (const at of [164, ...Array.from({ length: 8 }, (_, s) => 212 + s * 48)])
          if (view.getUint32(at) > MAX_ROUNDS && view.getUint32(at) <= 1 << 26) view.setUint32(at, MAX_ROUNDS);
      try {
        await tryImage(new MemoryStorage(mutated));
      } catch (error) {
        if (!isBlockError(error)) findings.push(`seed ${seed}, input ${i} (${changes.join(' ')}): ${String(error)}`);
      }
    }
    return { inputs: count, findings };
  },
};
