import { AioContext, ManualHost } from '@emkit/aio';
import { AddressSpace } from '@emkit/memory';
import { defineDevice, defineVmState, Device, field } from '@emkit/qdev';
import type { DeviceInit } from '@emkit/qdev';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSpaces, Machine, MachineError } from './machine.ts';
import type { MachineOptions, Vcpu } from './machine.ts';

type Reason = ReturnType<Vcpu['run']>;

/** Retires what it may, unless a script says otherwise; logs budgets. */
class FakeVcpu implements Vcpu {
  retired = 0;
  resets = 0;
  stops = 0;
  readonly budgets: number[] = [];
  script: (budget: number) => { ran: number; reason: Reason } = (budget) => ({ ran: budget, reason: 'slice' });
  run(budget: number): Reason {
    this.budgets.push(budget);
    const { ran, reason } = this.script(budget);
    this.retired += ran;
    return reason;
  }
  stop(): void {
    this.stops++;
  }
  reset(): void {
    this.resets++;
  }
}

class Counter extends Device {
  override readonly vmstate = defineVmState<{ count: number }>({
    name: 'counter',
    version: 1,
    fields: [field.u32('count')],
  });
  override readonly state = { count: 0 };
  resets = 0;
  constructor(init: DeviceInit<Record<string, never>>) {
    super(init);
  }
  protected override onReset(): void {
    this.resets++;
    this.state.count = 0;
  }
}
const COUNTER = defineDevice({
  name: 'counter',
  description: 'counts',
  bus: 'system',
  properties: {},
  create: (init) => new Counter(init as never),
});

function machine(options: Partial<MachineOptions> = {}): { m: Machine; cpu: FakeVcpu } {
  const spaces = createSpaces();
  const m = new Machine({
    name: 'test',
    ...spaces,
    memorySpace: new AddressSpace({ name: 'memory', root: spaces.memory }),
    aio: new AioContext({ host: new ManualHost() }),
    ...options,
  });
  const cpu = new FakeVcpu();
  m.setVcpu(cpu);
  return { m, cpu };
}
const ICOUNT = { icountShift: 3, icountWarp: true } as const;

describe('run', () => {
  it('ends on quit, also when it was called before', async () => {
    const { m } = machine();
    m.resume();
    m.quit();
    expect(await m.run()).toEqual({ kind: 'quit' });
    expect(m.status).toBe('ended');
  });

  it('ends as the guest says: power off, exit code, reset with noReboot', async () => {
    for (const [act, exit] of [
      [(m: Machine) => m.env.system.shutdown('acpi'), { kind: 'shutdown', cause: 'acpi' }],
      [(m: Machine) => m.env.system.shutdown('debug exit', 5), { kind: 'debug-exit', code: 5 }],
      [(m: Machine) => m.env.system.reset('keyboard'), { kind: 'reset' }],
    ] as const) {
      const { m, cpu } = machine({ ...ICOUNT, noReboot: true });
      cpu.script = (budget) => (act(m), { ran: budget, reason: 'stopped' });
      m.resume();
      expect(await m.run()).toEqual(exit);
      expect(cpu.budgets).toHaveLength(1);
    }
  });

  it('resets devices, CPU and board once for any number of requests', async () => {
    const { m, cpu } = machine(ICOUNT);
    const device = m.add(COUNTER);
    let board = 0;
    m.onReset = () => board++;
    let slice = 0;
    cpu.script = () => {
      slice++;
      if (slice === 1) {
        m.requestReset('a');
        m.requestReset('b');
      }
      if (slice === 3) m.quit();
      return { ran: 100, reason: 'slice' };
    };
    m.resume();
    await m.run();
    expect([cpu.resets, board, (device as Counter).resets]).toEqual([1, 1, 1]);
    expect(slice).toBe(3);
  });

  it('resets after a triple fault', async () => {
    const { m, cpu } = machine(ICOUNT);
    let slice = 0;
    cpu.script = () => {
      if (++slice === 2) m.quit();
      return { ran: 100, reason: slice === 1 ? 'shutdown' : 'slice' };
    };
    m.resume();
    await m.run();
    expect(cpu.resets).toBe(1);
  });

  it('does not run while paused, and pauses for a debugger', async () => {
    const { m, cpu } = machine(ICOUNT);
    let stops = 0;
    m.onDebug = () => {
      stops++;
      expect(m.status).toBe('paused');
      setTimeoutLike(() => (stops === 1 ? m.resume() : m.quit()));
    };
    cpu.script = (budget) => ({ ran: Math.min(budget, 10), reason: 'debug' });
    m.resume();
    await m.run();
    expect(stops).toBe(2);
    expect(cpu.budgets).toHaveLength(2);
  });

  it('pauses instead of ending when asked to on power off', async () => {
    const { m, cpu } = machine({ ...ICOUNT, noShutdown: true });
    cpu.script = (budget) => {
      m.env.system.shutdown('acpi');
      setTimeoutLike(() => m.quit());
      return { ran: budget, reason: 'stopped' };
    };
    m.resume();
    expect(await m.run()).toEqual({ kind: 'quit' });
    expect(cpu.budgets).toHaveLength(1);
  });

  it('needs a CPU', async () => {
    const spaces = createSpaces();
    const m = new Machine({
      name: 'bare',
      ...spaces,
      memorySpace: new AddressSpace({ name: 'memory', root: spaces.memory }),
    });
    await expect(m.run()).rejects.toThrow(MachineError);
  });
});

