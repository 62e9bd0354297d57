/** A machine that is none: echoes COM1 input in upper case, ends on orders typed at it. For tests of everything around it. */
import type { ExitReason, Pc, PcModule, PcOptions } from '../src/machine-port.ts';

export interface FakeModule extends PcModule {
  readonly made: PcOptions[];
}

/** Orders on a line of input: `off`, `reset`, `exit N`, `bug`, `flood N`. */
export function createFakeModule(script: (options: PcOptions) => ExitReason | undefined = () => undefined): FakeModule {
  const made: PcOptions[] = [];
  return {
    made,
    cpuModels: () => [
      { name: 'qemu32', description: 'QEMU Virtual CPU' },
      { name: '486', description: '' },
    ],
    cpuFeatures: () => ['fpu', 'tsc', 'sse2'],
    parseSymbols: (file) => ({ find: () => ({ name: `first of ${file.length} bytes`, offset: 0 }) }),
    createPc(options) {
      made.push(options);
      if (options.cpu === 'nosuch')
        return Promise.reject(
          Object.assign(new Error("unable to find CPU model 'nosuch'"), { kind: 'cpu', hint: 'list: emkit -cpu help' }),
        );
      return Promise.resolve(createFakePc(options, script(options)));
    },
  };
}

function createFakePc(options: PcOptions, scripted: ExitReason | undefined): Pc {
  let finish: (reason: ExitReason) => void = () => {};
  let fail: (error: Error) => void = () => {};
  let early: ExitReason | undefined = scripted;
  let line = '';
  const port = options.serial[0];
  const print = (text: string): void => port?.write(new TextEncoder().encode(text));
  const order = (words: readonly string[]): void => {
    if (words[0] === 'off') finish({ kind: 'shutdown' });
    else if (words[0] === 'reset') finish({ kind: 'reset' });
    else if (words[0] === 'exit') finish({ kind: 'debug-exit', code: (Number(words[1]) << 1) | 1 });
    else if (words[0] === 'bug') fail(new Error('planted bug'));
    else if (words[0] === 'flood') for (let i = 0; i < Number(words[1]); i++) print(`line ${i} ${'x'.repeat(70)}\r\n`);
  };
  /** Takes 16 bytes at a time, as a UART's FIFO does. */
  const pump = (): void => {
    const bytes = port?.read(16) ?? new Uint8Array(0);
    if (bytes.length === 0) return;
    for (const b of bytes) {
      if (b === 13 || b === 10) {
        order(line.split(' '));
        line = '';
        print('\r\n');
      } else {
        line += String.fromCharCode(b);
        print(String.fromCharCode(b).toUpperCase());
      }
    }
    setImmediate(pump);
  };
  return {
    status: 'running',
    run: () =>
      new Promise((resolve, reject) => {
        const alive = setInterval(() => {}, 1000);
        finish = (reason) => {
          clearInterval(alive);
          resolve(reason);
        };
        fail = (error) => {
          clearInterval(alive);
          reject(error);
        };
        if (early !== undefined) return finish(early);
        print('fake guest ready\r\n');
        if (port !== undefined) {
          port.onReadable = pump;
          port.onBreak = () => print('<break>');
          pump();
        }
      }),
    profile: () =>
      options.profile === undefined
        ? undefined
        : {
            // only what the forms below show of it is looked at
            report: { symbol: options.profile.symbols.map((s) => s.find(0)?.name).join() } as never,
            text: () => 'profile as text\n',
            collapsed: () => 'kernel;main 1\n',
            speedscope: () => ({ profiles: [] }),
          },
    pause() {},
    resume() {},
    reset() {},
    attachDebugger(connection) {
      connection.onData = (bytes) => connection.send(bytes);
    },
    quit() {
      early = { kind: 'quit' };
      finish(early);
    },
  };
}
