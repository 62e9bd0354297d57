/**
 * Runs one machine on this terminal from the first option to the exit code.
 *
 * Order: files are read and the machine is made first (all refusals happen with the terminal still as it was), then raw mode, then
 * the guest. SIGINT, SIGTERM and SIGHUP end the run in order; a second one leaves at once.
 */
import { writeSync } from 'node:fs';
import { readBootFiles } from './boot-files.ts';
import { createFileChardev, createNullChardev, createStdioChardev, type OpenChardev } from './chardev.ts';
import { escapeHelp, escapeName, type EscapeCommand } from './escape-keys.ts';
import { compileThread } from './compile-thread.ts';
import { exitCode, exitLine, signalExitCode } from './exit-code.ts';
import { listenForGdb } from './gdb-server.ts';
import { createLogSink } from './log-sink.ts';
import type { Chardev } from './chardev-option.ts';
import type { MachineConfig } from './machine-config.ts';
import type { Pc, PcModule } from './machine-port.ts';
import { OptionError } from './option-error.ts';
import { profileRequest, writeProfile } from './profile-files.ts';
import { createTerminalGuard } from './terminal-guard.ts';
import { createTimestamps } from './timestamps.ts';
import { translationCache } from './translation-cache.ts';

export interface RunEnvironment {
  readonly program: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** The file that runs. */
  readonly code: string;
  readonly load: () => Promise<PcModule>;
  readonly probe: (kernel: Uint8Array) => Promise<string | undefined>;
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const EPIPE_EXIT = 141;

/** Writes all of `bytes` to stdout; waits when the other side is slow, as a terminal does. */
function writeStdout(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      // A non-blocking pipe that is full: let its reader run for a moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

export async function runMachine(config: MachineConfig, env: RunEnvironment): Promise<number> {
  const talk = (text: string): void => void env.stderr.write(`${guard.isRaw ? text.replace(/\n/g, '\r\n') : text}`);
  const say = (text: string): void => talk(`${env.program}: ${text}\n`);
  const guard = createTerminalGuard(env.stdin, env.stdout.isTTY === true);
  const stamps = createTimestamps(() => performance.now());
  const closers: (() => void)[] = [];
  let pc: Pc | undefined;
  let failedOutput: number | undefined;

  const stop = (): void => pc?.quit();
  const output = (bytes: Uint8Array): void => {
    if (failedOutput !== undefined) return;
    guard.noteGuestOutput();
    try {
      writeStdout(stamps.apply(bytes));
    } catch (error) {
      // The reader has gone (`emkit ... | head`): end as SIGPIPE would.
      failedOutput = (error as NodeJS.ErrnoException).code === 'EPIPE' ? EPIPE_EXIT : 1;
      stop();
    }
  };
  const command = (what: EscapeCommand): void => {
    switch (what) {
      case 'quit':
        return stop();
      case 'help':
        return talk(`${escapeHelp(config.escapeKey)}\n`);
      case 'save':
        return talk('no disks, nothing to save\n');
      case 'monitor':
        return talk('there is no monitor in this version\n');
      case 'timestamps':
        stamps.on = !stamps.on;
        return;
      case 'suspend':
        return suspend();
      case 'break':
        return; // handled by the character device
    }
  };
  const suspend = (): void => {
    guard.leave();
    process.once('SIGCONT', () => guard.enter());
    process.kill(process.pid, 'SIGSTOP');
  };

  const opened = new Map<Chardev, OpenChardev>();
  let terminal: { start(): void } | undefined;
  const open = (chardev: Chardev | undefined): OpenChardev | undefined => {
    if (chardev === undefined || chardev.kind === 'none') return undefined;
    const existing = opened.get(chardev);
    if (existing !== undefined) return existing;
    let device: OpenChardev;
    if (chardev.kind === 'null') device = createNullChardev();
    else if (chardev.kind === 'file') device = createFileChardev(chardev.path, chardev.append, chardev.typed);
    else {
      const stdio = createStdioChardev({
        mux: chardev.mux,
        signal: chardev.signal,
        escapeKey: config.escapeKey,
        stdin: env.stdin,
        output,
        onCommand: command,
        onInterrupt: stop,
      });
      terminal = stdio;
      device = stdio;
    }
    opened.set(chardev, device);
    closers.push(() => device.close());
    return device;
  };

  let signalled: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signalled !== undefined || pc === undefined) {
      guard.leave();
      process.exit(signalExitCode(signal));
    }
    signalled = signal;
    stop();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  closers.push(() => SIGNALS.forEach((signal) => process.off(signal, onSignal)));

  try {
    const files = await readBootFiles(config, env.probe);
    if (files.kernel === undefined && files.bios === undefined) {
      throw new OptionError(
        'no bootable device: nothing to boot from',
        `give -kernel FILE, or try ${env.program} --demo`,
      );
    }
    const machine = await env.load();
    const serial = config.serial.map(open);
    const debugcon = open(config.debugcon);
    const devices = config.devices.map((d) => ({
      driver: d.driver,
      properties: d.properties,
      backend: open(d.chardev),
      typed: d.typed,
    }));
    const log = config.logItems.size === 0 ? undefined : createLogSink(config.logFile);
    if (log !== undefined) closers.push(() => log.close());
    pc = await machine.createPc({
      machine: config.machine,
      memorySize: config.memorySize,
      maxRamBelow4g: config.maxRamBelow4g,
      cpu: config.cpu,
      acpi: config.acpi,
      optimisations: config.optimisations,
      translations: translationCache(config, env.code),
      compileThread: compileThread(config, env.code, (close) => closers.push(close)),
      kernel: files.kernel,
      modules: files.modules,
      append: config.append ?? '',
      bios: files.bios,
      serial,
      debugcon,
      devices,
      globals: config.globals,
      rtc: config.rtc,
      icount: config.icount,
      random: config.seed,
      log:
        log === undefined
          ? undefined
          : { items: config.logItems, ranges: config.logRanges, write: (text) => log.write(text) },
      profile: profileRequest(config, machine),
      noReboot: config.noReboot,
      noShutdown: config.noShutdown,
      startPaused: config.startPaused,
      warn: (text) => say(`warning: ${text}`),
    });
    if (config.processName !== undefined) process.title = config.processName;
    if (config.gdb !== undefined) {
      const server = await listenForGdb(config.gdb, pc);
      closers.push(() => server.close());
      if (env.stderr.isTTY)
        say(
          `gdb may connect: target remote ${config.gdb.host}:${server.port}${config.startPaused ? ' (the guest waits for it)' : ''}`,
        );
    }
    announce(config, terminal !== undefined, env, say);
    if (terminal !== undefined) {
      const stdio = [...opened.keys()].find((c) => c.kind === 'stdio')!;
      // Without a mux, Ctrl-C is ours only in raw mode; a terminal in line mode would echo twice, so raw mode is on for both.
      if (stdio.kind === 'stdio') guard.enter();
      terminal.start();
    }
    const reason = await pc.run();
    writeProfile(config, pc, log);
    for (const device of opened.values()) device.flush();
    guard.leave();
    if (failedOutput !== undefined) return failedOutput;
    if (signalled !== undefined) {
      say(`terminating on signal ${signalExitCode(signalled) - 128}`);
      return signalExitCode(signalled);
    }
    const line = exitLine(reason);
    if (line !== undefined && (env.stderr.isTTY || reason.kind === 'guest-error')) say(line);
    return exitCode(reason);
  } finally {
    guard.leave();
    for (const close of closers.reverse()) close();
  }
}

/** Two lines for a person: what this machine is, and how to leave it. Silent when stderr is no terminal. */
function announce(config: MachineConfig, onTerminal: boolean, env: RunEnvironment, say: (text: string) => void): void {
  if (!env.stderr.isTTY) return;
  const memory = `${Math.round(config.memorySize / 1048576)} MiB${config.memoryIsDefault ? " (QEMU's default; -m 1G for more)" : ''}`;
  say(`pc, 1 x ${config.cpu.split(',')[0]!}, ${memory}, tcg${config.icount === undefined ? '' : ', icount'}`);
  if (onTerminal && env.stdin.isTTY) {
    const mux = config.serial.some((c) => c.kind === 'stdio' && c.mux);
    const key = escapeName(config.escapeKey);
    say(
      mux
        ? `serial console on this terminal. ${key} x quits, ${key} h lists keys`
        : 'serial console on this terminal. Ctrl-C quits',
    );
  }
}
