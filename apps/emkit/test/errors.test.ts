/** What a user sees when something is wrong: QEMU's line first, the remedy below, exit code 1, nothing on stdout. */
import { describe, expect, it } from 'vitest';
import { runCli } from './run-cli.ts';

const CASES: readonly (readonly [readonly string[], string, string])[] = [
  [['-foo'], 'emkit: -foo: invalid option', 'all options: emkit -help'],
  [['-kernl', 'x'], 'emkit: -kernl: invalid option', 'did you mean -kernel?'],
  [['-drvie', 'file=x'], 'emkit: -drvie: invalid option', 'emkit -help'],
  [['-demo'], 'emkit: -demo: invalid option', 'did you mean --demo?'],
  [['-m'], 'emkit: -m: requires an argument', 'emkit -m [size=]N'],
  [
    ['-m', '99T'],
    "emkit: cannot set up guest memory 'pc.ram': Cannot allocate memory",
    '-m 99T: a guest has at most 3952 MiB',
  ],
  [['-m', 'foo'], "emkit: -m foo: Parameter 'size' expects a non-negative number below 2^64", 'for example -m 512'],
  [['-m', '64,slots=2'], 'emkit: -m 64,slots=2: memory hotplug is not supported', 'emkit -m SIZE'],
  [
    ['-smp', '4'],
    "emkit: Invalid SMP CPUs 4. The max CPUs supported by machine 'pc' is 1",
    'several CPUs come in a later version',
  ],
  [['--arch', 'x86-64'], 'emkit: --arch x86-64: unknown architecture', 'did you mean x86_64?'],
  [['-smp', '4x'], "emkit: Parameter 'smp.cpus' expects integer", '-smp 4x'],
  [['-M', 'q35'], 'emkit: unsupported machine type', 'Use -machine help to list supported machines'],
  [['-M', 'pc,foo=1'], "emkit: Property 'pc-machine.foo' not found", 'accel, acpi'],
  [
    ['-M', 'pc,max-ram-below-4g=5G'],
    "emkit: Machine option 'max-ram-below-4g=5368709120' expects size less than or equal to 4G",
    'max-ram-below-4g=2G',
  ],
  [
    ['-M', 'pc,max-ram-below-4g=2'],
    "emkit: Parameter 'max-ram-below-4g' expects a size of at least 1M",
    'max-ram-below-4g=2G',
  ],
  [['-accel', 'kvm'], 'emkit: -accel kvm: invalid accelerator kvm', 'tcg only'],
  [['-accel', 'tcg,foo=1'], "emkit: Property 'tcg-accel.foo' not found", 'list: emkit -accel tcg,help'],
  [['-accel', 'tcg,links=off'], "emkit: Property 'tcg-accel.links' not found", 'did you mean opt-links?'],
  [['-accel', 'tcg,opt-link=off'], "emkit: Property 'tcg-accel.opt-link' not found", 'did you mean opt-links?'],
  [
    ['-accel', 'tcg,opt-links=maybe'],
    "emkit: -accel tcg,opt-links=maybe: Parameter 'opt-links' expects 'on' or 'off'",
    '',
  ],
  [['-accel', 'tcg,translation=on'], "emkit: Property 'tcg-accel.translation' not found", 'translation-cache'],
  [
    ['-accel', 'tcg,translation-cache='],
    "emkit: -accel tcg,translation-cache=: Parameter 'translation-cache' expects 'on', 'off' or a directory",
    'translation-cache=on',
  ],
  [['-accel', 'tcg,thread=two'], "emkit: -accel tcg,thread=two: Invalid 'thread' setting two", 'thread=single'],
  [['-enable-kvm'], 'emkit: -enable-kvm: not supported', 'KVM is not supported'],
  [['-device', 'foo'], "emkit: -device foo: 'foo' is not a valid device model name", 'list: emkit -device help'],
  [
    ['-device', 'isa-debug-exti'],
    "emkit: -device isa-debug-exti: 'isa-debug-exti' is not a valid device model name",
    'did you mean isa-debug-exit?',
  ],
  [
    ['-device', 'isa-debug-exit,foo=1'],
    "emkit: -device isa-debug-exit,foo=1: Property 'isa-debug-exit.foo' not found",
    'isa-debug-exit,help',
  ],
  [
    ['-device', 'isa-debug-exit,iobase=zz'],
    "emkit: -device isa-debug-exit,iobase=zz: Parameter 'iobase' expects integer",
    'iobase: first port',
  ],
  [
    ['-kernel', '/no/such'],
    "emkit: could not open kernel file '/no/such': No such file or directory",
    '-kernel /no/such',
  ],
  [['-kernel', '/'], "emkit: could not open kernel file '/': Is a directory", '-kernel /'],
  [['-bios', '/no/such'], "emkit: could not load PC BIOS '/no/such'", '-bios /no/such'],
  [
    ['-kernel', '/bin/sh', '-initrd', '/no/such'],
    "emkit: could not open initrd '/no/such': No such file or directory",
    '-initrd /no/such',
  ],
  [['-append', 'x'], 'emkit: -append only allowed with -kernel option', 'emkit -kernel bzImage -append TEXT'],
  [['-initrd', 'x'], 'emkit: -initrd only allowed with -kernel option', 'emkit -kernel bzImage -initrd FILE'],
  [['-serial', 'foo'], "emkit: -serial foo: 'foo' is not a valid char driver", 'one of none, null, stdio'],
  [
    ['-serial', 'tcp::4444'],
    "emkit: -serial tcp::4444: 'tcp' is not supported in this version",
    'one of none, null, stdio',
  ],
  [
    ['-serial', 'file:/no/such/dir/x', '--demo'],
    "emkit: -serial file:/no/such/dir/x: Could not open '/no/such/dir/x': No such file or directory",
    'the folder must exist',
  ],
  [['-serial', 'chardev:c0'], 'emkit: -serial chardev:c0: chardev "c0" not found', '-chardev stdio,id=c0'],
  [
    ['-serial', 'stdio', '-debugcon', 'stdio'],
    'emkit: -debugcon stdio: cannot use stdio by multiple character devices',
    'file:PATH',
  ],
  [['-chardev', 'null'], 'emkit: -chardev null: chardev: no id specified', '-chardev null,id=con0'],
  [['-monitor', 'stdio'], 'emkit: -monitor stdio: there is no monitor in this version', '-monitor none'],
  [['-display', 'gtk'], "emkit: -display gtk: Parameter 'type' does not accept value 'gtk'", '-nographic'],
  [['-rtc', 'base=foo'], 'emkit: invalid datetime format', "valid formats: '2006-06-17T16:01:21' or '2006-06-17'"],
  [['-rtc', 'base=2023-02-30'], 'emkit: invalid datetime format', 'base=utc'],
  [['-rtc', 'foo=1'], "emkit: -rtc foo=1: Invalid parameter 'foo'", 'keys: base, clock, driftfix'],
  [['-rtc', 'clock=foo'], "emkit: invalid option value 'foo'", 'host, rt or vm'],
  [['-icount', 'foo'], 'emkit: -icount foo: icount: Invalid shift value', '0 to 10'],
  [['-icount', 'shift=99'], 'emkit: -icount shift=99: icount: Invalid shift value', '0 to 10'],
  [['-seed', 'dice'], "emkit: -seed dice: Invalid seed number: 'dice'", '-seed 1'],
  [['-d', 'in_sam'], "emkit: -d in_sam: unknown log item 'in_sam'", 'did you mean in_asm?'],
  [['-dfilter', 'foo'], 'emkit: -dfilter foo: Bad range specifier', '0x100000..0x1fffff'],
  [
    ['-D', '/no/such/x', '-d', 'int', '--demo'],
    'emkit: Error opening logfile /no/such/x: No such file or directory',
    '-D /no/such/x',
  ],
  [['-gdb', 'foo'], "emkit: -gdb foo: 'foo' is not a valid char driver", '-gdb tcp::1234'],
  [['-gdb', 'tcp::99999'], 'emkit: -gdb tcp::99999: port must be in the range 0 to 65535', '-gdb tcp::1234'],
  [['-dfilter', '0x10..0x5'], 'emkit: -dfilter 0x10..0x5: Invalid range', 'START+LENGTH'],
  [['--doctor=xml'], "emkit: --doctor=xml: unknown format 'xml'", 'emkit --doctor=json'],
  [['--explain=xml'], "emkit: --explain=xml: unknown format 'xml'", 'emkit --explain=json'],
  [['-name', 'foo,bar=1'], "emkit: -name foo,bar=1: Invalid parameter 'bar'", 'keys: guest'],
  [['-action', 'foo=1'], "emkit: -action foo=1: Invalid parameter 'foo'", 'reboot, shutdown, panic'],
  [['-drive', 'file=x'], 'emkit: -drive file=x: not supported', 'disks come in a later version'],
  [['disk.qcow2'], 'emkit: disk.qcow2: disk images are not supported in this version', 'emkit --demo'],
  [['-nic', 'user'], 'emkit: -nic user: not supported in this version', 'only "none" is accepted'],
  [['-cpu', 'nosuch', '--demo'], "emkit: unable to find CPU model 'nosuch'", 'list: emkit -cpu help'],
  [['--demo', '-kernel', 'x'], 'emkit: --demo: has a kernel of its own', 'leave out -kernel'],
  [['-nographic'], 'emkit: no bootable device: nothing to boot from', '--demo'],
  [['-help', 'drvie'], 'emkit: -help drvie: invalid option', 'emkit -help'],
  [['--completion', 'tcsh'], 'emkit: --completion tcsh: unknown shell', 'bash, zsh or fish'],
];

describe('errors', () => {
  it.each(CASES)('%j', async (args, first, below) => {
    const { code, out, err } = await runCli(args);
    expect(err.startsWith(first)).toBe(true);
    expect(err.slice(first.length)).toContain(below);
    expect(err).not.toMatch(/\bat .*\.ts:\d+/);
    expect(err.endsWith('\n')).toBe(true);
    expect(out).toBe('');
    expect(code).toBe(1);
  });
});
