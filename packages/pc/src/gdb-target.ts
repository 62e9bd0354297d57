/**
 * A board under gdb: registers, memory, break- and watchpoints, run control, over the connection that the embedder has
 * accepted. Addresses are linear; in real mode `$eip` is an offset in CS, as with other emulators.
 *
 * While the machine is stopped its clocks stand still; a step takes a pending interrupt first, as the processor would.
 */
import { GdbStub } from '@emkit/gdbstub';
import type { GdbTarget, StopReason } from '@emkit/gdbstub';
import { createPageInfo, PAGE_NONE, PAGE_RAM, PAGE_ROM } from '@emkit/memory';
import type { Board } from './board.ts';
import { formatCpu } from './format-cpu.ts';
import { F_LM, HELD_BY_DEBUGGER } from '@emkit/x86';
import { targetDescription } from './gdb-description.ts';
import { GDB_AMD64, GDB_I386 } from './gdb-registers.ts';
import type { GdbRegisterSet } from './gdb-registers.ts';

/** One debugger's byte stream. `onData` and `onClose` are set here. */
export interface DebuggerConnection {
  send(bytes: Uint8Array): void;
  onData: ((bytes: Uint8Array) => void) | undefined;
  onClose: (() => void) | undefined;
  close(): void;
}

export interface DebuggerSession {
  /** The machine has ended: tell gdb. */
  ended(exitCode: number): void;
}

type Watch = Parameters<GdbTarget['setWatchpoints']>[0][number];

/** Pauses the machine and serves the debugger until it goes. One at a time. */
export function attachDebugger(board: Board, connection: DebuggerConnection): DebuggerSession {
  board.machine.pause();
  const target = new BoardTarget(board, (reason) => stub.stopped(reason));
  const stub = new GdbStub(target, (bytes) => connection.send(bytes));
  board.machine.onDebug = () => target.onDebug();
  connection.onData = (bytes) => stub.receive(bytes);
  connection.onClose = () => stub.close();
  return {
    ended: (exitCode) => {
      stub.stopped({ kind: 'exited', code: exitCode });
      connection.close();
    },
  };
}

class BoardTarget implements GdbTarget {
  readonly registerCount: number;
  readonly #registers: GdbRegisterSet;
  readonly #board: Board;
  readonly #stopped: (reason: StopReason) => void;
  readonly #page = createPageInfo();
  readonly #u8: Uint8Array;
  #watches: readonly Watch[] = [];

  constructor(board: Board, stopped: (reason: StopReason) => void) {
    this.#board = board;
    this.#registers = (board.cpu.features.edxExt & F_LM) !== 0 ? GDB_AMD64 : GDB_I386;
    this.registerCount = this.#registers.registers.length;
    this.#u8 = new Uint8Array(board.tcg.memory.buffer);
    this.#stopped = stopped;
  }

  /** The accelerator stopped at a breakpoint or after a watched access; the machine is paused already. */
  onDebug(): void {
    this.#stopped(this.#reason('break'));
  }

