/** The process as the command sees it; tests give another. */
export interface Tool {
  /** The name it was called by. */
  readonly program: string;
  print(text: string): void;
  /** `PROGRAM: text` on stderr, the hint indented below. */
  say(text: string, hint?: string | undefined): void;
  /** Somebody is looking: say where the server is. */
  readonly isTerminal: boolean;
  /** Aborted by the first signal that asks for the end. */
  readonly signal: AbortSignal;
}
