/** Runs the command in this process with captured streams and a fake machine. */
import { PassThrough } from 'node:stream';
import { main } from '../src/cli.ts';
import type { ExitReason, PcOptions } from '../src/machine-port.ts';
import { createFakeModule } from './fake-machine.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly made: readonly PcOptions[];
}

export async function runCli(
  args: readonly string[],
  reason: ExitReason = { kind: 'shutdown' },
  tty = false,
  program = 'emkit',
): Promise<Outcome> {
  const collect = () => {
    const text: string[] = [];
    const stream = { isTTY: tty, columns: 80, write: (s: string) => text.push(s) > 0 };
    return { stream: stream as unknown as NodeJS.WriteStream, text };
  };
  const out = collect();
  const err = collect();
  const module = createFakeModule(() => reason);
  const code = await main(args, {
    program,
    version: '0.0.0-test',
    stdin: new PassThrough() as unknown as NodeJS.ReadStream,
    stdout: out.stream,
    stderr: err.stream,
    load: () => Promise.resolve(module),
    code: import.meta.filename,
    probe: () => Promise.resolve('linux'),
  });
  return { code, out: out.text.join(''), err: err.text.join(''), made: module.made };
}
