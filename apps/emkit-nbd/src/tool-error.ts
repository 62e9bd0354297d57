/** What a user did or met that ends the command: QEMU's line first, then the remedy. Never a stack trace. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  /** Indented below the message; undefined: nothing to add. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string | undefined, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
  }
}

/** A wrong command line: QEMU's second line sends to the help. */
export class UsageError extends ToolError {}
