/** The services that a target's helpers get of the accelerator: memory, ports, TLB control. */
import { ENV_BASE } from '@emkit/codegen';
import type { TargetHost } from './target.ts';
import type { TcgOptions } from './tcg-options.ts';
import type { Tcg } from './tcg.ts';

export function targetHost(tcg: Tcg, o: TcgOptions): TargetHost {
  const { access, mmu, space } = tcg;
  return {
    memory: tcg.memory.buffer,
    envBase: ENV_BASE,
    currentEip: () => tcg.currentPc(),
    read8: (lin, user) => access.read8(lin, user),
    read16: (lin, user) => access.read16(lin, user),
    read32: (lin, user) => access.read32(lin, user),
    write8: (lin, v, user) => access.write8(lin, v, user),
    write16: (lin, v, user) => access.write16(lin, v, user),
    write32: (lin, v, user) => access.write32(lin, v, user),
    pointer: (lin, kind, user) => access.pointer(lin, kind, user),
    tlbHit: (lin, kind, user) => mmu.hit(lin, kind, user),
    physRead8: (pa) => space.read8(pa),
    physRead16: (pa) => space.read16(pa),
    physRead32: (pa) => space.read32(pa),
    physWrite8: (pa, v) => space.write8(pa, v),
    physWrite16: (pa, v) => space.write16(pa, v),
    physWrite32: (pa, v) => space.write32(pa, v),
    flushTlb: (global) => tcg.flushTlb(global),
    flushTlbPage: (lin) => tcg.flushTlbPage(lin),
    forgetSupervisorPage: (lin) => mmu.forgetPage(lin, 0),
    portIn: o.portIn,
    portOut: o.portOut,
    tsc: o.tsc,
    halt: () => undefined, // the target's own flag is looked at when the block ends
    shutdown: (reason) => tcg.shutdown(reason),
    acknowledgeInterrupt: o.acknowledgeInterrupt,
    watchpointsChanged: () => tcg.updateWatched(),
    ...(o.trace?.event !== undefined ? { trace: o.trace.event } : {}),
  };
}
