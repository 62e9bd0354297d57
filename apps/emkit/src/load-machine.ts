/** Binds the machine port to the workspace packages, lazily: `emkit --version` and option errors never load the machine. */
import type { PcModule } from './machine-port.ts';

export async function loadMachine(): Promise<PcModule> {
  const pc: unknown = await import('@emkit/pc');
  const candidate = pc as Partial<PcModule>;
  if (typeof candidate.createPc !== 'function') throw new Error('@emkit/pc has no createPc');
  return candidate as PcModule;
}

/** Which protocol a kernel file asks for; decides whether -initrd names one file or a list. */
export async function probeKernel(kernel: Uint8Array): Promise<string | undefined> {
  const loader = await import('@emkit/loader');
  return loader.probeKernel(kernel);
}
