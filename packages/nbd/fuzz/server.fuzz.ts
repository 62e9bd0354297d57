/**
 * What a client may send, mutated, in pieces of any length: the server ends the connection without an exception, has nothing left of it, never
 * touches its storage outside the disk, holds no more payload than it says, and then serves a good client.
 */
import { BlockError, MemoryStorage, type Storage } from '@emkit/storage';
import { connectNbd, dirtyBitmap, NbdServer, streamPair, type NbdExport } from '@emkit/nbd';
import { counted, option, request, u16, u32 } from './messages.ts';
import { mutated, Random } from './random.ts';

const SIZE = 1 << 20;

/** A disk that notes what should not happen. */
function guarded(random: Random, problems: string[]): Storage {
  const disk = new MemoryStorage(SIZE);
  const check = (what: string, offset: number, length: number): void => {
    if (!(offset >= 0 && length > 0 && offset + length <= SIZE)) problems.push(`${what} of ${length} at ${offset}`);
    if (random.chance(5)) throw new BlockError(random.pick(['io', 'no-space', 'closed']), 'injected');
  };
  return {
    size: SIZE,
    async read(offset, buffer) {
      check('read', offset, buffer.length);
      await disk.read(offset, buffer);
    },
    async write(offset, buffer) {
      check('write', offset, buffer.length);
      await disk.write(offset, buffer);
    },
    async writeZeroes(offset, length) {
      check('zeroes', offset, length);
      await disk.writeZeroes(offset, length);
    },
    async discard(offset, length) {
      check('discard', offset, length);
      await disk.discard(offset, length);
    },
    async extent(offset, length) {
      check('extent', offset, length);
      return disk.extent(offset, length);
    },
    flush: () => Promise.resolve(),
  };
}

function handshake(random: Random): number[] {
  const name = random.pick(['', 'disk', 'ro', 'none', 'x'.repeat(4097)]);
  const options = [
    () => option(8, []),
    () => option(3, random.chance(90) ? [] : [1]),
    () => option(6, [...counted(name), ...u16(2), ...u16(random.int(5)), ...u16(3)]),
    () => option(9, [...counted(name), ...u32(0)]),
    () => option(10, [...counted(name), ...u32(2), ...counted('base:allocation'), ...counted('qemu:dirty-bitmap:b')]),
    () => option(random.edge() & 0xff, [...random.bytes(random.int(40))]),
    () => option(5, []),
  ];
  const bytes = u32(random.chance(95) ? 3 : random.edge());
  if (random.chance(70)) bytes.push(...option(8, []));
  for (let n = random.int(5); n > 0; n--) bytes.push(...random.pick(options)());
  if (random.chance(60))
    bytes.push(
      ...option(10, [...counted(''), ...u32(2), ...counted('base:allocation'), ...counted('qemu:dirty-bitmap:b')]),
    );
  bytes.push(...(random.chance(80) ? option(7, [...counted(''), ...u16(1), ...u16(3)]) : option(1, [])));
  return bytes;
}

function transmission(random: Random): number[] {
  const bytes: number[] = [];
  for (let n = random.int(12); n > 0; n--) {
    const type = random.chance(95) ? random.int(8) : random.edge() & 0xffff;
    const flags = random.chance(80) ? random.pick([0, 1, 4, 8, 2, 16]) : random.edge() & 0xffff;
    const offset = random.chance(80) ? random.int(SIZE) : random.edge() * random.pick([1, 4096, 2 ** 20]);
    const length = random.chance(85) ? random.int(random.pick([64, 3000, 20_000])) : random.edge();
    bytes.push(...request(type, flags, offset, length));
    if (type === 1) bytes.push(...new Array<number>(Math.min(length, 20_000)).fill(random.int(256)));
  }
  if (random.chance(50)) bytes.push(...request(2, 0, 0, 0));
  return bytes;
}

async function run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
  const findings: string[] = [];
  for (let n = 0; n < iterations; n++) {
    const input = seed * 1_000_003 + n;
    const random = new Random(input);
    const problems: string[] = [];
    const storage = guarded(random, problems);
    const contexts = [
      dirtyBitmap('b', () => [
        [0, 4096],
        [8192, SIZE],
      ]),
    ];
    const exports: NbdExport[] = [
      { name: '', storage, contexts },
      { name: 'disk', storage },
      { name: 'ro', storage, readOnly: true },
    ];
    const server = new NbdServer({ exports, handshakeMs: 5000 });
    const [near, far] = streamPair();
    const end = server.serve(far).catch((error: unknown) => problems.push(`serve rejected: ${String(error)}`));
    const wild = Uint8Array.from([...handshake(random), ...transmission(random)]);
    const bytes = random.chance(25) ? wild : mutated(random, wild);
    const listening = (async () => {
      while ((await near.read()) !== undefined);
    })();
    try {
      for (let at = 0; at < bytes.length;) {
        const length = 1 + random.int(random.pick([4, 64, 65536]));
        await near.write(bytes.subarray(at, at + length));
        at += length;
      }
    } catch {
      // the server has had enough
    }
    // a client that goes without a word; what it sent is still read
    await new Promise((resolve) => setImmediate(resolve));
    near.close();
    await Promise.all([end, listening]);
    if (server.connections !== 0) problems.push('a connection is left');
    const [good, goodFar] = streamPair();
    void server.serve(goodFar);
    const client = await connectNbd(good);
    await client.extent?.(0, 4096).catch(() => undefined);
    await client.close();
    for (const problem of problems) findings.push(`input ${input}: ${problem}`);
  }
  return { inputs: iterations, findings };
}

export const target = { name: 'nbd-server', run };
