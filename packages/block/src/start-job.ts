/** One door to all jobs. */
import type { Job, JobOptions, JobRequest } from './job.ts';
import { prepareBackup } from './backup-job.ts';
import { prepareCommit } from './commit-job.ts';
import type { PreparedJob } from './job-parts.ts';
import { RunningJob } from './job-run.ts';
import { prepareMirror } from './mirror-job.ts';
import { prepareStream } from './stream-job.ts';

/** Attaches to the nodes and starts; throws `locked` or `invalid-option` with nothing changed when it cannot. */
export function startJob(request: JobRequest, options: JobOptions = {}): Job {
  const { body, cleanUp } = prepare(request);
  const id = options.id ?? `${request.type}-${request.node.name}`;
  return new RunningJob(id, request.type, body, cleanUp, options);
}

function prepare(request: JobRequest): PreparedJob {
  switch (request.type) {
    case 'commit':
      return prepareCommit(request);
    case 'stream':
      return prepareStream(request);
    case 'mirror':
      return prepareMirror(request);
    case 'backup':
      return prepareBackup(request);
  }
}
