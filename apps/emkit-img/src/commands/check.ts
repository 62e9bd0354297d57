/** `check`: looks for damage and repairs it; exit code 0 clean, 1 could not look, 2 corruptions, 3 leaks only, 63 the format has no check. */
import type { BlockImage, CheckResult, JsonValue } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { imageRequest, outputFormat } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { jsonText } from '../json-text.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

const NOT_SUPPORTED_EXIT = 63;

export const check: CommandBody = async (tool, { values, operands }) => {
  const output = outputFormat(values);
  const repair = values.text('repair');
  if (repair !== undefined && repair !== 'leaks' && repair !== 'all')
    throw new UsageError(`Unknown option value for -r (expecting 'leaks' or 'all'): ${repair}`);
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const quiet = values.has('quiet');
  const opened = await openImage(
    tool,
    imageRequest(values, filename, {
      cacheKey: 'sourceCache',
      backing: 'none',
      forCheck: true,
      writable: repair !== undefined,
    }),
  );
  try {
    const { image } = opened;
    if (image.check === undefined)
      throw new ToolError('This image format does not support checks', { exitCode: NOT_SUPPORTED_EXIT });
    let result = await run(image, tool, repair);
    let fixed: { leaks: number; corruptions: number } | undefined;
    if (result.leaksFixed > 0 || result.corruptionsFixed > 0) {
      fixed = { leaks: result.leaksFixed, corruptions: result.corruptionsFixed };
      if (output === 'human' && !quiet) {
        tool.print(
          'The following inconsistencies were found and repaired:\n\n' +
            `    ${fixed.leaks} leaked clusters\n    ${fixed.corruptions} corruptions\n\n` +
            'Double checking the fixed image now...\n',
        );
      }
      result = await run(image, tool, undefined);
    }
    if (!quiet) {
      if (output === 'json') tool.print(`${jsonText(checkJson(result, opened.displayName, image.driver, fixed))}\n`);
      else tool.print(checkText(result));
      if (output === 'human' && repair === undefined && result.corruptions + result.leaks > 0) {
        const what = result.corruptions > 0 ? 'all' : 'leaks';
        tool.note(`  to ${what === 'all' ? 'repair' : 'reclaim'}: ${tool.program} check -r ${what} ${filename}\n`);
      }
    }
    return result.checkErrors > 0 ? 1 : result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0;
  } finally {
    await opened.close();
  }
};

function run(image: BlockImage, tool: Tool, repair: 'leaks' | 'all' | undefined): Promise<CheckResult> {
  return image.check!({ repair, signal: tool.signal, report: (line) => tool.note(`${line}\n`) });
}

function checkText(r: CheckResult): string {
  const lines: string[] = [];
  if (r.corruptions + r.leaks + r.checkErrors === 0) lines.push('No errors were found on the image.');
  if (r.corruptions > 0)
    lines.push(
      '',
      `${r.corruptions} errors were found on the image.`,
      'Data may be corrupted, or further writes to the image may corrupt it.',
    );
  if (r.leaks > 0)
    lines.push(
      '',
      `${r.leaks} leaked clusters were found on the image.`,
      'This means waste of disk space, but no harm to data.',
    );
  if (r.checkErrors > 0) lines.push('', `${r.checkErrors} internal errors have occurred during the check.`);
  const { totalClusters: total = 0, allocatedClusters: allocated = 0 } = r;
  if (total !== 0 && allocated !== 0) {
    lines.push(
      `${allocated}/${total} = ${percent(allocated, total)} allocated, ${percent(r.fragmentedClusters ?? 0, allocated)} fragmented, ` +
        `${percent(r.compressedClusters ?? 0, allocated)} compressed clusters`,
    );
  }
  if (r.imageEndOffset !== undefined && r.imageEndOffset > 0) lines.push(`Image end offset: ${r.imageEndOffset}`);
  return `${lines.join('\n')}\n`;
}

/** C's "%.2f" of n * 100 / of: a half goes to the even digit. */
function percent(n: number, of: number): string {
  const exact = (n * 10_000) / of;
  const whole = Math.floor(exact);
  const rest = exact - whole;
  const hundredths = rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}%`;
}

function checkJson(
  r: CheckResult,
  filename: string,
  format: string,
  fixed: { leaks: number; corruptions: number } | undefined,
): { [key: string]: JsonValue } {
  const counts: [string, number | undefined][] = [
    ['image-end-offset', r.imageEndOffset],
    ['total-clusters', r.totalClusters],
    ['fragmented-clusters', r.fragmentedClusters],
    ['compressed-clusters', r.compressedClusters],
    ['allocated-clusters', r.allocatedClusters],
    ['corruptions', r.corruptions],
    ['leaks', r.leaks],
    ['corruptions-fixed', fixed?.corruptions],
    ['leaks-fixed', fixed?.leaks],
  ];
  // QEMU leaves out what is 0, but not the errors
  const shown = counts.filter((pair): pair is [string, number] => pair[1] !== undefined && pair[1] !== 0);
  return { ...Object.fromEntries(shown), 'check-errors': r.checkErrors, filename, format };
}
