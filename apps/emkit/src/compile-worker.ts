/** The second thread of `-accel tcg,compile-thread=on`: answers the machine's jobs (see compile-thread.ts). */
import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { serveRegionCompiler } from '@emkit/pc';
import type { WorkerData } from './compile-thread.ts';

/** Below the processor's thread: woken by a job, it must not take the place of the one that has posted it. */
const PRIORITY = 10;

// of this thread; elsewhere it would be that of the whole program
if (process.platform === 'linux') setPriority(PRIORITY);

const { setup, port } = workerData as WorkerData;
const answer = serveRegionCompiler(setup);
port.on('message', (message: unknown) => port.postMessage(answer(message)));
