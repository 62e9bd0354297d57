/** What a user did or met that ends the command: QEMU's line first, then the remedy. Never a stack trace. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  /** Indented below the message; undefined: nothing to add. */
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(message: string, options: { hint?: string | undefined; exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A wrong command line: QEMU's second line sends to the help. */
export class UsageError extends ToolError {
  constructor(message: string, hint?: string) {
    super(message, { hint });
  }
}
