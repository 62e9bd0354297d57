/**
 * --explain: the machine that a command line makes, with the defaults filled in, and the long form of the command. Starts nothing.
 */
import { accelText } from './accel-option.ts';
import type { Chardev } from './chardev-option.ts';
import type { MachineConfig } from './machine-config.ts';

interface Part {
  readonly device: string;
  readonly where: string;
  readonly interrupt: string;
}

const FIXED: readonly Part[] = [
  { device: 'i440FX host bridge', where: 'PCI 00:00.0, ports 0xcf8-0xcff', interrupt: '' },
  { device: 'PIIX3 ISA bridge', where: 'PCI 00:01.0', interrupt: '' },
  { device: 'PIIX4 power management', where: 'PCI 00:01.3, ports 0x600-0x63f', interrupt: '9' },
  { device: 'local APIC', where: '0xfee00000', interrupt: '' },
  { device: 'IO-APIC', where: '0xfec00000', interrupt: '' },
  { device: 'i8259 pair', where: 'ports 0x20-0x21, 0xa0-0xa1, 0x4d0-0x4d1', interrupt: '2' },
  { device: 'i8254 timer, speaker gate', where: 'ports 0x40-0x43, 0x61', interrupt: '0' },
  { device: 'i8042 keyboard controller', where: 'ports 0x60, 0x64', interrupt: '1, 12' },
  { device: 'MC146818 clock, CMOS', where: 'ports 0x70-0x71', interrupt: '8' },
  { device: 'i8237 DMA pair', where: 'ports 0x00-0x0f, 0x80-0x8f, 0xc0-0xdf', interrupt: '' },
  { device: 'port 92 (A20, reset)', where: 'port 0x92', interrupt: '' },
  { device: 'fw_cfg', where: 'ports 0x510-0x51b', interrupt: '' },
];

const SERIAL: readonly (readonly [string, string])[] = [
  ['0x3f8-0x3ff', '4'],
  ['0x2f8-0x2ff', '3'],
  ['0x3e8-0x3ef', '4'],
  ['0x2e8-0x2ef', '3'],
];

function chardevText(chardev: Chardev): string {
  switch (chardev.kind) {
    case 'none':
      return 'none';
    case 'null':
      return 'null';
    case 'stdio':
      return chardev.mux ? 'mon:stdio' : 'stdio';
    case 'file':
      return `file:${chardev.path}`;
  }
}

export function machineParts(config: MachineConfig): readonly Part[] {
  const parts = [...FIXED];
  config.serial.forEach((chardev, i) => {
    if (chardev.kind !== 'none')
      parts.push({
        device: `16550A serial COM${i + 1} -> ${chardevText(chardev)}`,
        where: `ports ${SERIAL[i]![0]}`,
        interrupt: SERIAL[i]![1],
      });
  });
  if (config.debugcon !== undefined)
    parts.push({ device: `debug console -> ${chardevText(config.debugcon)}`, where: 'port 0xe9', interrupt: '' });
  for (const device of config.devices) {
    const base =
      device.properties.get('iobase') ??
      (device.driver === 'isa-debug-exit' ? '0x501' : device.driver === 'isa-debugcon' ? '0xe9' : '');
    parts.push({ device: device.driver, where: base === '' ? 'next free' : `port ${base}`, interrupt: '' });
  }
  return parts;
}