  #reason(kind: 'break' | 'step'): StopReason {
    const { debug } = this.#board.tcg;
    const { hit } = debug;
    debug.hit = null;
    if (hit === null) return { kind };
    const watch = this.#watches.find(
      (w) => hit.address < w.address + w.length && w.address < hit.address + 16 && (hit.write ? w.write : w.read),
    );
    if (watch === undefined) return { kind };
    return {
      kind: 'watch',
      access: watch.read && watch.write ? 'access' : watch.read ? 'read' : 'write',
      address: watch.address,
    };
  }

  // --- registers ------------------------------------------------------------------------------------------------
  readRegister(n: number): Uint8Array | null {
    return this.#registers.registers[n]?.read(this.#board.cpu) ?? null;
  }
  writeRegister(n: number, bytes: Uint8Array): boolean {
    return this.#registers.registers[n]?.write(this.#board.cpu, bytes) ?? false;
  }

  // --- addresses -------------------------------------------------------------------------------------------------
  address(low: number, high: number, lasting: boolean): number | null {
    const { linear } = this.#board.cpu;
    return lasting ? linear.hold(low, high, HELD_BY_DEBUGGER) : linear.of(low, high);
  }
  highHalf(address: number): number {
    return this.#board.cpu.linear.high(address);
  }
  /** Without break- and watchpoints nothing lasts. */
  #releaseAddresses(): void {
    const { debug } = this.#board.tcg;
    if (!debug.active) this.#board.cpu.linear.release(HELD_BY_DEBUGGER);
  }

  // --- memory: RAM and ROM only, since reading a device changes it -------------------------------------------------
  #host(address: number, write: boolean): number {
    const physical = this.#board.cpu.debugTranslate(address);
    if (physical < 0) return -1;
    const kind = this.#board.tcg.space.lookupPage(Math.floor(physical / 4096), this.#page);
    if (kind === PAGE_NONE || (kind !== PAGE_RAM && kind !== PAGE_ROM) || (write && kind !== PAGE_RAM)) return -1;
    return this.#page.hostOffset + (physical & 4095);
  }

  readMemory(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = address + done;
      const count = Math.min(length - done, 4096 - (at & 4095));
      const host = this.#host(at, false);
      if (host < 0) return out.slice(0, done);
      out.set(this.#u8.subarray(host, host + count), done);
      done += count;
    }
    return out;
  }

  writeMemory(address: number, bytes: Uint8Array): boolean {
    const { tcg } = this.#board;
    const pieces: { host: number; from: number; count: number }[] = [];
    for (let from = 0; from < bytes.length;) {
      const at = address + from;
      const count = Math.min(bytes.length - from, 4096 - (at & 4095));
      const host = this.#host(at, true);
      if (host < 0) return false;
      pieces.push({ host, from, count });
      from += count;
    }
    for (const { host, from, count } of pieces) {
      this.#u8.set(bytes.subarray(from, from + count), host);
      tcg.ramWritten(host, count);
    }
    return true;
  }

  // --- break- and watchpoints -----------------------------------------------------------------------------------
  setBreakpoints(addresses: ReadonlySet<number>): void {
    this.#board.tcg.setBreakpoints(addresses);
    this.#releaseAddresses();
  }
  setWatchpoints(watches: readonly Watch[]): void {
    this.#watches = watches;
    this.#board.tcg.setWatches(watches);
    this.#releaseAddresses();
  }

  // --- control ----------------------------------------------------------------------------------------------------
  resume(): void {
    const { tcg, machine } = this.#board;
    tcg.debug.hit = null;
    if (tcg.debug.stopsAt(tcg.linearPc)) tcg.skipBreakpoint();
    machine.resume();
  }

  step(): void {
    const { tcg, machine } = this.#board;
    tcg.debug.hit = null;
    // a halted processor stays where it is until something wakes it
    tcg.step();
    for (const hook of machine.onSliceEnd) hook();
    this.#stopped(this.#reason('step'));
  }

  interrupt(): void {
    this.#board.machine.pause();
    this.#stopped({ kind: 'interrupt' });
  }

  detach(): void {
    const { machine, tcg } = this.#board;
    machine.onDebug = undefined;
    tcg.setBreakpoints([]);
    tcg.setWatches([]);
    machine.resume();
  }
  kill(): void {
    this.#board.machine.quit();
  }

  description(annex: string): string | undefined {
    return annex === 'target.xml' ? targetDescription(this.#registers) : undefined;
  }

  monitor(command: string): string {
    const { machine, cpu } = this.#board;
    switch (command.trim()) {
      case 'info registers':
        return formatCpu(cpu);
      case 'info qtree':
        return machine.formatQtree();
      case 'info status':
        return `VM status: ${machine.status}\n`;
      case 'system_reset':
        machine.requestReset('monitor');
        return 'reset when the machine runs again\n';
      case 'quit':
        machine.quit();
        return '';
      default:
        return 'known: info registers, info qtree, info status, system_reset, quit\n';
    }
  }
}
