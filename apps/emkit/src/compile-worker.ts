/** The second thread of `-accel tcg,compile-thread=on`: answers the machine's jobs (see compile-thread.ts). */
import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { serveRegionCompiler } from '@emkit/pc';
import type { WorkerData } from './compile-thread.ts';
import { BACKGROUND_PRIORITY } from '@emkit/launch-node';

// Woken by a job, it must not take the place of the thread that has posted it. Elsewhere it would be the priority of the whole program.
if (process.platform === 'linux') setPriority(BACKGROUND_PRIORITY);

const { setup, port } = workerData as WorkerData;
const answer = serveRegionCompiler(setup);
port.on('message', (message: unknown) => port.postMessage(answer(message)));
