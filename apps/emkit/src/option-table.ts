/**
 * Every option of `emkit`, as data. The parser, -help, -help OPTION, -help=json and the completion scripts are made from it.
 *
 * Names and grammar are QEMU 7.2's; options of our own are written with two dashes only (`own`). `refused` marks options of QEMU
 * that are known and answered with a reason instead of "invalid option".
 */
export interface KeySpec {
  readonly key: string;
  readonly value: string;
  readonly help: string;
}

export interface OptionSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: Group;
  /** How the argument is shown; undefined = the option takes none. */
  readonly argument?: string;
  readonly help: string;
  /** Keys of a `key=value,...` argument; the first is the one that may be left out when `implied`. */
  readonly keys?: readonly KeySpec[];
  readonly implied?: string;
  /** Fixed words of the argument, for help and completion. */
  readonly values?: readonly (readonly [string, string])[];
  readonly repeatable?: true;
  readonly own?: true;
  /** Own options that also take `=VALUE`. */
  readonly format?: string;
  readonly refused?: string;
}

export type Group =
  'Machine' | 'Boot' | 'Console and serial' | 'Devices' | 'Time' | 'Debugging' | 'emkit' | 'Not in this version';

export const GROUPS: readonly Group[] = [
  'Machine',
  'Boot',
  'Console and serial',
  'Devices',
  'Time',
  'Debugging',
  'emkit',
];

const CHARDEV = 'none | null | stdio | mon:stdio | file:PATH | chardev:ID';
const NO_DISK = 'disks come in a later version; boot with -kernel and -initrd';
const NO_NET = 'there is no network device in this version; -nic none is accepted';
const NO_SCREEN = 'there is no graphical display in this version; use -nographic';
const NO_MONITOR = 'there is no monitor in this version; -monitor none is accepted';

const refused = (names: readonly string[], argument: string | undefined, why: string): OptionSpec[] =>
  names.map((name) => ({
    name,
    group: 'Not in this version' as const,
    ...(argument === undefined ? {} : { argument }),
    help: why,
    refused: why,
  }));

