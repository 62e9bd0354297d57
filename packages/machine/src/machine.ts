/**
 * The machine: one event loop, the memory and port spaces, the devices plugged into them, one vCPU, and the control
 * that a monitor or embedder has over the whole (run, pause, reset, quit, save, load).
 *
 * What may not be repeatable enters here: clocks come from the AioContext, host input through devices' back ends.
 * The machine knows no CPU architecture and no chip; a board (see `@emkit/pc`) plugs them together.
 */
import { AioContext, runLoop } from '@emkit/aio';
import type { SliceResult } from '@emkit/aio';
import { MemoryRegion, PortSpace } from '@emkit/memory';
import type { AddressSpace } from '@emkit/memory';
import {
  createDevice,
  DeviceRegistry,
  formatQtree,
  loadSections,
  NO_TRACE,
  saveSections,
  SystemBus,
} from '@emkit/qdev';
import type {
  Bus,
  Device,
  DeviceClock,
  DeviceEnv,
  DeviceTimer,
  DeviceType,
  PropertySpecs,
  StateSection,
  TraceSink,
} from '@emkit/qdev';
import type { ClockType } from '@emkit/aio';
import { GuestClock } from './guest-clock.ts';

/** The processor as the machine's loop sees it. */
export interface Vcpu {
  /** Run at most `budget` instructions. */
  run(budget: number): 'slice' | 'halted' | 'shutdown' | 'debug' | 'stopped';
  /** Leave `run` at the next block boundary. */
  stop(): void;
  /** Instructions retired since creation. */
  readonly retired: number;
  /** Real time that `run` has spent on something that is not the guest's, compilation say, in ns. */
  readonly overheadNs?: number;
  reset(): void;
}

export type MachineExit =
  | { readonly kind: 'shutdown'; readonly cause: string }
  | { readonly kind: 'debug-exit'; readonly code: number }
  | { readonly kind: 'reset' }
  | { readonly kind: 'quit' };

export type MachineStatus = 'running' | 'paused' | 'ended';

export interface MachineOptions {
  readonly name: string;
  /** Physical memory and ports, made by the board; `createSpaces` gives empty ones. */
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  readonly memorySpace: AddressSpace;
  readonly portSpace: PortSpace;
  readonly aio?: AioContext;
  readonly trace?: TraceSink;
  /** A guest reset ends the run. */
  readonly noReboot?: boolean;
  /** A guest power-off pauses instead of ending the run. */
  readonly noShutdown?: boolean;
  /** Nanoseconds of virtual time per instruction, 2^shift: ties the virtual clock to retired instructions. */
  readonly icountShift?: number;
  /** With icount: an idle guest's clock jumps to the next timer at once (repeatable) instead of waiting. */
  readonly icountWarp?: boolean;
}

export class MachineError extends Error {
  override readonly name = 'MachineError';
}

/** Instructions of a first slice, and the bounds that later ones adapt within. */
const FIRST_SLICE = 50_000;
const MIN_SLICE = 5_000;
const MAX_SLICE = 4_000_000;
/** Wall time that a slice should take: short enough for 1 kHz timers, long enough to be worth entering. */
const SLICE_NS = 1_000_000;

