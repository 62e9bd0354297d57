/** Writes a descriptor, in the order and words that QEMU and VMware's tools write. Virtual Disk Format 5.0 "The Descriptor File". */
import { BlockError } from '@emkit/storage';
import type { Descriptor } from './descriptor.ts';
import { formatExtent } from './descriptor-extent.ts';

/** UTF-8 text with LF. Throws `invalid-option` if a value would not be read back as it is. */
export function formatDescriptor(descriptor: Descriptor): string {
  const { parentFileNameHint: hint, encoding } = descriptor;
  const lines = ['# Disk DescriptorFile', `version=${descriptor.version}`];
  if (encoding !== undefined) lines.push(`encoding="${plain(encoding)}"`);
  lines.push(`CID=${hex(descriptor.cid)}`, `parentCID=${hex(descriptor.parentCid)}`);
  lines.push(`createType="${plain(descriptor.createType)}"`);
  if (hint !== undefined) lines.push(`parentFileNameHint="${plain(hint)}"`);
  for (const [key, value] of descriptor.other) lines.push(`${plain(key)}="${plain(value)}"`);
  if (hint === undefined) lines.push('');
  lines.push('# Extent description');
  for (const extent of descriptor.extents) {
    if (extent.name !== undefined) plain(extent.name);
    lines.push(formatExtent(extent));
  }
  lines.push('', '# The Disk Data Base', '#DDB', '');
  for (const [key, value] of descriptor.ddb) lines.push(`${plain(key)} = "${plain(value)}"`);
  return lines.join('\n') + '\n';
}

/** Eight digits, so that another CID fits into the place. */
export function hex(cid: number): string {
  return cid.toString(16).padStart(8, '0');
}

function plain(value: string): string {
  for (const char of value)
    if (char === '"' || char === '\n' || char === '\r' || char === '\0')
      throw new BlockError('invalid-option', `a descriptor cannot hold ${JSON.stringify(value)}`);
  return value;
}
