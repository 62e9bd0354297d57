/**
 * The core module's way from a pc to a block: the jump cache, by linear address; behind it the table of blocks by host address, which outlives
 * changes of the mappings and is asked through the TLB.
 */
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import type { TargetOffsets } from './cold-handlers.ts';
import { PLACE_TYPE, pushIsPlace, pushLong } from './code-place.ts';
import { CODE_TABLE, CTL, ENV_BASE, HEADER, JUMP_CACHE, PAGE_BITS, PAGE_MASK, TLB } from './layout.ts';
import type { FaultEntry } from './fault-entry.ts';
import { MMU } from './mmu-layout.ts';
import type { PageWalk } from './page-walk.ts';

const I32 = VALTYPE.i32;
/** Entries of the jump cache that blocks of one page share. */
const GROUP_ENTRIES = JUMP_CACHE.ENTRIES / JUMP_CACHE.GROUPS;
const GROUP_BITS = Math.log2(GROUP_ENTRIES);

/** What the core module must know of a target. */
export interface CoreModuleOptions {
  readonly offsets: TargetOffsets;
  /** Mask of flag bits that name the privilege level, and the value that selects the user TLB. */
  readonly userMask: number;
  readonly userValue: number;
  /** Flag bits under which the CS base's word is the high half of the pc; 0: never. */
  readonly windowMask: number;
  /** Page tables of the guest, for a walker in the module; without: each TLB miss goes to script. */
  readonly pageWalk?: PageWalk | undefined;
  /** How page faults are delivered that the walker finds; without: by script. */
  readonly faultEntry?: FaultEntry | undefined;
  /** Exits of regions and entries of the jump cache have links, see LINK. */
  readonly regionLinks: boolean;
  /** Each exit is counted in its record, not only INDIRECT_SAMPLE of those of kind INDIRECT: for a profiler. */
  readonly countsExits: boolean;
}

/** probe(pc) -> block header or 0: the block for the current flags and CS base. What the table knows goes into the jump cache. */
export function buildProbe(f: FunctionBuilder, options: CoreModuleOptions, fill: number | undefined): void {
  const pc = 0;
  const key = keyLocals(f);
  const { e, linear, csBase, flags } = key;
  const header = f.addLocal(I32);
  jumpCacheHit(f, options, { ...key, header }, () => f.get(pc));
  f.if_();
  takePlace(f, e);
  f.get(header).return_();
  f.end();
  const place = f.addLocal(PLACE_TYPE);
  findByHost(f, options, { pc, linear, csBase, flags, header, place }, fill);
  f.i32Const(0).get(place).store(OP.i64_store, 3, CTL.PLACE);
  f.get(e).get(place).store(OP.i64_store, 3, JUMP_CACHE.PLACE);
  f.get(e).get(linear).store(OP.i32_store, 2, JUMP_CACHE.PC);
  f.get(e).get(flags).store(OP.i32_store, 2, JUMP_CACHE.FLAGS);
  f.get(e).get(header).i32Const(JUMP_CACHE.CODE_SHIFT).op(OP.i32_shl);
  f.i32Const(CTL.GENERATION).load(OP.i32_load, 2, 0).op(OP.i32_or).store(OP.i32_store, 2, JUMP_CACHE.CODE);
  f.get(e).get(csBase).store(OP.i32_store, 2, JUMP_CACHE.CS_BASE);
  f.get(e).i32Const(0).store(OP.i32_store, 2, JUMP_CACHE.LINK);
  f.get(header);
}

/** What runs next is the block of the jump cache's entry whose address a local has. */
export function takePlace(f: FunctionBuilder, e: number): void {
  f.i32Const(0).get(e).load(OP.i64_load, 3, JUMP_CACHE.PLACE).store(OP.i64_store, 3, CTL.PLACE);
}

/** Locals of a look at the jump cache; `e` gets the address of the entry. */
interface Key {
  readonly e: number;
  readonly linear: number;
  readonly csBase: number;
  readonly flags: number;
}
export const keyLocals = (f: FunctionBuilder): Key => ({
  e: f.addLocal(I32),
  linear: f.addLocal(I32),
  csBase: f.addLocal(I32),
  flags: f.addLocal(I32),
});

/** Pushes whether the jump cache has the block at the pc in env, and sets the local `header` to it; returns the local with the entry's address. */
export function emitJumpCacheHit(
  f: FunctionBuilder,
  options: Pick<CoreModuleOptions, 'offsets'>,
  header: number,
): number {
  const pc = (): FunctionBuilder => f.i32Const(ENV_BASE + options.offsets.pc).load(OP.i32_load, 2, 0);
  const key = keyLocals(f);
  jumpCacheHit(f, options, { ...key, header }, pc);
  return key.e;
}