export class Machine {
  readonly name: string;
  readonly aio: AioContext;
  readonly env: DeviceEnv;
  readonly memory: MemoryRegion;
  readonly io: MemoryRegion;
  readonly memorySpace: AddressSpace;
  readonly portSpace: PortSpace;
  readonly systemBus: SystemBus;
  readonly registry = new DeviceRegistry();
  readonly devices: Device[] = [];
  /** Called at each end of a slice: character back ends flush here. */
  readonly onSliceEnd: (() => void)[] = [];
  /** Called on every hard reset after the devices: a board enters its kernel or firmware. */
  onReset: (() => void) | undefined;
  /** Called when a debugger must look: breakpoint, watchpoint. */
  onDebug: (() => void) | undefined;
  #vcpu: Vcpu | undefined;
  readonly #options: MachineOptions;
  #status: MachineStatus = 'paused';
  #exit: MachineExit | undefined;
  #resetCause: string | undefined;
  #budget = FIRST_SLICE;
  /** Instructions per ns of wall time, smoothed. */
  #perNs = FIRST_SLICE / SLICE_NS;
  /** Undefined with icount. */
  #guestClock: GuestClock | undefined;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.memory = options.memory;
    this.io = options.io;
    this.memorySpace = options.memorySpace;
    this.portSpace = options.portSpace;
    this.aio = options.aio ?? new AioContext();
    this.aio.clocks.stop();
    // not what has passed since the context was made: that is not repeatable, and no time that the guest has lost
    for (const clock of [this.aio.clocks.virtual, this.aio.clocks.virtualRt]) clock.set(0);
    this.systemBus = new SystemBus('main-system-bus', options.memory, options.io, options.memorySpace);
    this.env = {
      clock: this.#clock('virtual'),
      hostClock: Object.assign(this.#clock('host'), { epochMs: this.aio.clocks.host.epochMs }),
      trace: options.trace ?? NO_TRACE,
      system: {
        reset: (cause) => this.requestReset(cause),
        shutdown: (cause, exitCode) => this.#requestShutdown(cause, exitCode),
      },
    };
    // A nearer deadline of virtual time ends the slice, so that the timer is not late by its rest.
    this.aio.onDeadlineMoved = (clock) => {
      if (clock !== 'virtual') return;
      this.#guestClock?.setDeadline(this.#untilDeadline());
      this.#vcpu?.stop();
    };
  }

