/** One door to all jobs. */
import { BlockError } from '@emkit/storage';
import type { Job, JobOptions, JobRequest } from './job.ts';

/** Attaches to the nodes and starts; throws `locked` or `invalid-option` with nothing changed when it cannot. */
export function startJob(_request: JobRequest, _options: JobOptions = {}): Job {
  throw new BlockError('unsupported-feature', 'not written yet');
}
