/**
 * QEMU's side: its TCG with one instruction in a block and the log of its processor, and before that, over its gdb stub, the
 * stop at the entry, where its memory is read. QEMU documentation, "Invocation": -d, -dfilter, -gdb; "Remote Serial Protocol" of the gdb manual.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CpuLog } from './cpu-state.ts';
import type { CpuState } from './cpu-state.ts';

export interface ReferenceOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** START+SIZE, as -dfilter has it: where the log is on. */
  readonly ranges: readonly string[];
}

const CONNECT_TRIES = 100;

export class Reference {
  readonly #child: ChildProcessByStdio<null, null, Readable>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'emkit-lock-step-'));
  #failed: Error | undefined;

  constructor(options: ReferenceOptions) {
    const args = [
      ...options.args,
      ...['-display', 'none', '-serial', 'none', '-monitor', 'none', '-no-reboot', '-S'],
      ...['-gdb', `unix:${this.#socket},server=on,wait=off`],
      ...['-dfilter', options.ranges.join(',')],
    ];
    this.#child = spawn(options.program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.once('error', (error) => (this.#failed = error));
  }
  get #socket(): string {
    return join(this.#folder, 'gdb');
  }

  /** Runs to the entry; gives the RAM as it is there. The machine goes on with `states`. */
  async memoryAt(entry: number, bytes: number): Promise<Uint8Array> {
    const gdb = new GdbClient(await this.#connect());
    const at = entry.toString(16);
    await gdb.ask('?');
    await gdb.ask(`Z1,${at},1`);
    await gdb.ask('c');
    await gdb.ask(`z1,${at},1`);
    const file = join(this.#folder, 'memory');
    // one instruction in a block only now, since the firmware takes long enough at full speed
    for (const command of [`pmemsave 0 ${bytes} "${file}"`, 'singlestep on', 'log nochain,cpu'])
      await gdb.ask(`qRcmd,${Buffer.from(command).toString('hex')}`);
    await gdb.ask('D');
    gdb.close();
    return readFileSync(file);
  }
  async #connect(): Promise<Socket> {
    for (let n = 0; n < CONNECT_TRIES; n++) {
      if (this.#failed !== undefined) throw this.#failed;
      const socket = createConnection(this.#socket);
      const ready = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (ready) return socket;
      await sleep(100);
    }
    throw new Error('QEMU does not answer on its gdb socket');
  }

  /** The processor before each instruction in the ranges. */
  async *states(): AsyncGenerator<CpuState> {
    const log = new CpuLog();
    for await (const chunk of this.#child.stderr) yield* log.push(String(chunk));
  }

  end(): void {
    this.#child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Just enough of the protocol: a packet and its reply. */
class GdbClient {
  readonly #socket: Socket;
  #received = '';
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }
  async ask(payload: string): Promise<string> {
    const sum = [...payload].reduce((n, c) => (n + c.charCodeAt(0)) & 0xff, 0);
    this.#socket.write(`$${payload}#${sum.toString(16).padStart(2, '0')}`);
    for (;;) {
      const reply = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#received);
      if (reply !== null) {
        this.#received = this.#received.slice(reply.index + reply[0].length);
        this.#socket.write('+');
        // text of a monitor command comes before the reply
        if (!/^O[0-9a-f]/.test(reply[1]!)) return reply[1]!;
        continue;
      }
      if (this.#socket.destroyed) throw new Error(`QEMU ended, asked for ${payload}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
  close(): void {
    this.#socket.end();
  }
}
