/**
 * From option tokens to one plain description of what to run; every value is checked here, no file is opened.
 *
 * Later options win where QEMU's do. Errors are OptionErrors with QEMU's first line.
 */
import { chardevOption, namedChardev, parseBackend, type Chardev, type Chardevs } from './chardev-option.ts';
import { DEVICES, type DeviceSpec } from './device-table.ts';
import { parseInteger, parseOnOff, parseRanges, parseSize, type AddressRange } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { LOG_ITEMS } from './option-table.ts';
import { parseRtc, type RtcConfig } from './rtc-option.ts';
import { didYouMean, nearest } from './suggest.ts';
import { parseKeyValues, splitCommas, type Token, type Tokens } from './tokenizer.ts';

const MIB = 1024 * 1024;
export const DEFAULT_MEMORY = 128 * MIB;
export const MIN_MEMORY = MIB;
/** Guest RAM lies in one WebAssembly memory, below the PCI window at 3 GiB. */
export const MAX_MEMORY = 3072 * MIB;
export const MACHINES: readonly (readonly [string, string])[] = [
  ['pc', 'Standard PC (i440FX + PIIX, 1996) (default)'],
  ['pc-i440fx-7.2', 'alias of pc'],
];

export interface DeviceConfig {
  readonly driver: string;
  readonly properties: ReadonlyMap<string, string>;
  readonly chardev: Chardev | undefined;
  readonly typed: string;
}

export interface MachineConfig {
  machine: string;
  acpi: boolean;
  cpu: string;
  memorySize: number;
  memoryIsDefault: boolean;
  name: string | undefined;
  processName: string | undefined;
  kernel: string | undefined;
  initrd: string | undefined;
  append: string | undefined;
  bios: string | undefined;
  demo: boolean;
  nographic: boolean;
  serial: Chardev[];
  debugcon: Chardev | undefined;
  devices: DeviceConfig[];
  globals: { driver: string; property: string; value: string }[];
  escapeKey: number;
  rtc: RtcConfig;
  icount: { shift: number | 'auto'; sleep: boolean } | undefined;
  logItems: Set<string>;
  logFile: string | undefined;
  logRanges: readonly AddressRange[];
  noReboot: boolean;
  noShutdown: boolean;
  startPaused: boolean;
  gdb: { host: string; port: number; typed: string } | undefined;
}

/** A request to print a list instead of running: `-cpu help` and the like. */
export interface ListRequest {
  readonly list: 'machine' | 'cpu' | 'device' | 'device-properties' | 'log' | 'accel' | 'display' | 'chardev';
  readonly of?: string;
}

export type Interpreted = { readonly config: MachineConfig } | ListRequest;

function initialConfig(): MachineConfig {
  return {
    machine: 'pc',
    acpi: true,
    cpu: 'qemu32',
    memorySize: DEFAULT_MEMORY,
    memoryIsDefault: true,
    name: undefined,
    processName: undefined,
    kernel: undefined,
    initrd: undefined,
    append: undefined,
    bios: undefined,
    demo: false,
    nographic: false,
    serial: [],
    debugcon: undefined,
    devices: [],
    globals: [],
    escapeKey: 1,
    rtc: { startMs: undefined, zone: 'utc', clock: 'host' },
    icount: undefined,
    logItems: new Set(),
    logFile: undefined,
    logRanges: [],
    noReboot: false,
    noShutdown: false,
    startPaused: false,
    gdb: undefined,
  };
}

interface State {
  readonly config: MachineConfig;
  readonly chardevs: Chardevs;
  /** Resolved after all options are known, since -chardev may come later. */
  readonly serialTokens: Token[];
  debugconToken: Token | undefined;
  readonly deviceTokens: Token[];
  nodefaults: boolean;
}