const setTimeoutLike = (f: () => void): void => void Promise.resolve().then(f);

describe('instruction counting', () => {
  /** Timers re-armed in a pattern; the log is what a guest would see. */
  async function trace(periods: readonly number[], realDelay: number): Promise<string[]> {
    const host = new ManualHost();
    const aio = new AioContext({ host });
    host.block(realDelay); // host time that passes before the machine is made must not show
    const { m, cpu } = machine({ ...ICOUNT, aio });
    const log: string[] = [];
    periods.forEach((period, n) => {
      let left = 5;
      const timer = m.env.clock.createTimer(() => {
        log.push(`${n} at ${m.env.clock.now()} after ${cpu.retired}`);
        if (--left > 0) timer.mod(m.env.clock.now() + period);
        else if (n === 0) m.quit();
      });
      timer.mod(period);
    });
    m.resume();
    await m.run();
    return log;
  }

  it('fires timers exactly at their instruction, whatever the host does', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 1e6 }),
        async (periods, delay) => {
          const first = await trace(periods, 0);
          expect(await trace(periods, delay)).toEqual(first);
          for (const line of first) {
            const [, at, after] = /at (\d+) after (\d+)/.exec(line)!.map(Number);
            expect(at).toBe(after * 8);
          }
        },
      ),
      { numRuns: 40, seed: 3 },
    ));

  it('jumps to the next timer when the guest is idle', async () => {
    const { m, cpu } = machine(ICOUNT);
    cpu.script = () => ({ ran: 0, reason: 'halted' });
    m.env.clock.createTimer(() => m.quit()).mod(1e9);
    m.resume();
    await m.run();
    expect(m.env.clock.now()).toBeGreaterThanOrEqual(1e9);
    expect(cpu.budgets.length).toBeLessThan(5);
  });

  it("has no time to make up at its start: what passed while it was put together is not the guest's", () => {
    const host = new ManualHost();
    const aio = new AioContext({ host });
    host.advance(100_000_000);
    const { m } = machine({ aio });
    m.resume();
    expect([aio.now('virtual'), aio.now('virtual-rt')]).toEqual([0, 0]);
    host.advance(1_000_000);
    expect(aio.now('virtual-rt')).toBe(1_000_000);
  });
  it('starts at time zero', () => {
    const host = new ManualHost();
    const aio = new AioContext({ host });
    host.block(12345);
    const { m } = machine({ ...ICOUNT, aio });
    expect(m.env.clock.now()).toBe(0);
  });
});

describe('devices', () => {
  it('have unique names', () => {
    const { m } = machine();
    m.add(COUNTER);
    expect(() => m.add(COUNTER)).toThrow("Duplicate device ID 'counter'");
    m.add(COUNTER, { id: 'other' });
    expect(m.formatQtree()).toContain('other');
  });

  it('are saved and loaded all or nothing', () => {
    const { m } = machine();
    const a = m.add(COUNTER, { id: 'a' }) as Counter;
    const b = m.add(COUNTER, { id: 'b' }) as Counter;
    a.state.count = 1;
    b.state.count = 2;
    const saved = m.saveDevices();
    a.state.count = 10;
    b.state.count = 20;
    expect(() => m.loadDevices(saved.subarray(0, saved.length - 3))).toThrow();
    expect([a.state.count, b.state.count]).toEqual([10, 20]);
    m.loadDevices(saved);
    expect([a.state.count, b.state.count]).toEqual([1, 2]);
  });
});
