/** Help texts, made from the command table. */
import type { CommandSpec, OptionRow } from './command.ts';
import { COMMANDS } from './command-table.ts';
import { VERSION } from './version.ts';

export function versionText(program: string): string {
  return `${program} version ${VERSION}\n`;
}

export function generalHelp(program: string): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    `${program} version ${VERSION}`,
    `usage: ${program} [standard options] command [command options]`,
    'Disk image utility: creates, converts, checks and changes disk images.',
    '',
    "    '-h', '--help'       display this help and exit",
    "    '-V', '--version'    output version information and exit",
    '',
    'Examples:',
    `  ${program} create -f qcow2 disk.qcow2 20G`,
    `  ${program} convert -p -O qcow2 disk.vmdk disk.qcow2`,
    `  ${program} info --output=json disk.qcow2`,
    '',
    `Commands (${program} COMMAND --help for each):`,
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Command syntax:',
    ...COMMANDS.map((spec) => `  ${syntax(spec)}`),
    '',
    "Sizes are bytes, or have one of the suffixes k, M, G, T, P, E (powers of 1024). A format's own options: -o help.",
    'Supported formats: luks qcow2 qed raw vmdk',
    '',
  ].join('\n');
}

export function commandHelp(program: string, spec: CommandSpec): string {
  const left = spec.options.map(leftColumn);
  const width = Math.min(32, Math.max(...left.map((text) => text.length)));
  return [
    `usage: ${program} ${syntax(spec)}`,
    `${spec.summary}.`,
    '',
    'Examples:',
    ...spec.examples.map((line) => `  ${program} ${line}`),
    '',
    'Options:',
    ...spec.options.map(
      (row, i) =>
        `  ${(left[i] as string).padEnd(width)}  ${row.help}${row.isList === true ? ' (may be given again)' : ''}`,
    ),
    '',
  ].join('\n');
}

function leftColumn({ short, long, arg }: OptionRow): string {
  const names = [short === undefined ? '  ' : `-${short}`, ...(long === undefined ? [] : [`--${long}`])];
  const text = short === undefined ? `    --${long as string}` : names.join(', ');
  return arg === undefined ? text : `${text} ${arg}`;
}

function syntax(spec: CommandSpec): string {
  const options = spec.options.map(({ short, long, arg }) => {
    const name = short !== undefined ? `-${short}` : `--${long as string}`;
    return `[${name}${arg === undefined ? '' : short !== undefined ? ` ${arg}` : `=${arg}`}]`;
  });
  return [spec.name, ...options, spec.operands].join(' ');
}
