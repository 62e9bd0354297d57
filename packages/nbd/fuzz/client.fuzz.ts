/**
 * What a server may send, mutated: the client gives data or a BlockError for every call, in bounded time, and never writes outside of the
 * buffer that it was given.
 */
import { connectNbd, listNbdExports, streamPair, type NbdStorage } from '@emkit/nbd';
import { chunk, counted, optionReply, simple, text, u16, u32, u64 } from './messages.ts';
import { mutated, Random } from './random.ts';

const SIZE = 1 << 20;
const GUARD = 0xa5;

function handshake(random: Random): number[] {
  const info = (...body: number[]): number[] => optionReply(7, 3, body);
  const bytes = [...text('NBDMAGICIHAVEOPT'), ...u16(random.chance(95) ? 3 : random.int(4))];
  bytes.push(...(random.chance(80) ? optionReply(8, 1) : optionReply(8, 0x80000001)));
  if (random.chance(80)) bytes.push(...optionReply(10, 4, [...u32(random.int(3)), ...text('base:allocation')]));
  bytes.push(...optionReply(10, 1));
  if (random.chance(50))
    bytes.push(...info(...u16(3), ...u32(random.pick([1, 1, 512, 0, 3])), ...u32(4096), ...u32(1 << random.int(31))));
  if (random.chance(30)) bytes.push(...info(...u16(random.pick([1, 2, 9])), ...text('name')));
  bytes.push(
    ...info(
      ...u16(0),
      ...u64(random.chance(90) ? SIZE : random.edge() * 2 ** 21),
      ...u16(random.chance(90) ? 0xced : random.edge()),
    ),
  );
  bytes.push(
    ...(random.chance(95) ? optionReply(7, 1) : optionReply(7, 0x80000000 + random.int(10), text('no\u001b[0m'))),
  );
  return bytes;
}

function replies(random: Random): number[] {
  const bytes: number[] = [];
  for (let cookie = 1; cookie < 12; cookie++) {
    const id = random.chance(95) ? cookie : random.edge();
    const at = random.chance(80) ? (cookie - 1) * 1000 : random.edge();
    const length = random.chance(80) ? 100 : random.int(200);
    const parts = [
      () => chunk(id, 1, 1, [...u64(at), ...random.bytes(length)]),
      () => [...chunk(id, 0, 1, [...u64(at), ...random.bytes(40)]), ...chunk(id, 1, 2, [...u64(at + 40), ...u32(60)])],
      () => chunk(id, 1, 0, []),
      () => chunk(id, 1, 5, [...u32(random.int(3)), ...u32(random.edge()), ...u32(random.int(4))]),
      () => chunk(id, random.int(2), 0x8001, [...u32(random.edge()), ...u16(3), ...text('bad')]),
      () => chunk(id, 1, 0x8002, [...u32(5), ...u16(0), ...u64(at)]),
      () => simple(id, random.pick([0, 5, 28, 108, 9999]), [...random.bytes(random.chance(50) ? 100 : 0)]),
    ];
    bytes.push(...random.pick(parts)());
  }
  return bytes;
}

async function use(client: NbdStorage, random: Random, problems: string[]): Promise<void> {
  const guarded = async (call: () => Promise<unknown> | undefined): Promise<void> => {
    try {
      await call();
    } catch (error) {
      if ((error as Error).name !== 'BlockError') problems.push(`${String(error)}\n${(error as Error).stack}`);
    }
  };
  const calls: Promise<void>[] = [];
  for (let n = 0; n < 10; n++) {
    const whole = new Uint8Array(300).fill(GUARD);
    const buffer = whole.subarray(100, 200);
    const kind = random.int(6);
    if (kind === 0) calls.push(guarded(() => client.write?.(n * 1000, new Uint8Array(100))));
    else if (kind === 1) calls.push(guarded(() => client.extent?.(n * 1000, 100)));
    else if (kind === 2) calls.push(guarded(() => client.writeZeroes?.(n * 1000, 100)));
    else
      calls.push(
        guarded(() => client.read(n * 1000, buffer)).then(() => {
          if (whole.subarray(0, 100).some((b) => b !== GUARD) || whole.subarray(200).some((b) => b !== GUARD))
            problems.push('bytes outside of the buffer');
        }),
      );
  }
  await Promise.all(calls);
  await guarded(() => client.close());
}

async function run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
  const findings: string[] = [];
  for (let n = 0; n < iterations; n++) {
    const input = seed * 1_000_003 + n;
    const random = new Random(input);
    const problems: string[] = [];
    const [near, far] = streamPair();
    const shake = Uint8Array.from(handshake(random));
    const rest = Uint8Array.from(replies(random));
    const isList = random.chance(10);
    const listed = [
      ...text('NBDMAGICIHAVEOPT'),
      ...u16(3),
      ...optionReply(8, 1),
      ...optionReply(3, 2, counted('a')),
      ...optionReply(3, 1),
    ];
    const first = isList ? Uint8Array.from(listed) : shake;
    const script = [
      random.chance(60) ? first : mutated(random, first),
      random.chance(30) ? rest : mutated(random, rest),
    ];
    const serving = (async () => {
      try {
        await far.write(script[0] as Uint8Array);
        // replies come when there are requests
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        await far.write(script[1] as Uint8Array);
        await new Promise((resolve) => setImmediate(resolve));
      } catch {
        // the client has had enough
      }
      far.close();
    })();
    try {
      if (isList) await listNbdExports(near);
      else await use(await connectNbd(near), random, problems);
    } catch (error) {
      if ((error as Error).name !== 'BlockError') problems.push(`${String(error)}\n${(error as Error).stack}`);
    }
    near.close();
    await serving;
    for (const problem of problems) findings.push(`input ${input}: ${problem}`);
  }
  return { inputs: iterations, findings };
}

export const target = { name: 'nbd-client', run };