/** Pushes whether the jump cache has the block at a pc, and sets `header` to it. */
export function jumpCacheHit(
  f: FunctionBuilder,
  { offsets }: Pick<CoreModuleOptions, 'offsets'>,
  { e, linear, csBase, flags, header }: Key & { readonly header: number },
  pc: () => FunctionBuilder,
): void {
  f.i32Const(ENV_BASE + offsets.flags)
    .load(OP.i32_load, 2, 0)
    .set(flags);
  pc();
  f.i32Const(ENV_BASE + offsets.csBase)
    .load(OP.i32_load, 2, 0)
    .tee(csBase)
    .op(OP.i32_add)
    .set(linear);
  jumpCacheEntry(f, linear);
  f.set(e);
  const code = (): FunctionBuilder => f.get(e).load(OP.i32_load, 2, JUMP_CACHE.CODE);
  code().i32Const(JUMP_CACHE.CODE_SHIFT).op(OP.i32_shr_u).i32Const(-16).op(OP.i32_and).set(header);
  f.get(e).load(OP.i32_load, 2, JUMP_CACHE.PC).get(linear).op(OP.i32_xor);
  f.get(e).load(OP.i32_load, 2, JUMP_CACHE.FLAGS).get(flags).op(OP.i32_xor).op(OP.i32_or);
  f.get(e).load(OP.i32_load, 2, JUMP_CACHE.CS_BASE).get(csBase).op(OP.i32_xor).op(OP.i32_or);
  code().i32Const(CTL.GENERATION).load(OP.i32_load, 2, 0).op(OP.i32_xor);
  f.i32Const(JUMP_CACHE.GENERATIONS - 1).op(OP.i32_and);
  f.op(OP.i32_or).op(OP.i32_eqz);
}

/** Kind of access, as the page walker has it. */
const FETCH = 2;

/** Address of the code table's set of a host address: what `findByHost` computes, for script. */
export function codeTableSet(host: number): number {
  const index = (host ^ (host >>> Math.log2(CODE_TABLE.SETS))) & (CODE_TABLE.SETS - 1);
  return CODE_TABLE.BASE + index * CODE_TABLE.SET_SIZE;
}

/** Number of the jump cache's group that blocks of a linear address's page are in. */
export const jumpCacheGroup = (linear: number): number => (linear >>> PAGE_BITS) & (JUMP_CACHE.GROUPS - 1);

/** Address of the jump cache's entry of a pc and CS base: what `jumpCacheEntry` computes, for script. */
export function jumpCacheAddress(pc: number, csBase: number): number {
  const linear = (pc + csBase) | 0;
  const index = jumpCacheGroup(linear) * GROUP_ENTRIES + ((linear ^ (linear >>> GROUP_BITS)) & (GROUP_ENTRIES - 1));
  return JUMP_CACHE.BASE + index * JUMP_CACHE.ENTRY_SIZE;
}

/** Locals of a look-up. */
interface Wanted {
  readonly pc: number;
  readonly linear: number;
  readonly csBase: number;
  readonly flags: number;
  /** Gets the block that was found. */
  readonly header: number;
  /** Gets its place. */
  readonly place: number;
}

