/** The client against servers that lie, stall and vanish; servers that can less; and callers that change their mind. */
import { MemoryStorage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { StreamReader } from './byte-stream.ts';
import { connectNbd, listNbdExports, NbdServer, streamPair, type ByteStream, type NbdClientOptions } from './index.ts';
import { MAX_OPTION_DATA, MAX_OPTION_REPLIES } from './limits.ts';
import { MessageReader, MessageWriter } from './message.ts';
import { pattern, sameBytes } from './nbd.test-support.ts';
import * as nbd from './protocol.ts';

const GREETING = new MessageWriter().pair(nbd.NBDMAGIC).pair(nbd.IHAVEOPT).u16(3).bytes();
const reply = (option: number, type: number, data: Uint8Array = new Uint8Array(0), length = data.length): Uint8Array =>
  new MessageWriter().pair(nbd.OPTION_REPLY_MAGIC).u32(option).u32(type).u32(length).u8s(data).bytes();
const ack = (option: number): Uint8Array => reply(option, nbd.NBD_REP_ACK);
const info = (size: number, flags: number): Uint8Array =>
  reply(nbd.NBD_OPT_GO, nbd.NBD_REP_INFO, new MessageWriter().u16(nbd.NBD_INFO_EXPORT).u64(size).u16(flags).bytes());
const joined = (...parts: Uint8Array[]): Uint8Array => {
  const writer = new MessageWriter();
  for (const part of parts) writer.u8s(part);
  return writer.bytes();
};

/** A server that says `bytes` whatever it is told, then listens, then closes if told so. */
function saying(bytes: Uint8Array, thenClose = false): ByteStream {
  const [near, far] = streamPair();
  void far.write(bytes).then(async () => {
    if (thenClose) return far.close();
    while ((await far.read()) !== undefined);
  });
  return near;
}

const SIZE = 1 << 20;
const ALL_FLAGS = 0xced;
const HANDSHAKE = joined(
  GREETING,
  ack(nbd.NBD_OPT_STRUCTURED_REPLY),
  reply(
    nbd.NBD_OPT_SET_META_CONTEXT,
    nbd.NBD_REP_META_CONTEXT,
    new MessageWriter().u32(5).text('base:allocation').bytes(),
  ),
  ack(nbd.NBD_OPT_SET_META_CONTEXT),
  info(SIZE, ALL_FLAGS),
  ack(nbd.NBD_OPT_GO),
);

/** In the transmission phase with a server made of a function from requests to bytes. */
async function scripted(
  answer: (cookie: number, type: number, offset: number, length: number) => Uint8Array,
  options: NbdClientOptions = {},
) {
  const [near, far] = streamPair();
  void far.write(HANDSHAKE);
  const clientPromise = connectNbd(near, options);
  const reader = new StreamReader(far);
  const client = await clientPromise;
  // what the client has sent in its handshake: flags, then options of known lengths
  await reader.skip(4);
  for (let n = 0; n < 3; n++) {
    const head = new MessageReader(await reader.take(16));
    head.u64();
    head.u32();
    await reader.skip(head.u32());
  }
  void (async () => {
    while (!(await reader.atEnd())) {
      const head = new MessageReader(await reader.take(28));
      head.u32();
      head.u16();
      const type = head.u16();
      const [cookie, offset, length] = [head.u64(), head.u64(), head.u32()];
      if (type === nbd.NBD_CMD_WRITE) await reader.skip(length);
      await far.write(answer(cookie, type, offset, length));
    }
  })().catch(() => undefined);
  return { client, far };
}

const chunk = (cookie: number, flags: number, type: number, data: Uint8Array, length = data.length): Uint8Array =>
  new MessageWriter()
    .u32(nbd.NBD_STRUCTURED_REPLY_MAGIC)
    .u16(flags)
    .u16(type)
    .u64(cookie)
    .u32(length)
    .u8s(data)
    .bytes();
const data = (cookie: number, flags: number, offset: number, length: number): Uint8Array =>
  chunk(cookie, flags, nbd.NBD_REPLY_TYPE_OFFSET_DATA, new MessageWriter().u64(offset).u8s(pattern(length, 1)).bytes());
const hole = (cookie: number, flags: number, offset: number, length: number): Uint8Array =>
  chunk(cookie, flags, nbd.NBD_REPLY_TYPE_OFFSET_HOLE, new MessageWriter().u64(offset).u32(length).bytes());

describe('a hostile server in the handshake', () => {
  it.each<[string, Uint8Array, string]>([
    ['another protocol', new MessageWriter().text('SSH-2.0-OpenSSH_9.2p1\r\n').bytes(), 'invalid-format'],
    [
      'the oldstyle handshake',
      new MessageWriter().pair(nbd.NBDMAGIC).pair(nbd.CLISERV_MAGIC).zeroes(140).bytes(),
      'unsupported-feature',
    ],
    ['wrong magic of a reply', joined(GREETING, new Uint8Array(20)), 'invalid-format'],
    ['a reply to another option', joined(GREETING, ack(nbd.NBD_OPT_LIST)), 'invalid-format'],
    ['a reply that is too long', joined(GREETING, reply(8, 1, undefined, MAX_OPTION_DATA + 1)), 'invalid-format'],
    ['a size beyond 2^53', joined(HANDSHAKE.subarray(0, -52), badSize(), ack(nbd.NBD_OPT_GO)), 'unsupported-feature'],
    ['no size at all', joined(HANDSHAKE.subarray(0, -52), ack(nbd.NBD_OPT_GO)), 'invalid-format'],
    ['no flags', joined(HANDSHAKE.subarray(0, -52), info(512, 0), ack(nbd.NBD_OPT_GO)), 'invalid-format'],
    ['an unknown export', joined(HANDSHAKE.subarray(0, -52), reply(7, nbd.NBD_REP_ERR_UNKNOWN)), 'not-found'],
    ['a policy', joined(HANDSHAKE.subarray(0, -52), reply(7, nbd.NBD_REP_ERR_POLICY)), 'refused'],
    ['a wish for TLS', joined(HANDSHAKE.subarray(0, -52), reply(7, nbd.NBD_REP_ERR_TLS_REQD)), 'unsupported-feature'],
    ['block sizes that are none', joined(HANDSHAKE.subarray(0, -52), blockSizes(3, 4096, 1 << 20)), 'invalid-format'],
    ['a minimum of zero', joined(HANDSHAKE.subarray(0, -52), blockSizes(0, 4096, 1 << 20)), 'invalid-format'],
  ])('is refused by name: %s', async (_, bytes, kind) => {
    await expect(connectNbd(saying(bytes, true))).rejects.toMatchObject({ name: 'BlockError', kind });
  });

  it('may stop at any byte', async () => {
    for (let length = 0; length < HANDSHAKE.length; length++)
      await expect(connectNbd(saying(HANDSHAKE.subarray(0, length), true))).rejects.toMatchObject({
        name: 'BlockError',
      });
    const client = await connectNbd(saying(HANDSHAKE));
    expect(client.size).toBe(SIZE);
  });

  it('has a deadline', async () => {
    const promise = connectNbd(saying(HANDSHAKE.subarray(0, 30)), { handshakeMs: 20 });
    await expect(promise).rejects.toThrow(/has not finished the handshake in 20 ms/);
  });

  it('may not list without end', async () => {
    const one = reply(nbd.NBD_OPT_LIST, nbd.NBD_REP_SERVER, new MessageWriter().counted('x').bytes());
    const [near, far] = streamPair();
    void (async () => {
      await far.write(joined(GREETING, ack(nbd.NBD_OPT_STRUCTURED_REPLY)));
      for (;;) await far.write(one);
    })().catch(() => undefined);
    await expect(listNbdExports(near)).rejects.toThrow(`more than ${MAX_OPTION_REPLIES} option replies`);
  });

  it('does not get its control characters into our messages', async () => {
    const text = new MessageWriter().text('no\u001b[2J\u0007\nemkit: all is well').bytes();
    const bytes = joined(HANDSHAKE.subarray(0, -52), reply(7, nbd.NBD_REP_ERR_POLICY, text));
    const error: unknown = await connectNbd(saying(bytes)).catch((caught: unknown) => caught);
    expect((error as Error).message).not.toMatch(/[\u0000-\u001f]/);
  });

  it('can be aborted', async () => {
    const controller = abortable();
    const promise = connectNbd(saying(GREETING), { signal: controller.signal });
    controller.abort();
    await expect(promise).rejects.toMatchObject({ kind: 'aborted' });
  });
});

function badSize(): Uint8Array {
  return reply(
    nbd.NBD_OPT_GO,
    nbd.NBD_REP_INFO,
    new MessageWriter().u16(nbd.NBD_INFO_EXPORT).u32(0x200000).u32(0).u16(1).bytes(),
  );
}

function blockSizes(minimum: number, preferred: number, maximum: number): Uint8Array {
  const body = new MessageWriter().u16(nbd.NBD_INFO_BLOCK_SIZE).u32(minimum).u32(preferred).u32(maximum);
  return joined(reply(nbd.NBD_OPT_GO, nbd.NBD_REP_INFO, body.bytes()), info(512, 1), ack(nbd.NBD_OPT_GO));
}

describe('a hostile server in the transmission phase', () => {
  const D = nbd.NBD_REPLY_FLAG_DONE;
  it.each<[string, (cookie: number, length: number) => Uint8Array]>([
    ['wrong magic', (c) => chunk(c, D, 0, new Uint8Array(0)).fill(0, 0, 4)],
    ['a reply to no request', (c) => chunk(c + 1, D, 0, new Uint8Array(0))],
    [
      'a simple reply to a read',
      (c) => new MessageWriter().u32(nbd.NBD_SIMPLE_REPLY_MAGIC).u32(0).u64(c).zeroes(4096).bytes(),
    ],
    ['NONE with data', (c) => chunk(c, D, 0, new Uint8Array(8))],
    ['NONE that is not the last', (c) => chunk(c, 0, 0, new Uint8Array(0))],
    ['an unknown chunk', (c) => chunk(c, D, 77, new Uint8Array(8))],
    ['a read without data', (c) => chunk(c, D, 0, new Uint8Array(0))],
    ['a read with a part missing', (c) => data(c, D, 0, 4000)],
    ['data before the range', (c) => data(c, D, 0, 4097)],
    ['data past the range', (c) => data(c, D, 4095, 2)],
    ['data at an offset beyond 2^53', (c) => chunk(c, D, 1, new Uint8Array(16).fill(0xff))],
    ['the same data twice', (c) => joined(data(c, 0, 0, 2048), data(c, D, 0, 4096))],
    ['overlap from the left', (c) => joined(data(c, 0, 1000, 100), data(c, D, 900, 200))],
    ['overlap that covers', (c) => joined(hole(c, 0, 1000, 100), data(c, D, 0, 4096))],
    ['an empty hole', (c) => hole(c, D, 0, 0)],
    ['a hole of the wrong length', (c) => chunk(c, D, 2, new Uint8Array(13))],
    ['data of no bytes', (c) => chunk(c, D, 1, new Uint8Array(8))],
    ['data of 4 GiB', (c) => chunk(c, D, 1, new Uint8Array(8), 0xffffffff)],
    ['an error of 0', (c) => chunk(c, D, nbd.NBD_REPLY_TYPE_ERROR, new Uint8Array(6))],
    ['an error without its fields', (c) => chunk(c, D, nbd.NBD_REPLY_TYPE_ERROR, new Uint8Array(5))],
    [
      'an error whose text is longer than it',
      (c) => chunk(c, D, nbd.NBD_REPLY_TYPE_ERROR, Uint8Array.of(0, 0, 0, 5, 0, 9, 65)),
    ],
    ['an error of 4 GiB', (c) => chunk(c, D, nbd.NBD_REPLY_TYPE_ERROR, new Uint8Array(6), 0xffffffff)],
    ['block status to a read', (c) => chunk(c, D, 5, new Uint8Array(12).fill(1))],
  ])('loses the connection with %s', async (_, answer) => {
    const { client } = await scripted((cookie, _type, _offset, length) => answer(cookie, length));
    await expect(client.read(0, new Uint8Array(4096))).rejects.toMatchObject({ kind: 'invalid-format' });
    // and stays so
    await expect(client.read(0, new Uint8Array(16))).rejects.toMatchObject({ kind: 'invalid-format' });
    await client.close();
  });

  it.each<[string, (cookie: number) => Uint8Array]>([
    ['no extent', (c) => chunk(c, D, 0, new Uint8Array(0))],
    ['an extent of no bytes', (c) => chunk(c, D, 5, new MessageWriter().u32(5).u32(0).u32(0).bytes())],
    ['no extent in the chunk', (c) => chunk(c, D, 5, new MessageWriter().u32(5).bytes())],
    ['half an extent', (c) => chunk(c, D, 5, new MessageWriter().u32(5).u32(1).bytes())],
    ['4 GiB of extents', (c) => chunk(c, D, 5, new MessageWriter().u32(5).bytes(), 0xfffffffc)],
    ['a simple success', (c) => new MessageWriter().u32(nbd.NBD_SIMPLE_REPLY_MAGIC).u32(0).u64(c).bytes()],
  ])('loses the connection with block status of %s', async (_, answer) => {
    const { client } = await scripted((cookie) => answer(cookie));
    await expect(client.extent!(0, 4096)).rejects.toMatchObject({ kind: 'invalid-format' });
  });

  it('may send an extent that is longer than what was asked for', async () => {
    const { client } = await scripted((c) =>
      chunk(
        c,
        D,
        5,
        new MessageWriter()
          .u32(5)
          .u32(1 << 19)
          .u32(3)
          .u32(9)
          .u32(0)
          .bytes(),
      ),
    );
    expect(await client.extent!(0, 4096)).toEqual({ length: 4096, data: false, zero: true });
  });

  it('may send pieces in any order', async () => {
    const { client } = await scripted((c) =>
      joined(data(c, 0, 3000, 1096), hole(c, 0, 0, 1000), data(c, 0, 1000, 2000), chunk(c, D, 0, new Uint8Array(0))),
    );
    const buffer = new Uint8Array(4096).fill(9);
    await client.read(0, buffer);
    const expected = joined(new Uint8Array(1000), pattern(2000, 1), pattern(1096, 1));
    expect(sameBytes(buffer, expected)).toBe(true);
  });

  it('goes on after an error, also one of an unknown type', async () => {
    let count = 0;
    const { client } = await scripted((c, _type, offset, length) =>
      count++ === 0
        ? joined(
            data(c, 0, 0, 100),
            chunk(c, D, 0x8fff, new MessageWriter().u32(5).u16(4).text('gone').zeroes(9).bytes()),
          )
        : data(c, D, offset, length),
    );
    await expect(client.read(0, new Uint8Array(4096))).rejects.toThrow(/gone/);
    await client.read(0, new Uint8Array(4096));
  });

  it('may vanish: every request is told', async () => {
    const { client, far } = await scripted(() => new Uint8Array(0));
    const reads = [0, 4096, 8192].map((offset) => client.read(offset, new Uint8Array(4096)));
    const settled = Promise.allSettled(reads);
    far.close();
    for (const result of await settled) expect(result).toMatchObject({ status: 'rejected', reason: { kind: 'io' } });
    await client.close();
  });

  it('may not be silent for ever', async () => {
    const { client } = await scripted(() => new Uint8Array(0), { stallMs: 20 });
    await expect(client.read(0, new Uint8Array(512))).rejects.toThrow(/has not answered for 20 ms/);
    await client.close();
  });

  it('is left when it shuts down', async () => {
    const { client } = await scripted((c) =>
      chunk(c, D, nbd.NBD_REPLY_TYPE_ERROR, new MessageWriter().u32(108).u16(0).bytes()),
    );
    await expect(client.read(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'io' });
    await expect(client.read(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'closed' });
  });
});

describe('a server that can less', () => {
  it('knows only EXPORT_NAME', async () => {
    const greeting = new MessageWriter().pair(nbd.NBDMAGIC).pair(nbd.IHAVEOPT).u16(0);
    const client = await connectNbd(saying(greeting.u64(4096).u16(3).zeroes(124).bytes()));
    expect([client.size, client.write, client.extent]).toEqual([4096, undefined, undefined]);
  });

  it('has neither structured replies nor GO', async () => {
    const unsup = (option: number): Uint8Array => reply(option, nbd.NBD_REP_ERR_UNSUP);
    const exportReply = new MessageWriter().u64(4096).u16(1).bytes();
    const client = await connectNbd(saying(joined(GREETING, unsup(8), unsup(7), exportReply)));
    expect(client.extent).toBeUndefined();
    expect(client.writeZeroes).toBeUndefined();
    expect(client.discard).toBeUndefined();
    await client.flush!();
  });

  it('takes whole blocks only', async () => {
    const disk = new MemoryStorage(pattern(1 << 16, 4));
    const log: [number, number, number][] = [];
    const [near, far] = streamPair();
    const bytes = joined(HANDSHAKE.subarray(0, -52), blockSizes(512, 4096, 8192)).slice();
    void far.write(bytes);
    const client = await connectNbd(near);
    // a server of its own, so that the requests are seen as they come
    const reader = new StreamReader(far);
    await reader.skip(4);
    for (let n = 0; n < 3; n++) {
      const head = new MessageReader(await reader.take(16));
      head.u64();
      head.u32();
      await reader.skip(head.u32());
    }
    void (async () => {
      while (!(await reader.atEnd())) {
        const head = new MessageReader(await reader.take(28));
        head.u32();
        head.u16();
        const type = head.u16();
        const [cookie, offset, length] = [head.u64(), head.u64(), head.u32()];
        log.push([type, offset, length]);
        if (type === nbd.NBD_CMD_WRITE) {
          await disk.write(offset, await reader.take(length));
          await far.write(chunk(cookie, 1, 0, new Uint8Array(0)));
        } else {
          const content = new Uint8Array(length);
          await disk.read(offset, content);
          await far.write(chunk(cookie, 1, 1, new MessageWriter().u64(offset).u8s(content).bytes()));
        }
      }
    })();
    expect(client.size).toBe(512);
    const buffer = new Uint8Array(3);
    await client.read(100, buffer);
    expect(sameBytes(buffer, disk.bytes().subarray(100, 103))).toBe(true);
    await client.write!(10, Uint8Array.of(1, 2));
    expect([...disk.bytes().subarray(9, 13)]).toEqual([pattern(16, 4)[9], 1, 2, pattern(16, 4)[12]]);
    for (const [, offset, length] of log) expect([offset % 512, length % 512]).toEqual([0, 0]);
  });
});

describe('a caller', () => {
  it('may abort a request; its buffer is then its own', async () => {
    let release: (() => void) | undefined;
    const disk = new MemoryStorage(pattern(8192, 1));
    const slow = {
      size: 8192,
      async read(offset: number, buffer: Uint8Array): Promise<void> {
        if (offset === 0) await new Promise<void>((resolve) => (release = resolve));
        await disk.read(offset, buffer);
      },
    };
    const server = new NbdServer({ exports: [{ name: '', storage: slow }] });
    const [near, far] = streamPair();
    void server.serve(far);
    const client = await connectNbd(near);
    const controller = abortable();
    const buffer = new Uint8Array(4096).fill(7);
    const reading = client.read(0, buffer, { signal: controller.signal });
    const expectation = expect(reading).rejects.toMatchObject({ kind: 'aborted' });
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort();
    await expectation;
    release();
    await client.read(4096, new Uint8Array(4096));
    expect(buffer.every((byte) => byte === 7)).toBe(true);
    await expect(client.read(0, buffer, { signal: controller.signal })).rejects.toMatchObject({ kind: 'aborted' });
    await client.close();
  });

  it('may abort while it waits for its turn', async () => {
    const { client } = await scripted(() => new Uint8Array(0));
    const all = Array.from({ length: 64 }, () => client.read(0, new Uint8Array(16)));
    const controller = abortable();
    const waiting = client.read(0, new Uint8Array(16), { signal: controller.signal });
    const expectation = expect(waiting).rejects.toMatchObject({ kind: 'aborted' });
    await Promise.resolve();
    controller.abort();
    await expectation;
    const settled = Promise.allSettled(all);
    void client.close();
    void settled;
  });

  it('may close more than once, and finds everything closed after it', async () => {
    const { client } = await scripted((c, _type, offset, length) => data(c, 1, offset, length));
    const reading = client.read(0, new Uint8Array(512));
    await Promise.all([client.close(), client.close()]);
    await reading;
    await expect(client.read(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'closed' });
  });
});

/** The host's own, without its types. */
function abortable(): { signal: NonNullable<NbdClientOptions['signal']>; abort(): void } {
  const { AbortController } = globalThis as unknown as {
    AbortController: new () => { signal: NonNullable<NbdClientOptions['signal']>; abort(): void };
  };
  return new AbortController();
}
