/**
 * `-accel tcg,compile-thread=on|off`: the machine's way to a worker that compiles hot code (compile-worker.ts). The worker is started with
 * the first job, and ends with the run; results are fetched between slices, so nothing waits for it.
 */
import { dirname, extname, join } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import type { CompilerSetup, CompileThread } from '@emkit/pc';
import type { MachineConfig } from './machine-config.ts';
import { OptionError } from './option-error.ts';

export interface WorkerData {
  readonly setup: CompilerSetup;
  readonly port: MessagePort;
}

const WORKER = 'compile-worker.cjs';

/** Undefined: the processor's thread compiles. `code`: the file that runs; `atEnd` takes what ends the thread. */
export function compileThread(
  config: MachineConfig,
  code: string,
  atEnd: (close: () => void) => void,
): CompileThread | undefined {
  if (!config.compileThread) return undefined;
  if (extname(code) !== '.cjs')
    throw new OptionError('compile-thread=on: only the built command has one', 'npm run build, then bin/emkit.cjs');
  return (setup) => {
    const { port1, port2 } = new MessageChannel();
    let worker: Worker | undefined;
    let failure: Error | undefined;
    const start = (): void => {
      const workerData: WorkerData = { setup, port: port2 };
      worker = new Worker(join(dirname(code), WORKER), { workerData, transferList: [port2], name: 'compile' });
      worker.on('error', (error) => (failure = error));
      worker.unref();
      atEnd(() => void worker?.terminate());
    };
    return {
      post: (message) => {
        if (worker === undefined) start();
        port1.postMessage(message);
      },
      receive: () => {
        if (failure !== undefined) throw failure;
        return (receiveMessageOnPort(port1) as { message: unknown } | undefined)?.message;
      },
    };
  };
}
