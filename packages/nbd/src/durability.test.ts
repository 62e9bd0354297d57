/** What was acknowledged and flushed through the protocol survives; a fault below reaches the client once, by its kind, and costs nothing else. */
import { isBlockError, type Storage } from '@emkit/storage';
import { Disk, faultLoop, powerCuts, Recorder } from '@emkit/storage-testbed';
import { describe, expect, it } from 'vitest';
import { connectNbd, NbdServer, streamPair, type ByteStream, type NbdStorage } from './index.ts';
import { pattern, sameBytes } from './nbd.test-support.ts';

function serving(storage: Storage) {
  const server = new NbdServer({ exports: [{ name: '', storage }] });
  const connect = (): Promise<NbdStorage> => {
    const [near, far] = streamPair();
    void server.serve(far);
    return connectNbd(near);
  };
  return { server, connect };
}

describe('durability', () => {
  it('a flush on one connection covers what was acknowledged on all', async () => {
    const disk = new Disk(1 << 20);
    const recorder = new Recorder(disk);
    const { connect } = serving(recorder);
    const [a, b] = [await connect(), await connect()];
    const flushed: { at: number; content: Uint8Array }[] = [];
    const content = new Uint8Array(1 << 16);
    for (let round = 0; round < 6; round++) {
      for (const [n, client] of [a, b].entries()) {
        const data = pattern(3000, round * 2 + n);
        const offset = (round * 2 + n) * 4096;
        await client.write!(offset, data);
        content.set(data, offset);
      }
      await (round % 2 === 0 ? a : b).flush!();
      flushed.push({ at: recorder.log.tick(), content: content.slice() });
    }
    let cuts = 0;
    for (const cut of powerCuts(recorder.log, { seed: 1 })) {
      const promised = flushed.findLast(({ at }) => at < cut.time);
      const found = new Uint8Array(1 << 16);
      cut.disks[0]!.get(0, found);
      if (promised !== undefined)
        for (let block = 0; block < 16; block++) {
          const part = promised.content.subarray(block * 4096, block * 4096 + 4096);
          // a block that was empty then may have been written since
          if (part.some((byte) => byte !== 0))
            expect(sameBytes(found.subarray(block * 4096, block * 4096 + 4096), part)).toBe(true);
        }
      cuts++;
    }
    expect(cuts).toBeGreaterThan(20);
    await a.close();
    await b.close();
  });

  it('each call below that fails is an error of the request that made it, and of no other', async () => {
    const faults = await faultLoop(async (plan) => {
      const disk = new Disk(1 << 20);
      const { connect } = serving(plan.wrap(disk));
      const client = await connect();
      const failed: unknown[] = [];
      const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => failed.push(error));
      await attempt(client.write!(0, pattern(5000, 1)));
      await attempt(client.writeZeroes!(8192, 8192));
      await attempt(client.discard!(0, 4096));
      await attempt(client.extent!(0, 4096));
      await attempt(client.read(0, new Uint8Array(200_000)));
      await attempt(client.flush!());
      expect(failed.length).toBe(plan.fired);
      for (const error of failed) expect(isBlockError(error, 'io') && /injected EIO/.test(error.message)).toBe(true);
      // and all is well again
      plan.disarm();
      const data = pattern(512, 9);
      await client.write!(4096, data);
      const back = new Uint8Array(512);
      await client.read(4096, back);
      expect(sameBytes(back, data)).toBe(true);
      await client.close();
    });
    expect(faults).toBeGreaterThanOrEqual(6);
  });
});

describe('a connection that breaks', () => {
  it('at any byte of a session rejects every call, and leaves the server whole', async () => {
    let total = 0;
    // the first run counts the bytes
    for (let limit = Infinity, n = 0; n <= total; n += 7) {
      const server = new NbdServer({ exports: [{ name: '', storage: new Disk(1 << 16) }] });
      const [near, far] = streamPair();
      let passed = 0;
      const cut: ByteStream = {
        async read() {
          const bytes = await near.read();
          if (bytes === undefined) return undefined;
          passed += bytes.length;
          if (passed < limit) return bytes;
          near.close();
          const rest = bytes.subarray(0, bytes.length - (passed - limit));
          return rest.length > 0 ? rest : undefined;
        },
        write: (bytes) => near.write(bytes),
        close: () => near.close(),
      };
      const end = server.serve(far);
      try {
        const client = await connectNbd(cut);
        const results = await Promise.allSettled([
          client.write!(0, pattern(100, 1)),
          client.read(0, new Uint8Array(100)),
          client.extent!(0, 4096),
          client.flush!(),
        ]);
        for (const result of results) if (result.status === 'rejected') expect(isBlockError(result.reason)).toBe(true);
        if (limit === Infinity) expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
        await client.close();
      } catch (error) {
        if (!isBlockError(error)) throw error;
      }
      await end;
      expect(server.connections).toBe(0);
      if (limit === Infinity) total = passed;
      limit = n;
    }
    expect(total).toBeGreaterThan(300);
  });
});
