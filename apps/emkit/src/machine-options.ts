/**
 * The machine's simple options, one function each: checks the value and sets its field of the configuration.
 *
 * A function that can be asked for a list (`-machine help`) gives the request instead. Errors have QEMU's first line.
 */
import type { ListRequest, MachineConfig } from './machine-config.ts';
import { parseInteger, parseOnOff, parseSize } from './numbers.ts';
import { OptionError } from './option-error.ts';
import { LOG_ITEMS } from './option-table.ts';
import { didYouMean } from './suggest.ts';
import { parseKeyValues, type Token } from './tokenizer.ts';

const MIB = 1024 * 1024;
export const DEFAULT_MEMORY = 128 * MIB;
export const MIN_MEMORY = MIB;
/** Guest RAM lies in one WebAssembly memory, with the translated code and firmware. */
export const MAX_MEMORY = 3952 * MIB;
/** Names as in QEMU's commands. A guest of either kind runs on any model that has its instructions; only the default differs. */
export type Arch = 'i386' | 'x86_64';
export const DEFAULT_CPU: Readonly<Record<Arch, string>> = { i386: 'qemu32', x86_64: 'qemu64' };
export const MACHINES: readonly (readonly [string, string])[] = [
  ['pc', 'Standard PC (i440FX + PIIX, 1996) (default)'],
  ['pc-i440fx-7.2', 'alias of pc'],
];

export function machineOption(config: MachineConfig, token: Token): ListRequest | undefined {
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
    else if (key === 'max-ram-below-4g') config.maxRamBelow4g = maxRamBelow4g(token, value);
    else if (
      ['usb', 'hpet', 'vmport', 'graphics', 'smm', 'kernel-irqchip', 'dump-guest-core', 'mem-merge'].includes(key) &&
      value === 'off'
    )
      continue;
    else
      throw new OptionError(
        `Property 'pc-machine.${key}' not found`,
        `${token.typed}: properties are accel, acpi, max-ram-below-4g    (emkit -help machine)`,
      );
  }
  return undefined;
}

/** As QEMU's: without a suffix the number counts in bytes. */
function maxRamBelow4g(token: Token, value: string): number {
  const size = parseSize(value, 1);
  if (size === undefined || size < MIN_MEMORY || size % 4096 !== 0)
    throw new OptionError(
      `Parameter 'max-ram-below-4g' expects a size of at least 1M`,
      `${token.typed}: for example -machine pc,max-ram-below-4g=2G`,
    );
  if (size > 4096 * MIB)
    throw new OptionError(
      `Machine option 'max-ram-below-4g=${size}' expects size less than or equal to 4G`,
      `${token.typed}: for example -machine pc,max-ram-below-4g=2G`,
    );
  return size;
}

export function archOption(config: MachineConfig, token: Token): void {
  const { value } = token;
  if (value !== 'i386' && value !== 'x86_64')
    throw new OptionError(
      `${token.typed}: unknown architecture`,
      didYouMean(value ?? '', Object.keys(DEFAULT_CPU), '--arch i386, or --arch x86_64'),
    );
  config.arch = value;
}

/** Called as one of QEMU's commands, emkit is like it. */
export function archOfProgram(program: string): Arch {
  return program === 'qemu-system-x86_64' ? 'x86_64' : 'i386';
}

export function memoryOption(config: MachineConfig, token: Token): void {
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
      `${token.typed}: a guest has at most ${MAX_MEMORY / MIB} MiB, since its RAM and the translated code share a WebAssembly memory of 4 GiB; try -m 1G`,
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

export function smpOption(token: Token): void {
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

export function displayOption(token: Token): ListRequest | undefined {
  if (token.value === 'help' || token.value === '?') return { list: 'display' };
  if (token.value !== 'none')
    throw new OptionError(
      `${token.typed}: Parameter 'type' does not accept value '${token.value}'`,
      'there is no graphical display in this version; use -nographic or -display none',
    );
  return undefined;
}

export function actionOption(config: MachineConfig, token: Token): void {
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

export function globalOption(config: MachineConfig, token: Token): void {
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

export function icountOption(config: MachineConfig, token: Token): void {
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

export function gdbOption(config: MachineConfig, token: Token): void {
  const value = token.value ?? '';
  if (value === 'none') {
    config.gdb = undefined;
    return;
  }
  const m = /^tcp:([^:,]*|\[[0-9a-fA-F:]+\]):(\d+)(?:,.*)?$/.exec(value);
  const port = m === null ? NaN : Number(m[2]);
  if (m !== null && port > 65535)
    throw new OptionError(`${token.typed}: port must be in the range 0 to 65535`, 'for example -gdb tcp::1234');
  if (m === null)
    throw new OptionError(
      `${token.typed}: '${value.split(':')[0]}' is not a valid char driver`,
      'for example -gdb tcp::1234 (listens on 127.0.0.1)',
    );
  config.gdb = { host: m[1] === '' ? '127.0.0.1' : m[1]!.replace(/^\[|\]$/g, ''), port, typed: token.typed };
}

export function logOption(config: MachineConfig, token: Token): ListRequest | undefined {
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