/** Sets `header`, or returns 0 from the function when TLB or table do not know. If the fetch faults, MMU.FAULT says so, and MMU.MISS where. */
function findByHost(f: FunctionBuilder, options: CoreModuleOptions, wanted: Wanted, fill: number | undefined): void {
  const { pc, linear, csBase, flags, header, place } = wanted;
  const low = f.addLocal(I32);
  const high = f.addLocal(I32);
  const tlb = f.addLocal(I32);
  const host = f.addLocal(I32);
  const entry = f.addLocal(I32);
  if (options.windowMask === 0) {
    f.get(linear).set(low);
  } else {
    f.get(pc).get(linear).get(flags).i32Const(options.windowMask).op(OP.i32_and).op(OP.select).set(low);
    f.get(csBase).i32Const(0).get(flags).i32Const(options.windowMask).op(OP.i32_and).op(OP.select).set(high);
  }
  f.i32Const(MMU.FAULT).i32Const(-1).store(OP.i32_store, 2, 0);
  tlbOfMode(f, options);
  f.get(low)
    .i32Const(PAGE_BITS)
    .op(OP.i32_shr_u)
    .i32Const(TLB.ENTRIES - 1)
    .op(OP.i32_and)
    .i32Const(Math.log2(TLB.ENTRY_SIZE))
    .op(OP.i32_shl)
    .op(OP.i32_add)
    .set(tlb);
  f.get(tlb).load(OP.i32_load, 2, TLB.TAG_EXEC).get(low).i32Const(PAGE_MASK).op(OP.i32_and).op(OP.i32_xor);
  f.get(tlb)
    .load(OP.i32_load, 2, TLB.TAG_EXEC + 4)
    .get(high)
    .op(OP.i32_xor)
    .op(OP.i32_or);
  f.if_();
  if (fill === undefined) f.i32Const(0).return_();
  else {
    f.i32Const(0)
      .get(high)
      .op(OP.i64_extend_i32_u)
      .i64Const(32)
      .op(OP.i64_shl)
      .get(low)
      .op(OP.i64_extend_i32_u)
      .op(OP.i64_or);
    f.store(OP.i64_store, 3, MMU.MISS);
    f.i32Const(0).load(OP.i64_load, 3, MMU.MISS).i32Const(FETCH);
    tlbOfMode(f, options);
    f.i32Const(TLB.BASE).op(OP.i32_ne).call(fill).op(OP.i32_eqz);
    f.if_();
    f.i32Const(0).return_();
    f.end();
  }
  f.end();
  f.get(low).get(tlb).load(OP.i32_load, 2, TLB.ADDEND).op(OP.i32_add).set(host);
  f.get(host)
    .get(host)
    .i32Const(Math.log2(CODE_TABLE.SETS))
    .op(OP.i32_shr_u)
    .op(OP.i32_xor)
    .i32Const(CODE_TABLE.SETS - 1)
    .op(OP.i32_and)
    .i32Const(Math.log2(CODE_TABLE.SET_SIZE))
    .op(OP.i32_shl)
    .i32Const(CODE_TABLE.BASE)
    .op(OP.i32_add)
    .set(entry);
  const found = f.block();
  for (const way of [0, CODE_TABLE.ENTRY_SIZE]) {
    f.get(entry)
      .load(OP.i32_load, 2, way + CODE_TABLE.HOST)
      .get(host)
      .op(OP.i32_eq);
    f.if_();
    f.get(entry)
      .load(OP.i32_load, 2, way + CODE_TABLE.HEADER)
      .set(header);
    pushLong(
      f,
      () => f.get(pc),
      () => f.get(csBase),
    );
    pushLong(
      f,
      () => f.get(header).load(OP.i32_load, 2, HEADER.PC),
      () => f.get(entry).load(OP.i32_load, 2, way + CODE_TABLE.CS_BASE),
    );
    f.op(OP.i64_sub).tee(place).op(OP.i64_eqz);
    if (options.windowMask !== 0) {
      pushIsPlace(f, pc, csBase);
      f.get(entry)
        .load(OP.i32_load, 2, way + CODE_TABLE.MOVABLE)
        .op(OP.i32_and)
        .op(OP.i32_or);
    }
    f.get(header).load(OP.i32_load, 2, HEADER.FLAGS).get(flags).op(OP.i32_eq);
    f.op(OP.i32_and).brIf(found);
    f.end();
  }
  f.i32Const(0).return_();
  f.end();
}

/** Pushes the address of the TLB of the current flags' privilege. */
export function tlbOfMode(f: FunctionBuilder, options: CoreModuleOptions): void {
  f.i32Const(TLB.BASE + TLB.MODE_SIZE).i32Const(TLB.BASE);
  f.i32Const(ENV_BASE + options.offsets.flags)
    .load(OP.i32_load, 2, 0)
    .i32Const(options.userMask)
    .op(OP.i32_and)
    .i32Const(options.userValue)
    .op(OP.i32_eq);
  f.op(OP.select);
}

/** Pushes the address of the jump cache entry of the linear pc in a local. */
function jumpCacheEntry(f: FunctionBuilder, linear: number): void {
  f.get(linear)
    .i32Const(PAGE_BITS)
    .op(OP.i32_shr_u)
    .i32Const(JUMP_CACHE.GROUPS - 1)
    .op(OP.i32_and);
  f.i32Const(GROUP_BITS).op(OP.i32_shl);
  f.get(linear).get(linear).i32Const(GROUP_BITS).op(OP.i32_shr_u).op(OP.i32_xor);
  f.i32Const(GROUP_ENTRIES - 1)
    .op(OP.i32_and)
    .op(OP.i32_or);
  f.i32Const(Math.log2(JUMP_CACHE.ENTRY_SIZE)).op(OP.i32_shl).i32Const(JUMP_CACHE.BASE).op(OP.i32_add);
}
