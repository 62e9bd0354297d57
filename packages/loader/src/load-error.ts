/**
 * The one error type of this package: a kernel, module or command line that cannot be placed.
 *
 * `code` is for programs, `message` is one line for people (QEMU's words where QEMU has some), `hint` is the next step
 * where one is known. Recognise it by `kind`, not by `instanceof`: two copies of a package in one tree are normal.
 */
export type LoadErrorCode =
  | 'not-a-kernel'
  | 'truncated'
  | 'bad-header'
  | 'wrong-class'
  | 'wrong-machine'
  | 'unsupported'
  | 'wraps'
  | 'overlap'
  | 'outside-ram'
  | 'initrd-too-large'
  | 'command-line-too-long'
  | 'too-many';

/** The next step where the place of the error knows no better one. */
const HINTS: Partial<Record<LoadErrorCode, string>> = {
  truncated: 'the file is not whole: copy or fetch it again',
  'wrong-class': 'give a 32-bit x86 kernel',
  'wrong-machine': 'give a 32-bit x86 kernel',
};

export class LoadError extends Error {
  readonly kind = 'load' as const;
  readonly code: LoadErrorCode;
  readonly hint: string | undefined;

  constructor(code: LoadErrorCode, message: string, hint?: string) {
    super(message);
    this.name = 'LoadError';
    this.code = code;
    this.hint = hint ?? HINTS[code];
  }
}
