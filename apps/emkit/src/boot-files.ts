/** Reads the files that a machine boots from, with QEMU's words when one cannot be read. The loader judges their contents. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { systemErrorText } from './chardev.ts';
import { splitModules, type MachineConfig } from './machine-config.ts';
import { OptionError } from './option-error.ts';

export interface BootFiles {
  readonly kernel: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  readonly modules: readonly { readonly bytes: Uint8Array; readonly commandLine: string }[];
  readonly bios: { readonly name: string; readonly bytes: Uint8Array } | undefined;
}

function read(path: string, message: (why: string) => string, remedy: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new OptionError(message(systemErrorText(error)), remedy);
  }
}

/** `probe` tells whether a kernel takes several modules (multiboot, PVH) or one initrd (Linux). */
export async function readBootFiles(
  config: MachineConfig,
  probe: (kernel: Uint8Array) => Promise<string | undefined>,
): Promise<BootFiles> {
  if (config.demo) {
    const { demoGuest, DEMO_GUEST_NAME } = await import('@emkit/demo-guest');
    return { kernel: { name: DEMO_GUEST_NAME, bytes: demoGuest() }, modules: [], bios: undefined };
  }
  const { kernel: path, initrd, bios } = config;
  const kernel =
    path === undefined
      ? undefined
      : {
          name: path,
          bytes: read(
            path,
            (why) => `could not open kernel file '${path}': ${why}`,
            `-kernel ${path}: give the path of a bzImage or ELF kernel`,
          ),
        };
  const firmware =
    bios === undefined
      ? undefined
      : {
          name: basename(bios),
          bytes: read(
            bios,
            (why) => `could not load PC BIOS '${bios}': ${why}`,
            `-bios ${bios}: give the path of a firmware image`,
          ),
        };
  let modules: BootFiles['modules'] = [];
  if (kernel !== undefined && initrd !== undefined) {
    const list =
      (await probe(kernel.bytes)) === 'linux' ? [{ file: initrd, commandLine: initrd }] : splitModules(initrd);
    modules = list.map(({ file, commandLine }) => ({
      bytes: read(file, (why) => `could not open initrd '${file}': ${why}`, `-initrd ${initrd}`),
      commandLine,
    }));
  }
  return { kernel, modules, bios: firmware };
}
