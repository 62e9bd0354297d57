/**
 * `createPc`: from options to a machine that runs. The embedder's door; what QMP, a command line or a test would do are
 * methods here.
 */
import type { AioContext } from '@emkit/aio';
import type { MachineExit } from '@emkit/machine';
import { HELPER_NAMES } from '@emkit/x86';
import { TcgProfile } from '@emkit/accel-tcg';
import { buildBoard, PM_BASE } from './board.ts';
import type { Board } from './board.ts';
import { directBoot } from './boot.ts';
import { attachDebugger } from './gdb-target.ts';
import type { DebuggerConnection, DebuggerSession } from './gdb-target.ts';
import { addUserDevices } from './user-devices.ts';
import { createStackWalker } from './guest-stack.ts';
import { loadTranslations, saveTranslations } from './kept-translations.ts';
import { createTrace } from './log.ts';
import { PcError } from './options.ts';
import type { PcOptions } from './options.ts';
import { profileReport } from './profile-report.ts';
import type { ProfileReport } from './profile-report.ts';

export type PcExit =
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'reset' }
  /** isa-debug-exit: `code` is (value << 1) | 1 already. */
  | { readonly kind: 'debug-exit'; readonly code: number }
  | { readonly kind: 'quit' }
  | { readonly kind: 'guest-error'; readonly message: string };

export interface Pc {
  /** Runs until the guest or `quit` ends it. Called once. */
  run(): Promise<PcExit>;
  pause(): void;
  resume(): void;
  reset(): void;
  quit(): void;
  readonly status: 'running' | 'paused' | 'ended';
  /** A debugger has connected; the machine pauses. At most one at a time. */
  readonly attachDebugger: (connection: DebuggerConnection) => void;
  /** What the processor has done so far; undefined unless the option `profile` was given. */
  profile(): ProfileReport | undefined;
  /** The parts, for embedders that know them. */
  readonly board: Board;
}

/** Throws PcError for options, kernels and devices it refuses. */
export async function createPc(options: PcOptions, aio?: AioContext): Promise<Pc> {
  if (options.kernel === undefined && options.bios === undefined)
    throw new PcError('no boot device: neither a kernel nor firmware is given', '-kernel FILE, or -bios FILE');
  const made: { board?: Board } = {}; // the log asks for it before it is whole
  const trace = createTrace(options.log, () => made.board);
  const profile =
    options.profile === undefined
      ? undefined
      : new TcgProfile({ callers: createStackWalker(() => made.board), helperName: (id) => HELPER_NAMES[id] });
  const translations = await loadTranslations(options);
  const board = (made.board = buildBoard(options, aio, { trace, profile, translations }));
  if (board.tcg.kept.refused) options.warn?.('translations of earlier runs are damaged, and not used');
  addUserDevices(board, options);
  const { machine } = board;
  machine.onReset = () => {
    if (options.kernel !== undefined && options.bios === undefined)
      directBoot({
        options,
        ram: board.ram,
        layout: board.layout,
        cpu: board.cpu,
        host: board.host,
        piix3: board.piix3,
        pmBase: PM_BASE,
        serialPorts: board.serialPorts,
      });
  };
  machine.reset();
  if (options.startPaused !== true) machine.resume();
  let debuggerSession: DebuggerSession | undefined;
  return {
    run: async () => {
      const exit = await machine.run();
      debuggerSession?.ended(exit.kind === 'debug-exit' ? exit.code : 0);
      await saveTranslations(options, translations?.key, board.tcg);
      return translate(exit);
    },
    attachDebugger: (connection) => {
      debuggerSession = attachDebugger(board, connection);
    },
    pause: () => machine.pause(),
    resume: () => machine.resume(),
    reset: () => machine.requestReset('monitor'),
    quit: () => machine.quit(),
    profile: () => (profile === undefined ? undefined : profileReport(profile.data(), options.profile!.symbols)),
    get status() {
      return machine.status;
    },
    board,
  };
}

function translate(exit: MachineExit): PcExit {
  return exit.kind === 'shutdown' ? { kind: 'shutdown' } : exit;
}
