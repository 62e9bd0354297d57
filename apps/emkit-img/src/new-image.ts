/** Makes an image file: the common part of `create`, `convert` and `dd`. */
import { createResolver, openProtocol } from '@emkit/block';
import { isBlockError, type BlockDriver } from '@emkit/storage';
import type { Environment } from './environment.ts';
import { ToolError } from './tool-error.ts';

export interface NewImage {
  readonly driver: BlockDriver;
  readonly filename: string;
  readonly size: number;
  /** `-o` values by name. */
  readonly options: Readonly<Record<string, string>>;
}

/** Creates the file, or empties it; a file that was not there before is removed again if this fails. */
export async function createImage(
  environment: Environment,
  { driver, filename, size, options }: NewImage,
): Promise<void> {
  if (driver.create === undefined)
    throw new ToolError(`Format driver '${driver.name}' does not support image creation`);
  const unknown = Object.keys(options).find((key) => !(driver.createOptions ?? []).some(({ name }) => name === key));
  if (unknown !== undefined)
    throw new ToolError(`${filename}: Invalid parameter '${unknown}'`, {
      hint: `the options of ${driver.name}: -f ${driver.name} -o help`,
    });
  const wasThere = environment.exists(filename);
  try {
    const storage = await openProtocol(filename, environment.block, { create: true });
    try {
      const secretId = options['encrypt.key-secret'] ?? options['key-secret'];
      await driver.create(storage, {
        size,
        options,
        resolver: createResolver(filename, environment.block),
        ...(secretId !== undefined ? { secret: () => environment.secret(secretId) } : {}),
      });
      await storage.flush?.();
    } finally {
      await storage.close?.();
    }
  } catch (error) {
    if (!wasThere) environment.remove(filename);
    if (!isBlockError(error) || error.kind === 'aborted') throw error;
    throw new ToolError(`${filename}: ${error.message}`, { hint: error.hint, cause: error });
  }
}

/** `Formatting 'x', fmt=qcow2 size=...`: what is made, with the values that apply where nothing was said. */
export function formattingLine({ driver, filename, size, options }: NewImage): string {
  const parts = (driver.createOptions ?? []).flatMap(({ name, default: fallback }) => {
    const value = name === 'size' ? String(size) : (options[name] ?? fallback);
    return value === undefined ? [] : [`${name}=${quoted(value)}`];
  });
  return `Formatting '${filename}', fmt=${driver.name} ${parts.join(' ')}\n`;
}

const quoted = (value: string): string => (value.includes(',') ? value.replaceAll(',', ',,') : value);
