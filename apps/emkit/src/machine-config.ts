/**
 * From option tokens to one plain description of what to run; every value is checked here, no file is opened.
 *
 * Later options win where QEMU's do. Errors are OptionErrors with QEMU's first line.
 */
import type { OptimisationName } from '@emkit/ir';
import { accelOption } from './accel-option.ts';
import { chardevOption, namedChardev, parseBackend, type Chardev, type Chardevs } from './chardev-option.ts';
import { DEVICES, type DeviceSpec } from './device-table.ts';
import * as option from './machine-options.ts';
import { parseInteger, parseRanges, type AddressRange } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { profileFile, symbolsOption, type ProfileFile } from './profile-option.ts';
import { parseRtc, type RtcConfig } from './rtc-option.ts';
import { didYouMean, nearest } from './suggest.ts';
import { parseKeyValues, splitCommas, type Token, type Tokens } from './tokenizer.ts';

export interface DeviceConfig {
  readonly driver: string;
  readonly properties: ReadonlyMap<string, string>;
  readonly chardev: Chardev | undefined;
  readonly typed: string;
}

export interface MachineConfig {
  arch: option.Arch;
  machine: string;
  acpi: boolean;
  cpu: string;
  memorySize: number;
  /** Undefined: the board's. */
  maxRamBelow4g: number | undefined;
  memoryIsDefault: boolean;
  /** Of the translator, those that were named. */
  optimisations: Partial<Record<OptimisationName, boolean>>;
  /** Keep translations from run to run: in the user's cache folder, or in this one. */
  translationCache: boolean | string;
  /** Compile hot code in a thread of its own. */
  compileThread: boolean;
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
  /** Of repeatable random numbers. */
  seed: number | undefined;
  logItems: Set<string>;
  logFile: string | undefined;
  logRanges: readonly AddressRange[];
  /** Files for the profile. */
  profiles: ProfileFile[];
  symbols: { file: string; base: number; typed: string }[];
  noReboot: boolean;
  noShutdown: boolean;
  startPaused: boolean;
  gdb: { host: string; port: number; typed: string } | undefined;
}

/** A request to print a list instead of running: `-cpu help` and the like. */
export interface ListRequest {
  readonly list:
    'machine' | 'cpu' | 'device' | 'device-properties' | 'log' | 'accel' | 'accel-properties' | 'display' | 'chardev';
  readonly of?: string;
}

export type Interpreted = { readonly config: MachineConfig } | ListRequest;

function initialConfig(arch: option.Arch): MachineConfig {
  return {
    arch,
    machine: 'pc',
    acpi: true,
    cpu: '',
    memorySize: option.DEFAULT_MEMORY,
    maxRamBelow4g: undefined,
    memoryIsDefault: true,
    optimisations: {},
    translationCache: false,
    compileThread: false,
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
    seed: undefined,
    logItems: new Set(),
    logFile: undefined,
    logRanges: [],
    profiles: [],
    symbols: [],
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

/** Interprets all tokens in order. `arch` is what `--arch` may change. */
export function interpret(tokens: Tokens, arch: option.Arch = 'i386'): Interpreted {
  const state: State = {
    config: initialConfig(arch),
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
      return option.machineOption(config, token);
    case 'cpu':
      if (value === 'help' || value === '?') return { list: 'cpu' };
      config.cpu = value;
      return undefined;
    case 'arch':
      option.archOption(config, token);
      return undefined;
    case 'm':
      option.memoryOption(config, token);
      return undefined;
    case 'smp':
      option.smpOption(token);
      return undefined;
    case 'accel':
      return accelOption(config, token);
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
      option.actionOption(config, token);
      return undefined;
    case 'nographic':
      config.nographic = true;
      return undefined;
    case 'display':
      return option.displayOption(token);
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
      option.globalOption(config, token);
      return undefined;
    case 'rtc':
      config.rtc = parseRtc(token, config.rtc);
      return undefined;
    case 'icount':
      option.icountOption(config, token);
      return undefined;
    case 'seed':
      config.seed = parseInteger(value);
      if (config.seed === undefined)
        throw new OptionError(`${token.typed}: Invalid seed number: '${value}'`, 'a number, for example -seed 1');
      return undefined;
    case 'S':
      config.startPaused = true;
      return undefined;
    case 's':
      config.gdb = { host: '127.0.0.1', port: 1234, typed: token.typed };
      return undefined;
    case 'gdb':
      option.gdbOption(config, token);
      return undefined;
    case 'd':
      return option.logOption(config, token);
    case 'D':
      config.logFile = value;
      return undefined;
    case 'profile':
      config.profiles.push(profileFile(token));
      return undefined;
    case 'symbols':
      config.symbols.push(symbolsOption(token));
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
  if (config.cpu === '') config.cpu = option.DEFAULT_CPU[config.arch];
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
