/** `-o help`: a format's options, from its own table, as QEMU prints them. */
import type { BlockDriver, OptionSpec } from '@emkit/storage';

const TYPES: Record<OptionSpec['type'], string> = {
  string: 'str',
  size: 'size',
  bool: 'bool (on/off)',
  number: 'num',
  enum: 'str',
};

export function optionHelp(driver: BlockDriver, what: 'create' | 'amend'): string {
  const rows = (driver.createOptions ?? [])
    .filter((row) => what === 'create' || row.amendable === true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const head = what === 'create' ? 'Supported options:' : `Amend options for '${driver.name}':`;
  if (rows.length === 0)
    return what === 'create' ? `${head}\n` : `Format driver '${driver.name}' has no options to amend\n`;
  return `${[head, ...rows.map(line)].join('\n')}\n`;
}

function line({ name, type, help }: OptionSpec): string {
  return `${`  ${name}=<${TYPES[type]}>`.padEnd(24)} - ${help}`;
}
