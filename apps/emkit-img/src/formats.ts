/** Formats by name, with QEMU's words for a name that is none. */
import { allFormats } from '@emkit/block-node';
import type { BlockDriver } from '@emkit/storage';
import { ToolError } from './tool-error.ts';

/** `filename` begins the message where there is one. */
export function driverByName(name: string, filename?: string): BlockDriver {
  const registry = allFormats();
  const driver = registry.find(name);
  if (driver !== undefined) return driver;
  throw new ToolError(`${filename === undefined ? '' : `${filename}: `}Unknown file format '${name}'`, {
    hint: `supported: ${registry.drivers
      .map((d) => d.name)
      .sort()
      .join(' ')}`,
  });
}
