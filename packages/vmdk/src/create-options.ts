/** `-o` options of `create`, in qemu-img 7.2's names, and their values checked. */
import { BlockError, type OptionSpec } from '@emkit/storage';

export const SUBFORMATS = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
] as const;

const ADAPTERS = ['ide', 'buslogic', 'lsilogic', 'legacyESX'] as const;

export const CREATE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'adapter_type',
    type: 'string',
    help: 'Virtual adapter type, can be one of ide (default), lsilogic, buslogic or legacyESX',
  },
  { name: 'backing_file', type: 'string', help: 'File name of a base image' },
  { name: 'backing_fmt', type: 'string', help: "Must be 'vmdk' if present" },
  { name: 'compat6', type: 'bool', default: 'off', help: 'VMDK version 6 image' },
  { name: 'hwversion', type: 'string', default: 'undefined', help: 'VMDK hardware version' },
  { name: 'toolsversion', type: 'string', help: 'VMware guest tools version' },
  {
    name: 'subformat',
    type: 'string',
    help: 'VMDK flat extent format, can be one of {monolithicSparse (default) | monolithicFlat | twoGbMaxExtentSparse | twoGbMaxExtentFlat | streamOptimized} ',
  },
  { name: 'zeroed_grain', type: 'bool', help: 'Enable efficient zero writes using the zeroed-grain GTE feature' },
];

export interface VmdkCreateOptions {
  readonly subformat: (typeof SUBFORMATS)[number];
  readonly isFlat: boolean;
  /** In files of 2 GiB. */
  readonly isSplit: boolean;
  readonly isCompressed: boolean;
  readonly zeroedGrains: boolean;
  readonly adapterType: (typeof ADAPTERS)[number];
  readonly hwVersion: string;
  readonly toolsVersion: string;
  readonly backingFile: string | undefined;
}

export function parseCreateOptions(options: Readonly<Record<string, string>>): VmdkCreateOptions {
  const values = new Map(Object.entries(options));
  for (const name of values.keys())
    if (!CREATE_OPTIONS.some((option) => option.name === name))
      throw new BlockError('invalid-option', `Invalid parameter '${name}'`, { field: name });
  const subformat = oneOf(SUBFORMATS, 'subformat', values.get('subformat') ?? 'monolithicSparse');
  const adapterType = oneOf(ADAPTERS, 'adapter_type', values.get('adapter_type') ?? 'ide');
  const isFlat = subformat.endsWith('Flat');
  const isCompat6 = isOn('compat6', values.get('compat6'));
  const zeroedGrains = isOn('zeroed_grain', values.get('zeroed_grain'));
  const backingFile = values.get('backing_file');
  const backingFormat = values.get('backing_fmt');
  // "undefined" is what QEMU's own table has as default
  const hwVersion = values.get('hwversion') === 'undefined' ? undefined : values.get('hwversion');
  if (isCompat6 && hwVersion !== undefined) throw invalid('compat6', 'compat6 cannot be enabled with hwversion set');
  if (backingFile !== undefined && isFlat) throw invalid('backing_file', "Flat image can't have backing file");
  if (backingFormat !== undefined && backingFormat !== 'vmdk')
    throw invalid('backing_fmt', 'backing_file must be a vmdk image');
  if (zeroedGrains && isFlat) throw invalid('zeroed_grain', "Flat image can't enable zeroed grain");
  return {
    subformat,
    isFlat,
    isSplit: subformat.startsWith('twoGb'),
    isCompressed: subformat === 'streamOptimized',
    zeroedGrains,
    adapterType,
    hwVersion: hwVersion ?? (isCompat6 ? '6' : '4'),
    toolsVersion: values.get('toolsversion') ?? '2147483647',
    backingFile: backingFile === '' ? undefined : backingFile,
  };
}

function oneOf<T extends string>(values: readonly T[], name: string, value: string): T {
  const found = values.find((known) => known === value);
  if (found === undefined) throw invalid(name, `invalid parameter value: ${value}`);
  return found;
}

function isOn(name: string, value: string | undefined): boolean {
  if (value === undefined || value === 'off') return false;
  if (value === 'on') return true;
  throw invalid(name, `Parameter '${name}' expects 'on' or 'off'`);
}

function invalid(field: string, message: string): BlockError {
  return new BlockError('invalid-option', message, { field });
}
