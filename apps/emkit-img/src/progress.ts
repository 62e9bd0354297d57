/**
 * Progress: with `-p` QEMU's `    (12.34/100%)` on stdout, rewritten in place; without it one rewriting line on stderr once a
 * command has taken a second, if that is a terminal. Silent otherwise.
 */
export interface ProgressOutput {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly isTerminal: boolean;
  readonly now: () => number;
}

/** Smallest step that is printed, and the shortest time between two prints. */
const MIN_STEP = 0.01;
const MIN_MS = 50;
const QUIET_MS = 1000;

export interface Progress {
  /** Part done, 0 to 1; never goes back. */
  update(done: number): void;
  /** Ends the line. `completed`: shows 100 %. */
  end(completed: boolean): void;
  readonly percent: string;
}

export function createProgress(mode: 'shown' | 'auto' | 'none', output: ProgressOutput): Progress {
  const started = output.now();
  let last = 0;
  let looked = -1;
  let printedAt = -Infinity;
  let isLineOpen = false;
  const write = mode === 'shown' ? output.stdout : output.stderr;
  const print = (): void => {
    isLineOpen = true;
    write(`    (${(last * 100).toFixed(2)}/100%)\r`);
    printedAt = output.now();
  };
  if (mode === 'shown') print();
  return {
    update(done) {
      last = Math.min(1, Math.max(last, done));
      if (mode === 'none' || last - looked < MIN_STEP) return;
      looked = last;
      const now = output.now();
      if (now - printedAt < MIN_MS) return;
      if (mode === 'auto' && (now - started < QUIET_MS || !output.isTerminal)) return;
      print();
    },
    end(completed) {
      if (mode === 'shown') {
        if (completed) last = 1;
        print();
        write('\n');
      } else if (isLineOpen) write(`${' '.repeat(20)}\r`);
      isLineOpen = false;
    },
    get percent() {
      return (last * 100).toFixed(2);
    },
  };
}
