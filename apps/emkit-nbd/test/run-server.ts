/** The command, or qemu-nbd, as a process that listens on a UNIX socket. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const TSX = new URL('../../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
export const COMMAND = ['--conditions=@emkit/source', '--import', TSX, MAIN] as const;

export interface Server {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  error(): string;
  output(): string;
  stop(): Promise<number | null>;
}

export function start(program: 'emkit-nbd' | 'qemu-nbd', args: readonly string[]): Server {
  const child =
    program === 'qemu-nbd'
      ? spawn('qemu-nbd', args, { stdio: ['ignore', 'pipe', 'pipe'] })
      : spawn(process.execPath, [...COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let error = '';
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code);
    }),
  );
  return {
    child,
    exit,
    error: () => error,
    output: () => output,
    stop() {
      child.kill('SIGTERM');
      return exit;
    },
  };
}

/** Waits for the socket; rejects with what the server says when it ends before. */
export async function listening(server: Server, socket: string): Promise<Server> {
  for (let n = 0; n < 1000; n++) {
    if (existsSync(socket)) return server;
    if (server.child.exitCode !== null) throw new Error(`the server has ended: ${server.error()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no socket after 20 s');
}