const quote = (word: string): string =>
  /^[A-Za-z0-9_./:=,+@%-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`;

/** The same machine with nothing left to defaults. */
export function longForm(config: MachineConfig, program: string): string {
  const words = [
    program,
    '-machine',
    `pc,accel=tcg,acpi=${config.acpi ? 'on' : 'off'}${config.maxRamBelow4g === undefined ? '' : `,max-ram-below-4g=${config.maxRamBelow4g}`}`,
    '-cpu',
    config.cpu,
    '-m',
    `${config.memorySize / 1048576}`,
    '-smp',
    '1',
    '-display',
    'none',
  ];
  const accel = accelText(config);
  if (accel !== '') words.push('-accel', `tcg${accel}`);
  if (config.demo) words.push('--demo');
  if (config.kernel !== undefined) words.push('-kernel', config.kernel);
  if (config.initrd !== undefined) words.push('-initrd', config.initrd);
  if (config.append !== undefined) words.push('-append', config.append);
  if (config.bios !== undefined) words.push('-bios', config.bios);
  for (const chardev of config.serial) words.push('-serial', chardevText(chardev));
  if (config.debugcon !== undefined) words.push('-debugcon', chardevText(config.debugcon));
  for (const device of config.devices)
    words.push(
      '-device',
      [device.driver, ...[...device.properties].map(([k, v]) => `${k}=${v.replace(/,/g, ',,')}`)].join(','),
    );
  const { rtc } = config;
  words.push(
    '-rtc',
    `base=${rtc.startMs === undefined ? rtc.zone : new Date(rtc.startMs).toISOString().slice(0, 19)},clock=${rtc.clock}`,
  );
  if (config.icount !== undefined)
    words.push('-icount', `shift=${config.icount.shift},sleep=${config.icount.sleep ? 'on' : 'off'}`);
  if (config.seed !== undefined) words.push('-seed', `${config.seed}`);
  if (config.logItems.size > 0) words.push('-d', [...config.logItems].join(','));
  if (config.logFile !== undefined) words.push('-D', config.logFile);
  if (config.noReboot) words.push('-no-reboot');
  if (config.noShutdown) words.push('-no-shutdown');
  if (config.startPaused) words.push('-S');
  if (config.gdb !== undefined) words.push('-gdb', `tcp:${config.gdb.host}:${config.gdb.port}`);
  return words.map(quote).join(' ');
}

export function explainText(config: MachineConfig, program: string): string {
  const rows: (readonly [string, string])[] = [
    ['board', 'pc: i440FX + PIIX3'],
    ['cpu', `1 x ${config.cpu}`],
    ['memory', `${config.memorySize / 1048576} MiB${config.memoryIsDefault ? ' (default)' : ''}`],
    ['accelerator', `tcg: translated to WebAssembly${accelText(config).replace(/,/g, ' ')}`],
    [
      'boots',
      config.demo
        ? 'the built-in demo guest (multiboot)'
        : (config.kernel ?? config.bios ?? 'nothing: no -kernel, no -bios'),
    ],
  ];
  if (config.initrd !== undefined) rows.push(['initrd', config.initrd]);
  if (config.append !== undefined) rows.push(['command line', config.append]);
  rows.push([
    'clock',
    `${config.rtc.startMs === undefined ? config.rtc.zone : new Date(config.rtc.startMs).toISOString().slice(0, 19)}, driven by ${config.rtc.clock}`,
  ]);
  if (config.icount !== undefined)
    rows.push(['icount', `2^${config.icount.shift} ns an instruction; runs repeat exactly`]);
  if (config.seed !== undefined) rows.push(['random numbers', `from seed ${config.seed}: no secrets`]);
  rows.push(
    ['on reset', config.noReboot ? 'leave' : 'start again'],
    ['on power-off', config.noShutdown ? 'pause' : 'leave'],
  );
  if (config.gdb !== undefined)
    rows.push(['gdb', `${config.gdb.host}:${config.gdb.port}${config.startPaused ? ', CPU not started' : ''}`]);
  const parts = machineParts(config).map((p) =>
    `  ${p.device.padEnd(36)} ${p.where.padEnd(42)} ${p.interrupt === '' ? '' : `irq ${p.interrupt}`}`.trimEnd(),
  );
  return [
    ...rows.map(([a, b]) => `${a.padEnd(14)} ${b}`),
    '',
    'devices',
    ...parts,
    '',
    'in full',
    `  ${longForm(config, program)}`,
    '',
  ].join('\n');
}

export function explainJson(config: MachineConfig, program: string): string {
  const { logItems, devices, logRanges, ...rest } = config;
  const value = {
    ...rest,
    logItems: [...logItems],
    logRanges,
    devices: devices.map((d) => ({ driver: d.driver, properties: Object.fromEntries(d.properties) })),
    parts: machineParts(config),
    command: longForm(config, program),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}
