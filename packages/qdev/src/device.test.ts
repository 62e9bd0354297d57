import { AddressSpace, MemoryRegion } from '@emkit/memory';
import { describe, expect, it } from 'vitest';
import {
  Bus,
  createDevice,
  defineDevice,
  Device,
  DeviceError,
  type DeviceEnv,
  type DeviceInit,
  DeviceRegistry,
  formatDeviceHelp,
  formatQtree,
  NO_TRACE,
  parseProperty,
  property,
  PropertyError,
  SystemBus,
} from './index.ts';

const clock = { now: () => 0, createTimer: () => ({ mod: () => {}, del: () => {}, deadline: -1 }) };
const env: DeviceEnv = {
  clock,
  hostClock: { ...clock, epochMs: 0 },
  trace: NO_TRACE,
  system: { reset: () => {}, shutdown: () => {} },
};
const root = MemoryRegion.container('system');
const systemBus = (): SystemBus => new SystemBus('main-system-bus', root, root, new AddressSpace({ name: 'm', root }));

const PROPERTIES = {
  iobase: property.uint16(0x3f8, 'first port'),
  wake: property.bool(false, 'may wake the machine'),
  mode: property.choice(['slow', 'fast'], 'slow', 'speed'),
  backend: property.link<object>('chardev', 'where output goes'),
} as const;

class Probe extends Device {
  static log: string[] = [];
  readonly init: DeviceInit<typeof PROPERTIES>;
  constructor(init: DeviceInit<typeof PROPERTIES>) {
    super(init);
    this.init = init;
    this.defineGpioIn('', 2, (index, level) => Probe.log.push(`${this.id} in${index}=${level}`));
    this.defineGpioOut('irq', 1);
  }
  protected override onRealize(): void {
    if (this.init.props.iobase === 0) throw new DeviceError('port 0 is taken');
    Probe.log.push(`${this.id} realize`);
  }
  protected override onUnrealize(): void {
    Probe.log.push(`${this.id} unrealize`);
  }
  protected override onReset(): void {
    Probe.log.push(`${this.id} reset`);
  }
  protected override onResetExit(): void {
    Probe.log.push(`${this.id} exit`);
  }
}
const PROBE = defineDevice({
  name: 'probe',
  description: 'A probe',
  bus: 'system',
  properties: PROPERTIES,
  create: (init) => new Probe(init),
});

describe('Device', () => {
  it('resets children before parents, all state before all lines', () => {
    Probe.log = [];
    const bus = systemBus();
    const bridge = createDevice(PROBE, { env, id: 'bridge' });
    bridge.realize(bus);
    const inner = new Bus('system', 'inner', bridge);
    for (const id of ['a', 'b']) createDevice(PROBE, { env, id }).realize(inner);
    createDevice(PROBE, { env, id: 'c' }).realize(bus);
    Probe.log = [];
    bus.reset();
    expect(Probe.log).toEqual([
      'a reset',
      'b reset',
      'bridge reset',
      'c reset',
      'a exit',
      'b exit',
      'bridge exit',
      'c exit',
    ]);
    Probe.log = [];
    bridge.unrealize();
    bridge.unrealize();
    expect(Probe.log).toEqual(['a unrealize', 'b unrealize', 'bridge unrealize']);
    expect(bus.devices.map((device) => device.id)).toEqual(['c']);
  });

  it('is unplugged again when it cannot be realized, and refuses a wrong bus', () => {
    const bus = systemBus();
    expect(() => createDevice(PROBE, { env, properties: { iobase: 0 } }).realize(bus)).toThrow('port 0 is taken');
    expect(bus.devices).toEqual([]);
    expect(() => createDevice(PROBE, { env }).realize(new Bus('pci', 'pci.0'))).toThrow(
      "Device 'probe' can't go on pci bus",
    );
  });

  it('has named lines in both directions', () => {
    Probe.log = [];
    const probe = createDevice(PROBE, { env });
    const other = createDevice(PROBE, { env, id: 'other' });
    probe.gpioOut('irq').connect(other.gpioIn('', 1));
    probe.gpioOut('irq').raise();
    expect(Probe.log).toEqual(['other in1=1']);
    expect(() => probe.gpioIn('', 2)).toThrow("device probe has no input line ''[2]");
  });

  it('shows itself in info qtree', () => {
    const bus = systemBus();
    createDevice(PROBE, { env, properties: { wake: 'on' } }).realize(bus);
    expect(formatQtree(bus)).toBe(
      [
        'bus: main-system-bus',
        '  type system',
        '  dev: probe, id "probe"',
        '    gpio-out "irq" 1',
        '    gpio-in "" 2',
        '    iobase = 1016',
        '    wake = true',
        '    mode = "slow"',
        '    backend = ""',
        '',
      ].join('\n'),
    );
  });
});

describe('properties', () => {
  it('are parsed from what users type', () => {
    const backend = {};
    const device = createDevice(PROBE, {
      env,
      properties: { iobase: '0x2f8', wake: 'yes', mode: 'fast', backend: 'serial0' },
      resolve: (kind, id) => (kind === 'chardev' && id === 'serial0' ? backend : undefined),
    });
    expect(device.init.props.iobase).toBe(0x2f8);
    expect(device.init.props.wake).toBe(true);
    expect(device.init.props.backend).toBe(backend);
    expect(parseProperty('m', property.size(0, ''), '1.5G')).toBe(1.5 * 2 ** 30);
    expect(parseProperty('n', property.int32(0, ''), '-12')).toBe(-12);
  });

  it.each([
    [{ iobase: '0x10000' }, "Property 'iobase' doesn't take value 65536 (minimum: 0, maximum: 65535)"],
    [{ iobase: -1 }, "Property 'iobase' doesn't take value -1 (minimum: 0, maximum: 65535)"],
    [{ iobase: 'ten' }, "Parameter 'iobase' expects a number, got 'ten'"],
    [{ iobase: 1.5 }, "Invalid parameter type for 'iobase', expected: integer"],
    [{ wake: 'maybe' }, "Parameter 'wake' expects 'on' or 'off'"],
    [{ mode: 'warp' }, "Property 'mode' doesn't take value 'warp' (allowed: slow, fast)"],
    [{ backend: 'nope' }, "Property 'backend' can't find value 'nope'"],
    [{ colour: 1 }, "Property 'probe.colour' not found"],
    [{ constructor: 1 }, "Property 'probe.constructor' not found"],
  ])('refuse %j by name', (properties, message) => {
    const attempt = (): unknown => createDevice(PROBE, { env, properties, resolve: () => undefined });
    expect(attempt).toThrow(PropertyError);
    expect(attempt).toThrow(message);
  });

  it('write their own help', () => {
    const registry = new DeviceRegistry();
    registry.register(PROBE);
    expect(registry.formatList()).toBe('name "probe", bus system, desc "A probe"\n');
    expect(() => registry.register(PROBE)).toThrow('registered twice');
    expect(registry.get('probe')).toBe(PROBE);
    expect(formatDeviceHelp(PROBE)).toContain('  iobase=<uint16>        - first port (default: 1016)\n');
    expect(formatDeviceHelp(PROBE)).toContain('  mode=<str>             - speed [slow|fast] (default: "slow")\n');
  });
});
