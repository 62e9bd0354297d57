/**
 * A user's mistake, as it is shown: QEMU's line first, our remedy below, exit code 1. Never printed with a stack trace.
 */
export class OptionError extends Error {
  readonly kind = 'option' as const;
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.name = 'OptionError';
    this.remedy = remedy;
  }
}

export function isOptionError(error: unknown): error is OptionError {
  return error instanceof Error && (error as { kind?: unknown }).kind === 'option';
}

/** The text for stderr: `PROGRAM: message`, each line of the remedy indented by two. */
export function formatError(program: string, message: string, remedy: string | undefined): string {
  const below =
    remedy === undefined
      ? ''
      : remedy
          .split('\n')
          .map((line) => `  ${line}\n`)
          .join('');
  return `${program}: ${message}\n${below}`;
}