export const OPTIONS: readonly OptionSpec[] = [
  {
    name: 'machine',
    aliases: ['M'],
    group: 'Machine',
    argument: '[type=]NAME[,prop=value]',
    implied: 'type',
    help: 'the board; default pc (i440FX + PIIX3)',
    keys: [
      { key: 'type', value: 'pc', help: 'board, "help" lists them' },
      { key: 'accel', value: 'tcg', help: 'how guest code runs' },
      { key: 'acpi', value: 'on|off', help: 'give the guest ACPI tables (default on)' },
      { key: 'max-ram-below-4g', value: 'SIZE', help: 'RAM of that size is split around the PCI hole (default 3.5G)' },
    ],
    values: [
      ['pc', 'standard PC (i440FX + PIIX3)'],
      ['help', 'list boards'],
    ],
  },
  {
    name: 'cpu',
    group: 'Machine',
    argument: 'MODEL[,+FEATURE][,-FEATURE]',
    help: 'CPU model; default qemu32 or qemu64 (--arch), "help" lists them',
    values: [
      ['486', ''],
      ['pentium', ''],
      ['pentium3', ''],
      ['qemu32', 'default'],
      ['qemu64', 'default of --arch x86_64'],
      ['Nehalem', ''],
      ['Haswell', ''],
      ['EPYC', ''],
      ['x86-64-v2', 'level of the psABI'],
      ['x86-64-v3', 'level of the psABI'],
      ['max', 'everything we have'],
      ['help', 'list models and features'],
    ],
  },
  {
    name: 'arch',
    group: 'Machine',
    own: true,
    argument: 'i386|x86_64',
    help: 'what -cpu is by default: qemu32 (default) or qemu64, as with qemu-system-i386 and qemu-system-x86_64',
    values: [
      ['i386', 'default'],
      ['x86_64', ''],
    ],
    format: 'name',
  },
  {
    name: 'm',
    group: 'Machine',
    argument: '[size=]N[k|M|G]',
    implied: 'size',
    help: 'guest memory in MiB, or with a suffix; default 128',
    keys: [{ key: 'size', value: 'N[k|M|G]', help: 'MiB when no suffix is given' }],
  },
  {
    name: 'smp',
    group: 'Machine',
    argument: '[cpus=]N',
    implied: 'cpus',
    help: 'number of CPUs; 1 in this version',
    keys: [{ key: 'cpus', value: '1', help: 'CPUs' }],
  },
  {
    name: 'accel',
    group: 'Machine',
    argument: 'NAME[,prop=value]',
    implied: 'accel',
    help: 'accelerator; tcg, and what it may do',
    keys: [
      { key: 'accel', value: 'tcg', help: 'translate to WebAssembly' },
      { key: 'thread', value: 'single', help: 'one thread runs everything' },
      { key: 'compile-thread', value: 'on|off', help: 'compile hot code in a second thread (default off)' },
      { key: 'translation-cache', value: 'on|off|DIR', help: 'keep translations from run to run (default off)' },
      { key: 'opt-NAME', value: 'on|off', help: 'an optimisation, or opt-all; "tcg,help" lists them (default on)' },
    ],
    values: [
      ['tcg', 'translate to WebAssembly'],
      ['help', 'list'],
    ],
  },
  {
    name: 'name',
    group: 'Machine',
    argument: '[guest=]NAME',
    implied: 'guest',
    help: 'name of the guest, shown in messages',
    keys: [
      { key: 'guest', value: 'NAME', help: 'name' },
      { key: 'process', value: 'NAME', help: 'title of this process' },
      { key: 'debug-threads', value: 'on|off', help: 'accepted, no effect' },
    ],
  },
  { name: 'nodefaults', group: 'Machine', help: 'no serial port unless asked for' },
  { name: 'no-user-config', group: 'Machine', help: 'accepted: emkit reads no configuration files' },
  { name: 'no-acpi', group: 'Machine', help: 'no ACPI tables (same as -machine acpi=off)' },

  { name: 'kernel', group: 'Boot', argument: 'FILE', help: 'Linux bzImage, multiboot 1 kernel or PVH ELF kernel' },
  {
    name: 'initrd',
    group: 'Boot',
    argument: 'FILE',
    help: 'initial RAM disk; multiboot: FILE [ARGS],FILE2 [ARGS],...',
  },
  { name: 'append', group: 'Boot', argument: 'TEXT', help: 'kernel command line' },
  { name: 'bios', group: 'Boot', argument: 'FILE', help: 'firmware image, mapped below 4 GiB and below 1 MiB' },
  { name: 'no-reboot', group: 'Boot', help: 'leave when the guest resets' },
  { name: 'no-shutdown', group: 'Boot', help: 'pause instead of leaving when the guest powers off' },
  {
    name: 'action',
    group: 'Boot',
    argument: 'EVENT=ACTION[,...]',
    help: 'what guest events do',
    repeatable: true,
    keys: [
      { key: 'reboot', value: 'reset|shutdown', help: 'guest resets' },
      { key: 'shutdown', value: 'poweroff|pause', help: 'guest powers off' },
      {
        key: 'panic',
        value: 'shutdown|pause|none|exit-failure',
        help: 'guest cannot go on (triple fault with no reset)',
      },
    ],
  },

  {
    name: 'nographic',
    group: 'Console and serial',
    help: 'serial port and escape keys on this terminal (the default here)',
  },
  {
    name: 'display',
    group: 'Console and serial',
    argument: 'TYPE',
    help: 'none',
    values: [
      ['none', 'no screen'],
      ['help', 'list'],
    ],
  },
  {
    name: 'serial',
    group: 'Console and serial',
    argument: 'DEV',
    help: `COM1 to COM4, in order: ${CHARDEV}`,
    repeatable: true,
    values: [
      ['none', ''],
      ['null', ''],
      ['stdio', ''],
      ['mon:stdio', 'with escape keys'],
    ],
  },
  {
    name: 'monitor',
    group: 'Console and serial',
    argument: 'DEV',
    help: 'none (there is no monitor yet)',
    values: [['none', '']],
  },
  {
    name: 'debugcon',
    group: 'Console and serial',
    argument: 'DEV',
    help: `debug console at port 0xE9: ${CHARDEV}`,
    values: [
      ['stdio', ''],
      ['null', ''],
    ],
  },
  {
    name: 'chardev',
    group: 'Console and serial',
    argument: 'BACKEND,id=ID[,prop=value]',
    implied: 'backend',
    help: 'a named character device for -serial and -device',
    repeatable: true,
    keys: [
      { key: 'backend', value: 'stdio|file|null', help: 'kind' },
      { key: 'id', value: 'ID', help: 'name, required' },
      { key: 'path', value: 'PATH', help: 'file: where to write' },
      { key: 'append', value: 'on|off', help: 'file: keep what is there' },
      { key: 'mux', value: 'on|off', help: 'stdio: escape keys' },
      { key: 'signal', value: 'on|off', help: 'stdio: Ctrl-C stops emkit instead of going to the guest' },
    ],
  },
  {
    name: 'echr',
    group: 'Console and serial',
    argument: 'N',
    help: 'escape key as a character code; default 0x01 (Ctrl-A)',
  },
  { name: 'parallel', group: 'Console and serial', argument: 'none', help: 'accepted: none', values: [['none', '']] },
  { name: 'vga', group: 'Console and serial', argument: 'none', help: 'accepted: none', values: [['none', '']] },

  {
    name: 'device',
    group: 'Devices',
    argument: 'DRIVER[,prop=value]',
    help: 'add a device; "help" lists them, DRIVER,help its properties',
    repeatable: true,
    values: [
      ['isa-debug-exit', ''],
      ['isa-debugcon', ''],
      ['isa-serial', ''],
      ['help', 'list devices'],
    ],
  },
  {
    name: 'global',
    group: 'Devices',
    argument: 'DRIVER.PROP=VALUE',
    help: 'default of a device property',
    repeatable: true,
  },
  { name: 'nic', group: 'Devices', argument: 'none', help: 'accepted: none', values: [['none', '']] },
  { name: 'net', group: 'Devices', argument: 'none', help: 'accepted: none', values: [['none', '']] },

  {
    name: 'rtc',
    group: 'Time',
    argument: '[base=utc|localtime|DATE][,clock=host|rt|vm]',
    help: 'the CMOS clock',
    keys: [
      { key: 'base', value: 'utc|localtime|2006-06-17T16:01:21', help: 'time at start' },
      { key: 'clock', value: 'host|rt|vm', help: 'what drives it' },
      { key: 'driftfix', value: 'none|slew', help: 'accepted, no effect' },
    ],
  },
  {
    name: 'icount',
    group: 'Time',
    argument: '[shift=]N|auto[,sleep=on|off]',
    implied: 'shift',
    help: 'virtual time from executed instructions: 2^N ns each; runs repeat exactly',
    keys: [
      { key: 'shift', value: '0-10|auto', help: '2^N ns of guest time per instruction' },
      { key: 'sleep', value: 'on|off', help: 'keep pace with real time while the guest waits (default on)' },
      { key: 'align', value: 'on|off', help: 'accepted: off' },
    ],
  },
  {
    name: 'seed',
    group: 'Time',
    argument: 'NUMBER',
    help: "RDRAND's and RDSEED's numbers repeat from run to run; without: real random numbers",
  },

  { name: 'S', group: 'Debugging', help: 'do not start the CPU (wait for gdb)' },
  { name: 's', group: 'Debugging', help: 'same as -gdb tcp::1234' },
  {
    name: 'gdb',
    group: 'Debugging',
    argument: 'tcp:[HOST]:PORT',
    help: 'wait for gdb there; host defaults to 127.0.0.1',
    values: [
      ['tcp::1234', ''],
      ['none', ''],
    ],
  },
  {
    name: 'd',
    group: 'Debugging',
    argument: 'ITEM[,...]',
    help: 'log these items; "help" lists them',
    repeatable: true,
  },
  { name: 'D', group: 'Debugging', argument: 'FILE', help: 'log to FILE instead of stderr' },
  {
    name: 'dfilter',
    group: 'Debugging',
    argument: 'RANGE[,...]',
    help: 'log only code in START..END, START+LENGTH or START-LENGTH',
  },

  {
    name: 'profile',
    group: 'Debugging',
    own: true,
    argument: 'FILE',
    help: 'write where the time went to FILE at the end: .json (all of it), .txt (tables), or stacks of guest code for flame graphs: .folded, .speedscope.json',
    repeatable: true,
  },
  {
    name: 'symbols',
    group: 'Debugging',
    own: true,
    argument: '[file=]FILE[,base=ADDRESS]',
    implied: 'file',
    help: 'names for addresses in profiles: System.map, /proc/kallsyms or an ELF file',
    repeatable: true,
    keys: [
      { key: 'file', value: 'FILE', help: 'where the symbols are' },
      { key: 'base', value: 'ADDRESS', help: 'added to each address' },
    ],
  },
  {
    name: 'help',
    aliases: ['h'],
    group: 'emkit',
    help: 'this help; -help OPTION one option; -help=json the table',
    format: 'json',
  },
  { name: 'version', group: 'emkit', help: 'version' },
  { name: 'demo', group: 'emkit', own: true, help: 'boot the built-in guest on this terminal' },
  { name: 'doctor', group: 'emkit', own: true, help: 'check Node, terminal, memory, ports', format: 'json' },
  {
    name: 'explain',
    group: 'emkit',
    own: true,
    help: 'show the machine that the other options make, do not start it',
    format: 'json',
  },
  {
    name: 'completion',
    group: 'emkit',
    own: true,
    argument: 'SHELL',
    help: 'print a completion script: bash, zsh or fish',
    format: 'bash|zsh|fish',
    values: [
      ['bash', ''],
      ['zsh', ''],
      ['fish', ''],
    ],
  },

  ...refused(
    [
      'drive',
      'blockdev',
      'hda',
      'hdb',
      'hdc',
      'hdd',
      'cdrom',
      'fda',
      'fdb',
      'sd',
      'mtdblock',
      'pflash',
      'virtfs',
      'fsdev',
    ],
    'ARG',
    NO_DISK,
  ),
  ...refused(['snapshot'], undefined, NO_DISK),
  ...refused(['netdev', 'nic-user'], 'ARG', NO_NET),
  ...refused(['vnc', 'spice'], 'ARG', NO_SCREEN),
  ...refused(['full-screen', 'curses'], undefined, NO_SCREEN),
  ...refused(['qmp', 'qmp-pretty', 'mon'], 'ARG', NO_MONITOR),
  ...refused(
    ['enable-kvm'],
    undefined,
    'KVM is not supported in this version; guest code is translated to WebAssembly (-accel tcg)',
  ),
  ...refused(
    [
      'boot',
      'usbdevice',
      'audiodev',
      'audio',
      'k',
      'numa',
      'object',
      'loadvm',
      'incoming',
      'readconfig',
      'trace',
      'smbios',
      'acpitable',
      'option-rom',
      'L',
      'pidfile',
      'runas',
      'chroot',
      'watchdog',
      'tpmdev',
      'fw_cfg',
      'uuid',
      'set',
      'add-fd',
      'sandbox',
      'msg',
      'plugin',
      'semihosting-config',
      'dtb',
      'shim',
      'replay',
      'overcommit',
      'cpu-pm',
      'singlestep',
      'compat',
    ],
    'ARG',
    'not in this version',
  ),
  ...refused(
    ['usb', 'daemonize', 'no-hpet', 'no-fd-bootchk', 'win2k-hack', 'preconfig', 'only-migratable'],
    undefined,
    'not in this version',
  ),
];

const NOTHING_YET = 'accepted: nothing is logged yet';

/** Items of -d, QEMU's names. */
export const LOG_ITEMS: readonly (readonly [string, string])[] = [
  ['out_asm', 'generated WebAssembly (text form) of each compiled region'],
  ['in_asm', 'guest assembly of each translation block'],
  ['op', 'IR of each translation block, as translated'],
  ['op_opt', 'IR of each translation block, without what nobody sees'],
  ['int', 'interrupts and exceptions'],
  ['exec', 'each translation block when it is entered'],
  ['cpu', 'CPU registers before each translation block'],
  ['mmu', NOTHING_YET],
  ['pcall', NOTHING_YET],
  ['cpu_reset', 'CPU state before a reset, and at a triple fault'],
  ['unimp', NOTHING_YET],
  ['guest_errors', NOTHING_YET],
  ['profile', 'at the end: hot regions, why they were left, the cold tier, and where the time went (--symbols names addresses)'],
  ['nochain', 'accepted: exec and cpu see each block as it is'],
];
