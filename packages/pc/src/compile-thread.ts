/**
 * Regions compiled in another thread: what that must know first, and what answers its messages there. Threads are the embedder's:
 * a worker of Node or of a browser (README).
 */
import { serveCompiler } from '@emkit/accel-tcg';
import type { CompileChannel, CompiledBatch } from '@emkit/accel-tcg';
import { chooseOptimisations } from '@emkit/ir';
import type { Optimisations } from '@emkit/ir';
import { X86Frontend } from '@emkit/x86';
import type { CpuFeatures } from '@emkit/x86';

/** Plain data, to be sent to the thread before all else. */
export interface CompilerSetup {
  readonly features: CpuFeatures;
  readonly optimisations: Optimisations;
}

/** Has a thread that runs `serveRegionCompiler` with this setup, and gives the way to it. Called once for each machine. */
export type CompileThread = (setup: CompilerSetup) => CompileChannel;

/** In the thread: returns what answers each of the machine's messages. */
export function serveRegionCompiler({ features, optimisations }: CompilerSetup): (message: unknown) => CompiledBatch {
  return serveCompiler(new X86Frontend(features), chooseOptimisations(optimisations));
}