/** Interprets all tokens in order. */
export function interpret(tokens: Tokens): Interpreted {
  const state: State = {
    config: initialConfig(),
    chardevs: new Map(),
    serialTokens: [],
    debugconToken: undefined,
    deviceTokens: [],
    nodefaults: false,
  };
  for (const token of tokens.options) {
    const list = apply(state, token);
    if (list !== undefined) return list;
  }
  const disk = tokens.positionals[0];
  if (disk !== undefined)
    throw new OptionError(
      `${disk}: disk images are not supported in this version`,
      'boot a kernel with -kernel FILE -initrd FILE, or see emkit --demo',
    );
  const list = finish(state);
  return list ?? { config: state.config };
}

const OF_NOTHING = (token: Token, what: string): OptionError =>
  new OptionError(`${token.typed}: ${what}`, `only "none" is accepted: ${token.spec.help}`);

function apply(state: State, token: Token): ListRequest | undefined {
  const { config } = state;
  const value = token.value ?? '';
  if (token.spec.refused !== undefined) throw new OptionError(`${token.typed}: not supported`, token.spec.refused);
  switch (token.spec.name) {
    case 'machine':
      return machineOption(config, token);
    case 'cpu':
      if (value === 'help' || value === '?') return { list: 'cpu' };
      config.cpu = value;
      return undefined;
    case 'm':
      memoryOption(config, token);
      return undefined;
    case 'smp':
      smpOption(token);
      return undefined;
    case 'accel':
      return accelOption(token);
    case 'name': {
      const keys = parseKeyValues(token, 'guest', ['guest', 'process', 'debug-threads']);
      config.name = keys.get('guest') ?? config.name;
      config.processName = keys.get('process') ?? config.processName;
      return undefined;
    }
    case 'nodefaults':
      state.nodefaults = true;
      return undefined;
    case 'no-user-config':
      return undefined;
    case 'no-acpi':
      config.acpi = false;
      return undefined;
    case 'kernel':
      config.kernel = value;
      return undefined;
    case 'initrd':
      config.initrd = value;
      return undefined;
    case 'append':
      config.append = value;
      return undefined;
    case 'bios':
      config.bios = value;
      return undefined;
    case 'no-reboot':
      config.noReboot = true;
      return undefined;
    case 'no-shutdown':
      config.noShutdown = true;
      return undefined;
    case 'action':
      actionOption(config, token);
      return undefined;
    case 'nographic':
      config.nographic = true;
      return undefined;
    case 'display':
      return displayOption(token);
    case 'serial':
      state.serialTokens.push(token);
      return undefined;
    case 'monitor':
      if (value !== 'none' && value !== 'null')
        throw new OptionError(
          `${token.typed}: there is no monitor in this version`,
          'use -monitor none, or leave it out',
        );
      return undefined;
    case 'debugcon':
      state.debugconToken = token;
      return undefined;
    case 'chardev':
      return chardevOption(state.chardevs, token) ? { list: 'chardev' } : undefined;
    case 'echr': {
      const code = parseInteger(value);
      if (code === undefined || code < 1 || code > 31)
        throw new OptionError(`${token.typed}: Bad argument`, 'a control character: 1 (Ctrl-A) to 31');
      config.escapeKey = code;
      return undefined;
    }
    case 'parallel':
    case 'vga':
    case 'nic':
    case 'net':
      if (value !== 'none') throw OF_NOTHING(token, 'not supported in this version');
      return undefined;
    case 'device':
      if (value === 'help' || value === '?') return { list: 'device' };
      state.deviceTokens.push(token);
      return undefined;
    case 'global':
      globalOption(config, token);
      return undefined;
    case 'rtc':
      config.rtc = parseRtc(token, config.rtc);
      return undefined;
    case 'icount':
      icountOption(config, token);
      return undefined;
    case 'S':
      config.startPaused = true;
      return undefined;
    case 's':
      config.gdb = { host: '127.0.0.1', port: 1234, typed: token.typed };
      return undefined;
    case 'gdb':
      gdbOption(config, token);
      return undefined;
    case 'd':
      return logOption(config, token);
    case 'D':
      config.logFile = value;
      return undefined;
    case 'dfilter':
      config.logRanges = parseRanges(token.typed, value);
      return undefined;
    case 'demo':
      config.demo = true;
      return undefined;
    default:
      return undefined; // help, version, doctor, explain, completion are handled before
  }
}

