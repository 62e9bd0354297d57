/** What a subcommand may use of the program around it. */
import type { AbortSignal } from '@emkit/storage';
import type { Progress } from './progress.ts';

export interface Tool {
  /** The name that it was called by: stands before each message. */
  readonly program: string;
  /** Data, for a pipe. */
  print(text: string): void;
  /** A message: `PROG: text`, the hint indented below. */
  say(text: string, hint?: string): void;
  /** As it is, without the name before it. */
  note(text: string): void;
  /** Set at Ctrl-C. */
  readonly signal: AbortSignal;
  /** `shown`: asked for with -p; `auto`: if it takes long and someone looks; `none`: -q. */
  progress(mode: 'shown' | 'auto' | 'none'): Progress;
  /** ms, monotonic. */
  now(): number;
}
