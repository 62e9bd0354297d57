/** `-L`: what another server offers, in qemu-nbd's layout. */
import { listNbdExports, type ListedExport } from '@emkit/nbd';
import { connectTcp, connectUnix } from '@emkit/storage-node';
import type { ListOptions } from './options.ts';
import type { Tool } from './tool.ts';

/** By bit, as qemu-nbd names them. */
const FLAG_NAMES = [
  undefined,
  'readonly',
  'flush',
  'fua',
  'rotational',
  'trim',
  'zeroes',
  'df',
  'multi',
  'resize',
  'cache',
  'fast-zero',
];

export async function listExports(tool: Tool, { address }: ListOptions): Promise<number> {
  const { signal } = tool;
  const stream =
    address.type === 'unix'
      ? await connectUnix(address.path, { signal })
      : await connectTcp(address.host ?? 'localhost', address.port, { signal });
  tool.print(listText(await listNbdExports(stream, { signal })));
  return 0;
}

export function listText(exports: readonly ListedExport[]): string {
  const lines = [`exports available: ${exports.length}`];
  for (const { name, description, info, contexts } of exports) {
    lines.push(` export: '${safe(name)}'`);
    if (description !== undefined && description !== '') lines.push(`  description: ${safe(description)}`);
    if (info !== undefined) {
      const flags = FLAG_NAMES.filter((flag, bit) => flag !== undefined && (info.flags & (1 << bit)) !== 0);
      lines.push(`  size:  ${info.size}`, `  flags: 0x${info.flags.toString(16)} ( ${flags.join(' ')} )`);
      if (info.blockSizes !== undefined)
        lines.push(
          `  min block: ${info.blockSizes.minimum}`,
          `  opt block: ${info.blockSizes.preferred}`,
          `  max block: ${info.blockSizes.maximum}`,
        );
    }
    if (contexts.length > 0) lines.push(`  available meta contexts: ${contexts.length}`);
    for (const context of contexts) lines.push(`   ${safe(context)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** A server's text on somebody's terminal: no control characters. */
const safe = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\x${(c.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`);