  /** A device's view of one clock. */
  #clock(type: ClockType): DeviceClock {
    const { aio } = this;
    const clock = aio.clocks.get(type);
    return {
      now: () => clock.now(),
      createTimer: (callback): DeviceTimer => {
        const timer = aio.timer(type, callback);
        return {
          mod: (deadline) => timer.mod(Math.max(0, Math.round(deadline))),
          del: () => timer.del(),
          get deadline() {
            return timer.pending ? timer.expireNs : -1;
          },
        };
      },
    };
  }

  // --- assembly -------------------------------------------------------------------------------------------------
  setVcpu(vcpu: Vcpu): void {
    this.#vcpu = vcpu;
    if (this.#options.icountShift !== undefined) {
      const scale = 2 ** this.#options.icountShift;
      this.aio.clocks.virtual.setSource(() => Math.floor(vcpu.retired * scale));
      return;
    }
    const { virtual, virtualRt } = this.aio.clocks;
    const clock = new GuestClock({ real: () => virtualRt.now(), overhead: () => Math.round(vcpu.overheadNs ?? 0) });
    this.#guestClock = clock;
    virtual.setSource(() => clock.now(), true);
  }

  /** Create, realize and register a device. Names must be unique, since they name its part of a saved state. */
  add<P extends PropertySpecs, D extends Device>(
    type: DeviceType<P, D>,
    options: {
      id?: string;
      bus?: Bus;
      properties?: Readonly<Record<string, unknown>>;
      setup?: (device: D) => void;
    } = {},
  ): D {
    const id = options.id ?? type.name;
    if (this.devices.some((d) => d.id === id)) throw new MachineError(`Duplicate device ID '${id}'`);
    const device = createDevice(type, { id, env: this.env, properties: options.properties ?? {} });
    options.setup?.(device);
    device.realize(options.bus ?? this.systemBus);
    this.devices.push(device);
    return device;
  }

  // --- control ----------------------------------------------------------------------------------------------------
  get status(): MachineStatus {
    return this.#status;
  }

  /** Power-on or hard reset of everything: devices in the order they were added, then the CPU, then the board's entry. */
  reset(): void {
    for (const device of this.devices) device.resetEnter();
    for (const device of this.devices) device.resetExit();
    this.#vcpu?.reset();
    this.onReset?.();
  }

  /** Reset as soon as the current instruction is done. */
  requestReset(cause: string): void {
    this.#resetCause = cause;
    this.#vcpu?.stop();
    this.aio.notify();
  }

  #requestShutdown(cause: string, exitCode?: number): void {
    this.#end(exitCode === undefined ? { kind: 'shutdown', cause } : { kind: 'debug-exit', code: exitCode });
  }

  quit(): void {
    this.#end({ kind: 'quit' });
  }

  #end(exit: MachineExit): void {
    if (exit.kind !== 'quit' && this.#options.noShutdown === true) {
      this.pause();
      return;
    }
    this.#exit ??= exit;
    this.#vcpu?.stop();
    this.aio.notify();
  }

  pause(): void {
    if (this.#status !== 'running') return;
    this.#status = 'paused';
    this.aio.clocks.stop();
    this.#vcpu?.stop();
    this.aio.notify();
  }

  resume(): void {
    if (this.#status !== 'paused') return;
    this.#status = 'running';
    this.aio.clocks.start();
    this.aio.notify();
  }

  /** The main loop: until the guest or `quit` ends it. */
  async run(): Promise<MachineExit> {
    if (this.#vcpu === undefined) throw new MachineError('a machine without a CPU cannot run');
    await runLoop(this.aio, {
      runSlice: () => this.#slice(),
      ...(this.#options.icountWarp === true ? { idle: 'warp' as const } : {}),
    });
    this.#status = 'ended';
    this.aio.clocks.stop();
    return this.#exit ?? { kind: 'quit' };
  }

  #slice(): SliceResult {
    if (this.#exit !== undefined) return 'stop';
    if (this.#resetCause !== undefined) {
      this.#resetCause = undefined;
      if (this.#options.noReboot === true) {
        this.#exit = { kind: 'reset' };
        return 'stop';
      }
      this.reset();
    }
    if (this.#status !== 'running') return 'halted';
    const vcpu = this.#vcpu as Vcpu;
    const left = this.#untilDeadline();
    const budget = this.#sliceBudget(left);
    const before = vcpu.retired;
    const clock = this.#guestClock;
    clock?.enter(left);
    const reason = vcpu.run(budget);
    if (clock !== undefined) this.#adapt(vcpu.retired - before, clock.leave());
    for (const hook of this.onSliceEnd) hook();
    switch (reason) {
      case 'halted':
        clock?.idle(this.#untilDeadline());
        return 'halted';
      case 'debug':
        this.pause();
        this.onDebug?.();
        return 'ran';
      case 'shutdown':
        // triple fault: as on a PC, the machine resets
        this.requestReset('triple fault');
        return 'ran';
      default:
        return 'ran';
    }
  }

  /** How far to run. With icount a slice ends exactly at the next virtual deadline, so that timers fire at repeatable instructions. */
  #sliceBudget(left: number): number {
    const shift = this.#options.icountShift;
    // as many instructions as are likely to fit before the next timer, so that it is not late by a whole slice
    if (shift === undefined) return Math.max(MIN_SLICE, Math.min(this.#budget, Math.round(left * this.#perNs)));
    return Math.max(1, Math.min(MAX_SLICE, Math.ceil(left / 2 ** shift)));
  }

  /** Ns of virtual time; negative when it is past. */
  #untilDeadline(): number {
    return this.aio.nextDeadlineNs('virtual') - this.aio.now('virtual');
  }

  /** Steer the slice towards SLICE_NS of wall time. */
  #adapt(ran: number, tookNs: number): void {
    if (ran < MIN_SLICE || tookNs <= 0) return;
    this.#perNs = (this.#perNs * 3 + ran / tookNs) / 4;
    const ideal = (ran * SLICE_NS) / tookNs;
    this.#budget = Math.round(Math.max(MIN_SLICE, Math.min(MAX_SLICE, (this.#budget * 3 + ideal) / 4)));
  }

  // --- state --------------------------------------------------------------------------------------------------------
  /** All devices' sections; the board adds CPU and RAM. */
  sections(): StateSection[] {
    return this.devices.filter((d) => d.vmstate !== null);
  }
  saveDevices(): Uint8Array {
    return saveSections(this.sections());
  }
  /** All or nothing; throws StateError naming section and field. */
  loadDevices(bytes: Uint8Array): void {
    loadSections(this.sections(), bytes);
  }

  /** `info qtree`. */
  formatQtree(): string {
    return formatQtree(this.systemBus);
  }
}

export function createSpaces(): { memory: MemoryRegion; io: MemoryRegion; portSpace: PortSpace } {
  const memory = MemoryRegion.container('system');
  const io = MemoryRegion.container('io', 0x10000);
  return { memory, io, portSpace: new PortSpace({ name: 'I/O', root: io }) };
}