function machineOption(config: MachineConfig, token: Token): ListRequest | undefined {
  const keys = parseKeyValues(token, 'type', undefined);
  for (const [key, value] of keys) {
    if (key === 'type') {
      if (value === 'help' || value === '?') return { list: 'machine' };
      if (!MACHINES.some(([name]) => name === value)) {
        throw new OptionError(
          'unsupported machine type\nUse -machine help to list supported machines',
          didYouMean(
            value,
            MACHINES.map(([n]) => n),
            `${token.typed}: this version has the board pc`,
          ),
        );
      }
      config.machine = 'pc';
    } else if (key === 'accel') {
      for (const name of value.split(':'))
        if (name !== 'tcg')
          throw new OptionError(`${token.typed}: invalid accelerator ${name}`, 'this version has tcg only');
    } else if (key === 'acpi') config.acpi = parseOnOff(token.typed, key, value);
    else if (
      ['usb', 'hpet', 'vmport', 'graphics', 'smm', 'kernel-irqchip', 'dump-guest-core', 'mem-merge'].includes(key) &&
      value === 'off'
    )
      continue;
    else
      throw new OptionError(
        `Property 'pc-machine.${key}' not found`,
        `${token.typed}: properties are accel, acpi    (emkit -help machine)`,
      );
  }
  return undefined;
}

function memoryOption(config: MachineConfig, token: Token): void {
  const keys = parseKeyValues(token, 'size', ['size', 'slots', 'maxmem']);
  if (keys.has('slots') || keys.has('maxmem'))
    throw new OptionError(`${token.typed}: memory hotplug is not supported`, 'emkit -m SIZE');
  const text = keys.get('size');
  if (text === undefined) return;
  const size = parseSize(text, MIB);
  if (size === undefined) {
    throw new OptionError(
      `${token.typed}: Parameter 'size' expects a non-negative number below 2^64\nOptional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.`,
      'for example -m 512 (MiB) or -m 1G',
    );
  }
  if (size === 0) return; // QEMU: 0 is the default size
  if (size > MAX_MEMORY) {
    throw new OptionError(
      `cannot set up guest memory 'pc.ram': Cannot allocate memory`,
      `${token.typed}: a guest has at most ${MAX_MEMORY / MIB} MiB here; try -m 1G`,
    );
  }
  if (size < MIN_MEMORY)
    throw new OptionError(
      `${token.typed}: Invalid RAM size, a pc has at least 1 MiB`,
      'without a suffix the number counts in MiB',
    );
  config.memorySize = Math.ceil(size / 4096) * 4096;
  config.memoryIsDefault = false;
}

function smpOption(token: Token): void {
  const keys = parseKeyValues(token, 'cpus', ['cpus', 'maxcpus', 'sockets', 'dies', 'clusters', 'cores', 'threads']);
  for (const [key, value] of keys) {
    const n = parseInteger(value);
    if (n === undefined)
      throw new OptionError(`Parameter 'smp.${key}' expects integer`, `${token.typed}: for example -smp 1`);
    if (n !== 1)
      throw new OptionError(
        `Invalid SMP CPUs ${n}. The max CPUs supported by machine 'pc' is 1`,
        `${token.typed}: several CPUs come in a later version; leave -smp out`,
      );
  }
}

function accelOption(token: Token): ListRequest | undefined {
  const keys = parseKeyValues(token, 'accel', undefined);
  const name = keys.get('accel') ?? '';
  if (name === 'help' || name === '?') return { list: 'accel' };
  if (name !== 'tcg')
    throw new OptionError(`${token.typed}: invalid accelerator ${name}`, 'this version has tcg only: leave -accel out');
  return undefined;
}

function displayOption(token: Token): ListRequest | undefined {
  if (token.value === 'help' || token.value === '?') return { list: 'display' };
  if (token.value !== 'none')
    throw new OptionError(
      `${token.typed}: Parameter 'type' does not accept value '${token.value}'`,
      'there is no graphical display in this version; use -nographic or -display none',
    );
  return undefined;
}

