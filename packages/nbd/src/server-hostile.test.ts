/** The server against clients that break the protocol, flood, stall and vanish. */
import { MemoryStorage, type Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { connectNbd, NbdServer, streamPair, type ByteStream, type NbdServerOptions } from './index.ts';
import { MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, MAX_OPTION_DATA, MAX_OPTIONS, MAX_PAYLOAD, MAX_STRING } from './limits.ts';
import { MessageReader, MessageWriter } from './message.ts';
import * as nbd from './protocol.ts';
import { StreamReader } from './byte-stream.ts';

const CLIENT_FLAGS = nbd.NBD_FLAG_FIXED_NEWSTYLE | nbd.NBD_FLAG_NO_ZEROES;

function start(options: NbdServerOptions = {}, storage: Storage = new MemoryStorage(1 << 20)) {
  const server = new NbdServer({ exports: [{ name: '', storage }], ...options });
  const connect = () => {
    const [near, far] = streamPair();
    return { stream: near, reader: new StreamReader(near), end: server.serve(far) };
  };
  return { server, connect };
}
type Peer = ReturnType<ReturnType<typeof start>['connect']>;

async function greet(peer: Peer, flags = CLIENT_FLAGS): Promise<void> {
  await peer.reader.take(18);
  await peer.stream.write(new MessageWriter().u32(flags).bytes());
}

const option = (number: number, data: Uint8Array = new Uint8Array(0), length = data.length): Uint8Array =>
  new MessageWriter().pair(nbd.IHAVEOPT).u32(number).u32(length).u8s(data).bytes();

async function optionReply(peer: Peer): Promise<{ type: number; text: string }> {
  const head = new MessageReader(await peer.reader.take(20));
  expect(head.is(nbd.OPTION_REPLY_MAGIC)).toBe(true);
  head.u32();
  const type = head.u32();
  const data = new MessageReader(await peer.reader.take(head.u32()));
  return { type, text: data.rest() };
}

/** Into the transmission phase, simple replies. */
async function go(peer: Peer): Promise<void> {
  await greet(peer);
  await peer.stream.write(option(nbd.NBD_OPT_EXPORT_NAME));
  await peer.reader.take(10);
}

function request(type: number, offset: number, length: number, flags = 0, magic: number = nbd.NBD_REQUEST_MAGIC) {
  return new MessageWriter().u32(magic).u16(flags).u16(type).u64(7).u64(offset).u32(length).bytes();
}

async function simpleErrno(peer: Peer): Promise<number> {
  const reply = new MessageReader(await peer.reader.take(16));
  expect(reply.u32()).toBe(nbd.NBD_SIMPLE_REPLY_MAGIC);
  return reply.u32();
}

/** A good client is still served. */
async function expectAlive(server: NbdServer): Promise<void> {
  const [near, far] = streamPair();
  void server.serve(far);
  const client = await connectNbd(near);
  await client.read(0, new Uint8Array(512));
  await client.close();
}

describe('handshake', () => {
  it('survives 1000 clients that connect and drop', async () => {
    const { server, connect } = start();
    for (let n = 0; n < 1000; n++) {
      const peer = connect();
      peer.stream.close();
      await peer.end;
    }
    expect(server.connections).toBe(0);
    await expectAlive(server);
  });

  it('survives 1000 half handshakes, each cut at another byte', async () => {
    const { server, connect } = start();
    const whole = new MessageWriter()
      .u32(CLIENT_FLAGS)
      .u8s(option(nbd.NBD_OPT_STRUCTURED_REPLY))
      .u8s(option(nbd.NBD_OPT_GO, new MessageWriter().counted('').u16(0).bytes()))
      .u8s(request(nbd.NBD_CMD_READ, 0, 4096))
      .bytes();
    for (let n = 0; n < 1000; n++) {
      const peer = connect();
      await peer.stream.write(whole.subarray(0, n % (whole.length + 1)));
      peer.stream.close();
      await peer.end;
    }
    expect(server.connections).toBe(0);
    await expectAlive(server);
  });

  it('gives a silent client no more than the deadline', async () => {
    const { connect } = start({ handshakeMs: 20 });
    const peer = connect();
    expect((await peer.end).error?.message).toMatch(/has not finished its handshake in 20 ms/);
  });

  it('gives a talkative client no more than the deadline either', async () => {
    const { connect } = start({ handshakeMs: 20 });
    const peer = connect();
    await greet(peer);
    const talk = async (): Promise<void> => {
      for (;;) {
        await peer.stream.write(option(99));
        await optionReply(peer);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    await expect(talk()).rejects.toThrow();
    expect((await peer.end).error?.message).toMatch(/has not finished/);
  });

  it.each([
    ['unknown flags', new MessageWriter().u32(0x80000003).bytes()],
    ['wrong magic', new MessageWriter().u32(CLIENT_FLAGS).zeroes(16).bytes()],
    [
      'too much data for an option',
      new MessageWriter()
        .u32(CLIENT_FLAGS)
        .u8s(option(nbd.NBD_OPT_LIST, undefined, MAX_OPTION_DATA + 1))
        .bytes(),
    ],
    [
      'an unknown export by EXPORT_NAME',
      new MessageWriter()
        .u32(3)
        .u8s(option(1, Uint8Array.of(65)))
        .bytes(),
    ],
    ['an option without fixed newstyle', new MessageWriter().u32(0).u8s(option(nbd.NBD_OPT_LIST)).bytes()],
  ])('cuts off a client with %s', async (_, bytes) => {
    const { server, connect } = start();
    const peer = connect();
    await peer.stream.write(bytes);
    expect((await peer.end).error?.kind).toBe('invalid-format');
    await expectAlive(server);
  });

  it.each<[string, Uint8Array, number]>([
    ['STARTTLS', option(nbd.NBD_OPT_STARTTLS), nbd.NBD_REP_ERR_POLICY],
    ['an unknown option', option(77), nbd.NBD_REP_ERR_UNSUP],
    ['LIST with data', option(nbd.NBD_OPT_LIST, Uint8Array.of(1)), nbd.NBD_REP_ERR_INVALID],
    ['GO without data', option(nbd.NBD_OPT_GO), nbd.NBD_REP_ERR_INVALID],
    [
      'GO of no export',
      option(nbd.NBD_OPT_GO, new MessageWriter().counted('x').u16(0).bytes()),
      nbd.NBD_REP_ERR_UNKNOWN,
    ],
    [
      'GO with a length beyond its data',
      option(nbd.NBD_OPT_GO, new MessageWriter().u32(9).u16(0).bytes()),
      nbd.NBD_REP_ERR_INVALID,
    ],
    [
      'GO with too many requests',
      option(nbd.NBD_OPT_GO, new MessageWriter().u32(0).u16(9).bytes()),
      nbd.NBD_REP_ERR_INVALID,
    ],
    [
      'a name that is too long',
      option(
        nbd.NBD_OPT_GO,
        new MessageWriter()
          .counted('a'.repeat(MAX_STRING + 1))
          .u16(0)
          .bytes(),
      ),
      nbd.NBD_REP_ERR_TOO_BIG,
    ],
    [
      'a name that is not UTF-8',
      option(nbd.NBD_OPT_GO, Uint8Array.of(0, 0, 0, 1, 0xff, 0, 0)),
      nbd.NBD_REP_ERR_INVALID,
    ],
    [
      'contexts before structured replies',
      option(nbd.NBD_OPT_SET_META_CONTEXT, new MessageWriter().u32(0).u32(0).bytes()),
      nbd.NBD_REP_ERR_INVALID,
    ],
  ])('answers %s with an error and goes on', async (_, bytes, type) => {
    const { connect } = start();
    const peer = connect();
    await greet(peer);
    await peer.stream.write(bytes);
    expect((await optionReply(peer)).type).toBe(type);
    await peer.stream.write(option(nbd.NBD_OPT_ABORT));
    expect((await optionReply(peer)).type).toBe(nbd.NBD_REP_ACK);
    expect(await peer.end).toEqual({ export: undefined, error: undefined });
  });

  it('takes a name of the longest length', async () => {
    const name = 'a'.repeat(MAX_STRING);
    const { connect } = start({ exports: [{ name, storage: new MemoryStorage(512) }] });
    const peer = connect();
    expect((await connectNbd(peer.stream, { exportName: name })).size).toBe(512);
  });

  it('takes an option with the most data', async () => {
    const { connect } = start();
    const peer = connect();
    await greet(peer);
    await peer.stream.write(option(77, new Uint8Array(MAX_OPTION_DATA)));
    expect((await optionReply(peer)).type).toBe(nbd.NBD_REP_ERR_UNSUP);
  });

  it('counts queries by their bytes, not by what the client says', async () => {
    const { connect } = start();
    const peer = connect();
    await greet(peer);
    await peer.stream.write(option(nbd.NBD_OPT_STRUCTURED_REPLY));
    await optionReply(peer);
    await peer.stream.write(option(nbd.NBD_OPT_LIST_META_CONTEXT, new MessageWriter().u32(0).u32(0xffffffff).bytes()));
    expect((await optionReply(peer)).type).toBe(nbd.NBD_REP_ERR_INVALID);
  });

  it('ends a flood of options', async () => {
    const { connect } = start();
    const peer = connect();
    await greet(peer);
    const one = option(99);
    const flood = async (): Promise<void> => {
      for (let n = 0; n <= MAX_OPTIONS; n++) {
        await peer.stream.write(one);
        await optionReply(peer);
      }
    };
    await expect(flood()).rejects.toThrow();
    expect((await peer.end).error?.message).toMatch(/more than 4096 options/);
  });

  it('closes connections beyond the limit at once', async () => {
    const { server, connect } = start({ maxConnections: 3 });
    const peers = [connect(), connect(), connect()];
    expect((await connect().end).error?.kind).toBe('refused');
    peers[0]!.stream.close();
    await peers[0]!.end;
    await expectAlive(server);
  });

  it('gives the place on an export back', async () => {
    const server = new NbdServer({ exports: [{ name: '', storage: new MemoryStorage(512), maxConnections: 1 }] });
    const connect = (): ByteStream => {
      const [near, far] = streamPair();
      void server.serve(far);
      return near;
    };
    const first = await connectNbd(connect());
    await expect(connectNbd(connect())).rejects.toMatchObject({ kind: 'refused' });
    await first.close();
    const second = await connectNbd(connect());
    await second.close();
  });
});

describe('transmission', () => {
  it('cuts off wrong magic', async () => {
    const { server, connect } = start();
    const peer = connect();
    await go(peer);
    await peer.stream.write(request(0, 0, 512, 0, 0x12345678));
    expect((await peer.end).error?.kind).toBe('invalid-format');
    await expectAlive(server);
  });

  it('cuts off a write above the limit, and takes one at the limit', async () => {
    const { connect } = start({}, new MemoryStorage(2 * MAX_PAYLOAD));
    const peer = connect();
    await go(peer);
    await peer.stream.write(request(nbd.NBD_CMD_WRITE, 0, MAX_PAYLOAD));
    const piece = new Uint8Array(1 << 20).fill(1);
    for (let n = 0; n < 32; n++) await peer.stream.write(piece);
    expect(await simpleErrno(peer)).toBe(0);
    await peer.stream.write(request(nbd.NBD_CMD_WRITE, 0, MAX_PAYLOAD + 1));
    expect((await peer.end).error?.kind).toBe('invalid-format');
  });

  it.each<[string, Uint8Array, number]>([
    ['a read past the end', request(nbd.NBD_CMD_READ, 1 << 20, 1), nbd.NBD_EINVAL],
    ['a read whose end overflows', request(nbd.NBD_CMD_READ, Number.MAX_SAFE_INTEGER, 0xffff), nbd.NBD_EINVAL],
    ['a read above the limit', request(nbd.NBD_CMD_READ, 0, MAX_PAYLOAD + 1), nbd.NBD_EINVAL],
    ['zeroes past the end', request(nbd.NBD_CMD_WRITE_ZEROES, 4096, 1 << 20), nbd.NBD_ENOSPC],
    ['a trim past the end', request(nbd.NBD_CMD_TRIM, 4096, 1 << 20), nbd.NBD_EINVAL],
    ['an unknown command', request(99, 0, 0), nbd.NBD_EINVAL],
    ['an unknown flag', request(nbd.NBD_CMD_READ, 0, 512, 0x100), nbd.NBD_EINVAL],
    ['DF without structured replies', request(nbd.NBD_CMD_READ, 0, 512, nbd.NBD_CMD_FLAG_DF), nbd.NBD_EINVAL],
    ['block status without a context', request(nbd.NBD_CMD_BLOCK_STATUS, 0, 512), nbd.NBD_EINVAL],
    [
      'a write past the end',
      new MessageWriter()
        .u8s(request(nbd.NBD_CMD_WRITE, (1 << 20) - 2, 4))
        .u32(1)
        .bytes(),
      nbd.NBD_ENOSPC,
    ],
  ])('answers %s with an error and goes on', async (_, bytes, errno) => {
    const { connect } = start({}, new MemoryStorage(1 << 20));
    const peer = connect();
    await go(peer);
    await peer.stream.write(bytes);
    expect(await simpleErrno(peer)).toBe(errno);
    await peer.stream.write(request(nbd.NBD_CMD_FLUSH, 0, 0));
    expect(await simpleErrno(peer)).toBe(0);
    await peer.stream.write(request(nbd.NBD_CMD_DISC, 0, 0));
    expect(await peer.end).toEqual({ export: '', error: undefined });
  });

  it('refuses every change of a read-only export, and keeps in step', async () => {
    const storage = new MemoryStorage(Uint8Array.of(1, 2, 3, 4));
    const { connect } = start({ exports: [{ name: '', storage, readOnly: true }] });
    const peer = connect();
    await go(peer);
    for (const type of [nbd.NBD_CMD_TRIM, nbd.NBD_CMD_WRITE_ZEROES]) {
      await peer.stream.write(request(type, 0, 4));
      expect(await simpleErrno(peer)).toBe(nbd.NBD_EPERM);
    }
    await peer.stream.write(
      new MessageWriter()
        .u8s(request(nbd.NBD_CMD_WRITE, 0, 4))
        .u32(0)
        .bytes(),
    );
    expect(await simpleErrno(peer)).toBe(nbd.NBD_EPERM);
    expect([...storage.bytes()]).toEqual([1, 2, 3, 4]);
  });

  it('reads no further from a client that does not read', async () => {
    let reads = 0;
    const storage: Storage = { size: 1 << 30, read: () => Promise.resolve(void reads++) };
    const { connect } = start({ stallMs: 100 }, storage);
    const peer = connect();
    await go(peer);
    let sent = 0;
    const one = request(nbd.NBD_CMD_READ, 0, 1 << 20);
    const flood = (async () => {
      for (; sent < 10_000; sent++) await peer.stream.write(one);
    })().catch(() => undefined);
    // the stall ends it
    expect((await peer.end).error?.kind).toBe('io');
    await flood;
    expect(reads).toBeLessThanOrEqual(MAX_IN_FLIGHT_BYTES / (1 << 20) + 1);
    expect(sent).toBeLessThan(10_000);
  });

  it('has a bounded number of small requests at work', async () => {
    let atWork = 0;
    let most = 0;
    const storage: Storage = {
      size: 1 << 20,
      async read() {
        most = Math.max(most, ++atWork);
        await new Promise((resolve) => setTimeout(resolve, 1));
        atWork--;
      },
    };
    const { connect } = start({}, storage);
    const peer = connect();
    await go(peer);
    const many = new MessageWriter();
    for (let n = 0; n < 300; n++) many.u8s(request(nbd.NBD_CMD_READ, 0, 16));
    await Promise.all([peer.stream.write(many.bytes()), peer.reader.skip(300 * 32)]);
    expect(most).toBe(MAX_IN_FLIGHT);
  });

  it('ends a write that the client began before it left', async () => {
    let release: (() => void) | undefined;
    let written = 0;
    const storage: Storage = {
      size: 512,
      read: () => Promise.resolve(),
      async write() {
        await new Promise<void>((resolve) => (release = resolve));
        written++;
      },
    };
    const { server, connect } = start({}, storage);
    const peer = connect();
    await go(peer);
    await peer.stream.write(
      new MessageWriter()
        .u8s(request(nbd.NBD_CMD_WRITE, 0, 4))
        .u32(0)
        .bytes(),
    );
    peer.stream.close();
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    release();
    await peer.end;
    expect([written, server.connections]).toEqual([1, 0]);
  });
});

describe('close', () => {
  it('answers what is at work, refuses what comes later, flushes', async () => {
    const log: string[] = [];
    let release: (() => void) | undefined;
    const storage: Storage = {
      size: 512,
      read: () => new Promise<void>((resolve) => (release = resolve)),
      write: () => Promise.resolve(),
      flush: () => Promise.resolve(void log.push('flush')),
    };
    const { server, connect } = start({}, storage);
    const peer = connect();
    await go(peer);
    await peer.stream.write(request(nbd.NBD_CMD_READ, 0, 4));
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    const closed = server.close();
    await peer.stream.write(request(nbd.NBD_CMD_READ, 0, 4));
    expect(await simpleErrno(peer)).toBe(nbd.NBD_ESHUTDOWN);
    release();
    expect(await simpleErrno(peer)).toBe(0);
    await closed;
    expect(log).toEqual(['flush']);
    expect(server.connections).toBe(0);
  });

  it('does not wait for ever for a storage that hangs', async () => {
    const storage: Storage = { size: 512, read: () => new Promise(() => {}) };
    const { server, connect } = start({ drainMs: 20 }, storage);
    const peer = connect();
    await go(peer);
    await peer.stream.write(request(nbd.NBD_CMD_READ, 0, 4));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await server.close();
  });
});
