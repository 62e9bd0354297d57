/**
 * Device: what every chip on a board has in common. A subclass supplies the chip; a DeviceType (see `defineDevice`)
 * describes it as data. Life: created with checked properties -> realize (plugged into a bus, mapped, wired) -> reset,
 * used -> unrealize. Nothing outside is touched before realize or after unrealize.
 */
import type { Bus } from './bus.ts';
import type { DeviceEnv } from './env.ts';
import { Irq } from './irq.ts';
import { type LinkResolver, type PropertySpecs, type PropertyValues, resolveProperties } from './property.ts';
import type { VmState } from './vmstate.ts';

/** A mistake in building the machine (unknown device, busy slot, wrong bus). Never guest-caused. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}

export type BusType = 'system' | 'isa' | 'pci' | (string & {});

/** A device model as data. */
export interface DeviceType<P extends PropertySpecs = PropertySpecs, D extends Device = Device> {
  /** As on a command line: `isa-serial`. */
  readonly name: string;
  readonly description: string;
  /** Kind of bus it is plugged into. */
  readonly bus: BusType;
  readonly properties: P;
  /** Can a user create one (`-device`), or only a board? @default true */
  readonly userCreatable?: boolean;
  create(init: DeviceInit<P>): D;
}

/** Any device type, whatever its properties; for registries and boards. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a device type is invariant in its properties
export type AnyDeviceType = DeviceType<any, any>;

/** What a device's constructor gets. */
export interface DeviceInit<P extends PropertySpecs = PropertySpecs> {
  readonly type: DeviceType<P>;
  readonly id: string;
  readonly env: DeviceEnv;
  readonly props: PropertyValues<P>;
}

export interface CreateDeviceOptions {
  /** Unique in the machine; names the device's section in a saved state. @default the type's name */
  readonly id?: string;
  readonly env: DeviceEnv;
  /** Values, or text as typed by a user. */
  readonly properties?: Readonly<Record<string, unknown>>;
  /** Finds the object that a textual `link` value names. */
  readonly resolve?: LinkResolver;
}

/** Describes a device; checks the description. */
export function defineDevice<const P extends PropertySpecs, D extends Device>(
  type: DeviceType<P, D>,
): DeviceType<P, D> {
  if (!/^[A-Za-z0-9][\w.,+-]*$/.test(type.name)) throw new DeviceError(`'${type.name}' is not a device name`);
  return Object.freeze(type);
}

/** Makes a device with checked properties; it is not realized yet. Throws PropertyError with the user's remedy. */
export function createDevice<P extends PropertySpecs, D extends Device>(
  type: DeviceType<P, D>,
  options: CreateDeviceOptions,
): D {
  const props = resolveProperties(type.name, type.properties, options.properties ?? {}, options.resolve);
  return type.create({ type: type as unknown as DeviceType<P>, id: options.id ?? type.name, env: options.env, props });
}

export abstract class Device {
  readonly type: DeviceType;
  readonly id: string;
  readonly env: DeviceEnv;
  readonly properties: Readonly<Record<string, unknown>>;
  /** What is saved of the chip, or null when it has no state of its own. */
  readonly vmstate: VmState | null = null;
  /** The object that `vmstate` describes: plain numbers, arrays, typed arrays, timers. */
  readonly state: object = {};
  /** Buses this device offers to others. */
  readonly childBuses: Bus[] = [];
  #parentBus: Bus | null = null;
  #realized = false;
  readonly #gpioIn = new Map<string, readonly Irq[]>();
  readonly #gpioOut = new Map<string, readonly Irq[]>();

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see AnyDeviceType
  constructor(init: DeviceInit<any>) {
    this.type = init.type as unknown as DeviceType;
    this.id = init.id;
    this.env = init.env;
    this.properties = init.props as Readonly<Record<string, unknown>>;
  }

  get parentBus(): Bus | null {
    return this.#parentBus;
  }
  get realized(): boolean {
    return this.#realized;
  }

