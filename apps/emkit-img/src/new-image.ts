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
  /** It is worth nothing if the program does not end well: do not wait for the disk. */
  readonly unsafe?: boolean;
}

/** Throws for an option that the format does not have. */
export function checkOptionNames({ driver, filename, options }: NewImage): void {
  const unknown = Object.keys(options).find((key) => !(driver.createOptions ?? []).some(({ name }) => name === key));
  if (unknown !== undefined)
    throw new ToolError(`${filename}: Invalid parameter '${unknown}'`, {
      hint: `the options of ${driver.name}: create -f ${driver.name} -o help`,
    });
}

/** Creates the file, or empties it; a file that was not there before is removed again if this fails. */
export async function createImage(environment: Environment, image: NewImage): Promise<void> {
  const { driver, filename, size, options } = image;
  if (driver.create === undefined)
    throw new ToolError(`Format driver '${driver.name}' does not support image creation`);
  checkOptionNames(image);
  const wasThere = environment.exists(filename);
  try {
    const storage = await openProtocol(filename, environment.block, { create: true });
    if (image.unsafe === true && storage.flush !== undefined) storage.flush = () => Promise.resolve();
    try {
      const secretId = options['encrypt.key-secret'] ?? options['key-secret'];
      await driver.create(storage, {
        size,
        options,
        resolver: createResolver(filename, environment.block),
        ...(secretId !== undefined ? { secret: () => environment.secret(secretId) } : {}),
      });
      if (image.unsafe !== true) await storage.flush?.();
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
  const rows = driver.createOptions ?? [];
  const values = rows.some(({ name }) => name === 'size') ? rows : [{ name: 'size', default: undefined }, ...rows];
  const parts = values.flatMap(({ name, default: fallback }) => {
    const value = name === 'size' ? String(size) : (options[name] ?? fallback);
    return value === undefined ? [] : [`${name}=${quoted(value)}`];
  });
  return `Formatting '${filename}', fmt=${driver.name} ${parts.join(' ')}\n`;
}

const quoted = (value: string): string => (value.includes(',') ? value.replaceAll(',', ',,') : value);
