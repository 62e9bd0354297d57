/**
 * The one owner of the terminal: raw mode on and off, and the screen given back as it was found.
 *
 * Raw mode is entered late (when the machine starts) and left on every way out that can be caught: normal exit, exception,
 * SIGINT, SIGTERM, SIGHUP, SIGQUIT (signal-exit). Guests leave modes behind, so that one reset string is written on leaving, but
 * only if guest bytes were written to that terminal. Invariant: `leave` may be called any number of times, and restores once.
 */
import { writeSync } from 'node:fs';
import { onExit } from 'signal-exit';

/**
 * Margins reset inside save/restore cursor, SGR 0, wrap on, cursor on, mouse modes and bracketed paste off, alternate screen off
 * (ECMA-48; xterm control sequences, DECSTBM, DECAWM, DECTCEM, DECSET 1000-1006, 2004, 1049).
 */
export const RESET_SEQUENCE =
  '\x1b7\x1b[r\x1b8\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l';

export interface InputTerminal {
  readonly isTTY?: boolean;
  setRawMode?(mode: boolean): unknown;
}

export interface TerminalGuard {
  enter(): void;
  /** Guest bytes have been written to stdout. */
  noteGuestOutput(): void;
  leave(): void;
  readonly isRaw: boolean;
}

export function createTerminalGuard(
  input: InputTerminal,
  outputIsTerminal: boolean,
  write: (text: string) => void = (text) => writeSync(1, text),
): TerminalGuard {
  let raw = false;
  let dirty = false;
  let unhook: (() => void) | undefined;
  const guard: TerminalGuard = {
    enter() {
      if (raw || input.isTTY !== true || input.setRawMode === undefined) return;
      input.setRawMode(true);
      raw = true;
      unhook ??= onExit(() => guard.leave());
    },
    noteGuestOutput() {
      if (dirty) return;
      dirty = true;
      unhook ??= onExit(() => guard.leave());
    },
    leave() {
      if (raw) {
        raw = false;
        try {
          input.setRawMode?.(false);
        } catch {
          // The terminal is gone (SIGHUP): nothing is left to restore.
        }
      }
      if (dirty && outputIsTerminal) {
        dirty = false;
        try {
          write(RESET_SEQUENCE);
        } catch {
          // As above.
        }
      }
      unhook?.();
      unhook = undefined;
    },
    get isRaw() {
      return raw;
    },
  };
  return guard;
}
