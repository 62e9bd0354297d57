/** The help text, from the option table. */
import { OPTION_GROUPS, type OptionRow } from './option-table.ts';

const names = ({ short, long, value }: OptionRow): string =>
  `${short === undefined ? '    ' : `-${short}, `}--${long}${value === undefined ? '' : `=${value}`}`;

export function helpText(program: string): string {
  const shown = OPTION_GROUPS.map(({ title, rows }) => ({
    title,
    rows: rows.filter((row) => row.refused === undefined),
  }));
  const width = Math.max(...shown.flatMap(({ rows }) => rows.map((row) => names(row).length)));
  return [
    `Usage: ${program} [OPTIONS] IMAGE`,
    `  or:  ${program} [OPTIONS] NAME=IMAGE NAME=IMAGE...`,
    `  or:  ${program} -L [OPTIONS]`,
    'Serves disk images to NBD clients.',
    '',
    'Examples:',
    `  ${program} -f qcow2 disk.qcow2                    one client on nbd://localhost, then the end`,
    `  ${program} -t -e 0 -r -k /run/user/1000/nbd a=a.vmdk b=b.raw`,
    `  ${program} -L -k /run/user/1000/nbd`,
    ...shown.flatMap(({ title, rows }) => [
      '',
      `${title}:`,
      ...rows.map((row) => `  ${names(row).padEnd(width)}  ${row.help}`),
    ]),
    '',
    'The protocol has no password: whoever reaches the socket has the disk.',
    '',
  ].join('\n');
}
