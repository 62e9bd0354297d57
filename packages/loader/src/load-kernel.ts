/**
 * One door for every kernel format: recognise, plan, place. The order is QEMU's: Linux (HdrS), multiboot, PVH ELF.
 */
import { commitPlan, type BootPlan, type BootProtocol, type BootRequest } from './boot-plan.ts';
import { isElf, parseElf } from './elf.ts';
import type { GuestRam } from './guest-ram.ts';
import { planLinux } from './linux-boot.ts';
import { isLinuxImage } from './linux-header.ts';
import { LoadError } from './load-error.ts';
import { findMultibootHeader, planMultiboot } from './multiboot.ts';
import { planPvh, pvhEntry } from './pvh.ts';

/** The protocol a file asks for, or undefined when no loader here takes it. Never throws. */
export function probeKernel(image: Uint8Array): BootProtocol | undefined {
  if (isLinuxImage(image)) return 'linux';
  if (findMultibootHeader(image) !== undefined) return 'multiboot';
  if (!isElf(image)) return undefined;
  try {
    return pvhEntry(parseElf(image)) === undefined ? undefined : 'pvh';
  } catch {
    return undefined;
  }
}

/** Makes the whole plan, or throws a `LoadError`; touches no guest memory. */
export function planBoot(request: BootRequest): BootPlan {
  const image = request.kernel.bytes;
  if (isLinuxImage(image)) return planLinux(request);
  if (findMultibootHeader(image) !== undefined) return planMultiboot(request);
  // planPvh names what is wrong with an ELF file, also when only its note is missing.
  if (isElf(image)) return planPvh(request);
  if (image.length === 0) throw new LoadError('truncated', 'the kernel file is empty');
  throw new LoadError(
    'not-a-kernel',
    'invalid kernel header',
    'a bzImage, a multiboot kernel or an ELF kernel with a PVH note is needed',
  );
}

/** `planBoot` and `commitPlan`. */
export function loadKernel(request: BootRequest, ram: GuestRam): BootPlan {
  const plan = planBoot(request);
  commitPlan(plan, ram);
  return plan;
}