  /** Plugs the device into `bus` and lets it map itself. On failure it is unplugged again. Power-on reset is the caller's. */
  realize(bus: Bus): void {
    if (this.#realized) throw new DeviceError(`device ${this.id} is already realized`);
    if (bus.type !== this.type.bus) throw new DeviceError(`Device '${this.type.name}' can't go on ${bus.type} bus`);
    this.#parentBus = bus;
    bus.attach(this);
    try {
      this.onRealize();
      this.#realized = true;
    } catch (error) {
      bus.detach(this);
      this.#parentBus = null;
      throw error;
    }
  }

  /** Ends I/O, unmaps and unplugs. Safe to call twice. */
  unrealize(): void {
    if (!this.#realized) return;
    this.#realized = false;
    for (const bus of this.childBuses) for (const child of [...bus.devices]) child.unrealize();
    this.onUnrealize();
    this.#parentBus?.detach(this);
    this.#parentBus = null;
  }

  /** Hard reset of this device and all below it: first every device's own state, then every output line. */
  reset(): void {
    this.resetEnter();
    this.resetExit();
  }

  /** First phase, children before their parent. */
  resetEnter(): void {
    for (const bus of this.childBuses) bus.resetEnter();
    this.onReset();
  }

  /** Second phase, in the same order. */
  resetExit(): void {
    for (const bus of this.childBuses) bus.resetExit();
    this.onResetExit();
  }

  /** Subclass: map regions, create timers, take interrupt lines from the bus. */
  protected onRealize(): void {}
  /** Subclass: give back all that onRealize took; delete timers. */
  protected onUnrealize(): void {}
  /** Subclass: registers to their reset values, timers off. Must not call other devices. */
  protected onReset(): void {}
  /** Subclass: drive output lines to match the new state. */
  protected onResetExit(): void {}
  /** Subclass: after a state was loaded, re-arm what is derived and drive every output line again. Must not fail. */
  onPostLoad(): void {}

  /** Input lines of this device; `handler(index, level)`. The unnamed group is ''. */
  protected defineGpioIn(name: string, count: number, handler: (index: number, level: number) => void): void {
    this.#gpioIn.set(
      name,
      Array.from({ length: count }, (_, i) => new Irq(lineName(this.id, name, i), (level) => handler(i, level))),
    );
  }

  /** Output lines of this device; keep the result and drive it with `set`. */
  protected defineGpioOut(name: string, count: number): readonly Irq[] {
    const lines = Array.from({ length: count }, (_, i) => new Irq(lineName(this.id, name, i)));
    this.#gpioOut.set(name, lines);
    return lines;
  }

  gpioIn(name: string, index = 0): Irq {
    return pick(this.#gpioIn, this.id, 'input', name, index);
  }

  gpioOut(name: string, index = 0): Irq {
    return pick(this.#gpioOut, this.id, 'output', name, index);
  }

  /** Names and counts, for `info qtree`. */
  gpioGroups(): { direction: 'in' | 'out'; name: string; count: number }[] {
    const groups: { direction: 'in' | 'out'; name: string; count: number }[] = [];
    for (const [name, lines] of this.#gpioOut) groups.push({ direction: 'out', name, count: lines.length });
    for (const [name, lines] of this.#gpioIn) groups.push({ direction: 'in', name, count: lines.length });
    return groups;
  }

  /** A trace event of this device; costs one test while tracing is off. */
  protected trace(event: string, a?: number, b?: number, c?: number): void {
    if (this.env.trace.enabled) this.env.trace.emit(this.id, event, a, b, c);
  }
}

function lineName(device: string, group: string, index: number): string {
  return group === '' ? `${device}[${index}]` : `${device}.${group}[${index}]`;
}

function pick(
  groups: ReadonlyMap<string, readonly Irq[]>,
  device: string,
  direction: string,
  name: string,
  index: number,
): Irq {
  const line = groups.get(name)?.[index];
  if (line === undefined) throw new DeviceError(`device ${device} has no ${direction} line '${name}'[${index}]`);
  return line;
}
