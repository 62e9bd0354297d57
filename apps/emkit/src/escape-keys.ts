/**
 * The escape keys of a multiplexed console, QEMU's: C-a and one letter. Bytes in, bytes for the guest and commands out.
 *
 * C-a x quit, h help, b break, s save disks (there are none), c monitor (there is none), t timestamps, z suspend, C-a C-a sends one C-a.
 * An unknown letter is swallowed, as in QEMU. The escape character may be another control character (-echr).
 */
export type EscapeCommand = 'quit' | 'help' | 'break' | 'save' | 'monitor' | 'timestamps' | 'suspend';

const COMMANDS: Readonly<Record<string, EscapeCommand>> = {
  x: 'quit',
  h: 'help',
  '?': 'help',
  b: 'break',
  s: 'save',
  c: 'monitor',
  t: 'timestamps',
  z: 'suspend',
};

export interface EscapeKeys {
  /** Gives what is for the guest; runs `onCommand` for each command in order, after the bytes that were typed before it. */
  feed(bytes: Uint8Array, toGuest: (bytes: Uint8Array) => void, onCommand: (command: EscapeCommand) => void): void;
}

export function createEscapeKeys(escape: number): EscapeKeys {
  let pending = false;
  return {
    feed(bytes, toGuest, onCommand) {
      let start = 0;
      for (let i = 0; i < bytes.length; i++) {
        const b = bytes[i]!;
        if (pending) {
          pending = false;
          // The escape itself stays in the run: it is sent once.
          if (b === escape) start = i;
          else {
            start = i + 1;
            const command = COMMANDS[String.fromCharCode(b)];
            if (command !== undefined) onCommand(command);
          }
        } else if (b === escape) {
          if (i > start) toGuest(bytes.subarray(start, i));
          pending = true;
          start = i + 1;
        }
      }
      if (!pending && start < bytes.length) toGuest(bytes.subarray(start));
    },
  };
}

/** `Ctrl-A` for 1. */
export const escapeName = (escape: number): string => `Ctrl-${String.fromCharCode(64 + escape)}`;
const short = (escape: number): string => `C-${String.fromCharCode(96 + escape)}`;

export function escapeHelp(escape: number): string {
  const c = short(escape);
  return `${c} h this help   ${c} x quit   ${c} b break (sysrq)   ${c} t timestamps   ${c} z suspend emkit   ${c} ${c} sends ${c}`;
}
