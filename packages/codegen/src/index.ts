export { ColdEncoder } from './cold-encoder.ts';
export { buildCoreModule } from './cold-module.ts';
export { codeTableSet, jumpCacheAddress, jumpCacheGroup } from './cold-probe.ts';
export type { CoreModuleOptions } from './cold-module.ts';
export type { TargetOffsets } from './cold-handlers.ts';
export { ENTERED } from './fault-entry.ts';
export type { FaultEntry } from './fault-entry.ts';
export { COLD } from './cold-ops.ts';
export { streamIsOf, unlink } from './cold-stream.ts';
export type { StreamIdentity } from './cold-stream.ts';
export {
  CODE,
  CTL,
  ENV_BASE,
  EXIT_KIND,
  EXIT_RECORDS,
  FIELD,
  GRANULES,
  HEADER,
  INDIRECT_SAMPLE,
  JUMP_CACHE,
  LINK,
  CODE_TABLE,
  LEAVE,
  RAM_BASE,
  REGION_PLACES,
  TARGET_HISTORY,
  TLB,
} from './layout.ts';
export { CODE_PAGES, IN_GLOBAL, IN_LOCAL, IS_GLOBAL, MAY_WRITE, MMU, PAGE_NUMBER } from './mmu-layout.ts';
export type { LargePage, PageLevel, PageMode, PageWalk } from './page-walk.ts';
export { isPlace } from './code-place.ts';
export { compileRegion } from './region.ts';
export type { RegionBlock, RegionInput, RegionOptions } from './region-input.ts';