function actionOption(config: MachineConfig, token: Token): void {
  const values: Record<string, readonly string[]> = {
    reboot: ['reset', 'shutdown'],
    shutdown: ['poweroff', 'pause'],
    panic: ['shutdown', 'pause', 'none', 'exit-failure'],
    watchdog: ['none'],
  };
  for (const [key, value] of parseKeyValues(token, undefined, Object.keys(values))) {
    if (!values[key]!.includes(value))
      throw new OptionError(
        `${token.typed}: Parameter '${key}' does not accept value '${value}'`,
        `values: ${values[key]!.join(', ')}`,
      );
    if (key === 'reboot') config.noReboot = value === 'shutdown';
    if (key === 'shutdown') config.noShutdown = value === 'pause';
  }
}

function globalOption(config: MachineConfig, token: Token): void {
  const short = /^([^.=,]+)\.([^=]+)=(.*)$/.exec(token.value ?? '');
  if (short !== null) {
    config.globals.push({ driver: short[1]!, property: short[2]!, value: short[3]! });
    return;
  }
  const keys = parseKeyValues(token, undefined, ['driver', 'property', 'value']);
  const [driver, property, value] = ['driver', 'property', 'value'].map((k) => keys.get(k));
  if (driver === undefined || property === undefined || value === undefined)
    throw new OptionError(`${token.typed}: Invalid parameter`, 'for example -global isa-debugcon.iobase=0x402');
  config.globals.push({ driver, property, value });
}

function icountOption(config: MachineConfig, token: Token): void {
  const keys = parseKeyValues(token, 'shift', ['shift', 'sleep', 'align', 'rr', 'rrfile', 'rrsnapshot']);
  if (keys.has('rr')) throw new OptionError(`${token.typed}: record and replay is not supported in this version`);
  const text = keys.get('shift') ?? 'auto';
  const shift = text === 'auto' ? 'auto' : parseInteger(text);
  if (shift === undefined || (shift !== 'auto' && shift > 10))
    throw new OptionError(`${token.typed}: icount: Invalid shift value`, '0 to 10 (2^N ns per instruction) or auto');
  const sleep = parseOnOff(token.typed, 'sleep', keys.get('sleep') ?? 'on');
  if (parseOnOff(token.typed, 'align', keys.get('align') ?? 'off'))
    throw new OptionError(`${token.typed}: align=on is not supported`, 'leave align out');
  if (shift === 'auto' && !sleep)
    throw new OptionError(
      `${token.typed}: shift=auto and sleep=off are incompatible`,
      'give a number: -icount shift=3,sleep=off',
    );
  config.icount = { shift, sleep };
}

function gdbOption(config: MachineConfig, token: Token): void {
  const value = token.value ?? '';
  if (value === 'none') {
    config.gdb = undefined;
    return;
  }
  const m = /^tcp:([^:,]*|\[[0-9a-fA-F:]+\]):(\d+)(?:,.*)?$/.exec(value);
  const port = m === null ? NaN : Number(m[2]);
  if (m === null || !(port >= 0 && port <= 65535))
    throw new OptionError(
      `${token.typed}: '${value.split(':')[0]}' is not a valid char driver`,
      'for example -gdb tcp::1234 (listens on 127.0.0.1)',
    );
  config.gdb = { host: m[1] === '' ? '127.0.0.1' : m[1]!.replace(/^\[|\]$/g, ''), port, typed: token.typed };
}

function logOption(config: MachineConfig, token: Token): ListRequest | undefined {
  const names = LOG_ITEMS.map(([name]) => name);
  for (const item of (token.value ?? '').split(',')) {
    if (item === 'help' || item === '?') return { list: 'log' };
    if (item === 'all') for (const name of names) config.logItems.add(name);
    else if (names.includes(item)) config.logItems.add(item);
    else
      throw new OptionError(
        `${token.typed}: unknown log item '${item}'`,
        didYouMean(item, names, 'list: emkit -d help'),
      );
  }
  return undefined;
}

