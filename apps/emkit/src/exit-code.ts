/** From the way a run ended to the exit code of the process (and a last line for a person at a terminal). */
import { constants } from 'node:os';
import type { ExitReason } from './machine-port.ts';

export const EXIT_ERROR = 1;
/** A bug of ours. */
export const EXIT_BUG = 70;

export function exitCode(reason: ExitReason): number {
  switch (reason.kind) {
    case 'shutdown':
    case 'reset':
    case 'quit':
      return 0;
    case 'debug-exit':
      return reason.code & 0xff;
    case 'guest-error':
      return EXIT_ERROR;
  }
}

/** 128 + n for a signal's name. */
export const signalExitCode = (signal: NodeJS.Signals): number => 128 + (constants.signals[signal] ?? 0);

/** The line on stderr; undefined = say nothing. */
export function exitLine(reason: ExitReason): string | undefined {
  switch (reason.kind) {
    case 'shutdown':
      return 'the guest has powered off';
    case 'reset':
      return 'the guest reset the machine (-no-reboot)';
    case 'quit':
      return 'stopped by the user';
    case 'debug-exit':
      return undefined;
    case 'guest-error':
      return reason.message;
  }
}