/** -device: known driver, known properties, right types. */
function resolveDevice(state: State, token: Token): DeviceConfig | ListRequest {
  const keys = parseKeyValues(token, 'driver', undefined);
  const driver = keys.get('driver') ?? '';
  const spec: DeviceSpec | undefined = DEVICES.find((d) => d.name === driver);
  if (spec === undefined)
    throw new OptionError(
      `${token.typed}: '${driver}' is not a valid device model name`,
      didYouMean(
        driver,
        DEVICES.map((d) => d.name),
        'list: emkit -device help',
      ),
    );
  if (keys.has('help') || keys.has('?')) return { list: 'device-properties', of: driver };
  const properties = new Map<string, string>();
  let chardev: Chardev | undefined;
  for (const [key, value] of keys) {
    if (key === 'driver' || key === 'id') continue;
    const property = spec.properties.find((p) => p.name === key);
    if (property === undefined) {
      const guess = nearest(
        key,
        spec.properties.map((p) => p.name),
      );
      throw new OptionError(
        `${token.typed}: Property '${driver}.${key}' not found`,
        `${guess === undefined ? '' : `did you mean ${guess}?   `}list: emkit -device ${driver},help`,
      );
    }
    if (property.type === 'uint32') {
      const n = parseInteger(value);
      if (n === undefined)
        throw new OptionError(`${token.typed}: Parameter '${key}' expects integer`, `${key}: ${property.help}`);
      if (n > 0xffff_ffff) throw new OptionError(`${token.typed}: Parameter '${key}' expects uint32_t`);
    }
    if (property.type === 'chr') chardev = namedChardev(state.chardevs, token, value);
    properties.set(key, value);
  }
  return { driver, properties, chardev, typed: token.typed };
}

/** What can only be settled when all options are known. */
function finish(state: State): ListRequest | undefined {
  const { config } = state;
  if (state.serialTokens.length > 4)
    throw new OptionError(`${state.serialTokens[4]!.typed}: too many serial ports`, 'a pc has four: COM1 to COM4');
  config.serial = state.serialTokens.map((token) => parseBackend(state.chardevs, token));
  if (state.debugconToken !== undefined) config.debugcon = parseBackend(state.chardevs, state.debugconToken);
  for (const token of state.deviceTokens) {
    const device = resolveDevice(state, token);
    if ('list' in device) return device;
    config.devices.push(device);
  }
  // The serial console on this terminal is the default face of the machine, as with -nographic.
  if (state.serialTokens.length === 0 && (config.nographic || !state.nodefaults)) {
    config.serial = [{ kind: 'stdio', mux: true, signal: false, typed: '-nographic' }];
  }
  const onTerminal = [...config.serial, config.debugcon, ...config.devices.map((d) => d.chardev)].filter(
    (c) => c?.kind === 'stdio',
  );
  if (new Set(onTerminal).size > 1) {
    const second = onTerminal[1]!;
    throw new OptionError(
      `${second.kind === 'stdio' ? second.typed : ''}: cannot use stdio by multiple character devices`,
      'send one of them to a file: -serial file:PATH',
    );
  }
  if (config.kernel === undefined && !config.demo) {
    if (config.append !== undefined)
      throw new OptionError('-append only allowed with -kernel option', 'emkit -kernel bzImage -append TEXT');
    if (config.initrd !== undefined)
      throw new OptionError('-initrd only allowed with -kernel option', 'emkit -kernel bzImage -initrd FILE');
  }
  if (config.demo && (config.kernel !== undefined || config.initrd !== undefined || config.bios !== undefined)) {
    throw new OptionError('--demo: has a kernel of its own', 'leave out -kernel, -initrd and -bios');
  }
  return undefined;
}

/** The files of -initrd for a multiboot kernel: `FILE ARGS` separated by commas. */
export function splitModules(initrd: string): readonly { readonly file: string; readonly commandLine: string }[] {
  return splitCommas(initrd).map((text) => ({ file: text.split(' ')[0]!, commandLine: text }));
}
