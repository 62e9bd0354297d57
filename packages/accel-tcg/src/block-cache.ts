/**
 * Finds, translates and drops translation blocks: the way from a pc in env to a cold stream, through the fetch TLB and
 * the code map, and what must happen when code bytes or mappings change.
 */
import {
  CODE,
  ColdEncoder,
  COLD,
  CODE_TABLE,
  codeTableSet,
  CTL,
  ENV_BASE,
  HEADER,
  JUMP_CACHE,
  jumpCacheAddress,
  jumpCacheGroup,
} from '@emkit/codegen';
import { createTranslateResult, IrBuilder, OPS, opId } from '@emkit/ir';
import type { GlobalDef, IrBlock, Optimisations } from '@emkit/ir';
import type { AddressSpace } from '@emkit/memory';
import { Tb } from './code-map.ts';
import type { CodeMap } from './code-map.ts';
import { CodePlaces } from './code-places.ts';
import type { HotTier } from './hot-tier.ts';
import { SavedBlocks } from './saved-blocks.ts';
import { ACCESS_FAULT, ACCESS_IO, EXEC } from './softmmu.ts';
import type { SoftMmu } from './softmmu.ts';
import type { Target } from './target.ts';
import type { TranslationKeeper } from './translation-keeper.ts';
import type { TranslateRequest, TranslateResult } from '@emkit/ir';
import type { TcgTrace } from './trace.ts';

const JMP = opId('jmp');
const BR = opId('br');
const EXIT = opId('exit');
const INSN_START = opId('insn_start');
const IS_CALLJ = Uint8Array.from(OPS, (o) => (o.effect === 'callj' ? 1 : 0));

const MAX_INSNS = 64;
/** Code space for the one block that is not kept, and for the copy of code that lies outside RAM. */
const ALONE_BYTES = 0x40000;
const BOUNCE_BYTES = 0x1000;
/** A block overwritten so often is translated with its immediates left in memory. */
const VOLATILE_AFTER = 4;
/** Rewrites before that is tried again where it did not help. */
const VOLATILE_RETRY = 1000;
/** Addresses whose overwriting is remembered. */
const MAX_REWRITES = 4096;
/** Words of an entry of the code table, and of the jump cache. */
const TABLE_WORDS = CODE_TABLE.ENTRY_SIZE >> 2;
const CACHE_WORDS = JUMP_CACHE.ENTRY_SIZE >> 2;
/** Longest instruction of any target, with room. */
const FETCH_BYTES = 32;

export interface BlockCacheOptions {
  readonly memory: ArrayBufferLike;
  readonly target: Target;
  readonly mmu: SoftMmu;
  readonly space: AddressSpace;
  readonly codeMap: CodeMap;
  /** Executions before a block asks to be compiled; 0: never. */
  readonly hotAfter: number;
  readonly optimisations: Optimisations;
  /** Bytes that a block starting at the linear address may have before it must stop, or infinite. */
  readonly roomAt: (linear: number) => number;
  /** A debugger must see every block's start: blocks are neither chained nor compiled. */
  readonly debugged: () => boolean;
  /** A debugger must see every instruction's end: blocks of one instruction. */
  readonly singly: () => boolean;
  /** Execution stops before this linear pc: its block is looked up each time. */
  readonly stopsAt: (linear: number) => boolean;
  readonly trace: TcgTrace | undefined;
  readonly kept: TranslationKeeper;
}

/** What translates and encodes blocks of one mode. */
interface Tools {
  readonly builder: IrBuilder;
  readonly encoder: ColdEncoder;
}

export class BlockCache {
  readonly stats = { translated: 0, invalidated: 0, flushes: 0, faults: 0 };
  hot: HotTier | undefined;
  readonly places: CodePlaces;
  /** Blocks kept from run to run, if they are. */
  readonly saved: SavedBlocks | undefined;
  readonly #o: BlockCacheOptions;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;
  readonly #byHeader = new Map<number, Tb>();
  /** By table of registers. */
  readonly #tools = new Map<readonly GlobalDef[], Tools>();
  readonly #request: TranslateRequest;
  readonly #result = createTranslateResult();
  readonly #pc: number;
  readonly #flags: number;
  readonly #cs: number;
  /** How often the block at a host address has been overwritten. */
  readonly #rewrites = new Map<number, number>();
  #codeEnd: number = CODE.BASE + ALONE_BYTES + BOUNCE_BYTES;
  #crossPage = -1;
  /** Where the block that is being translated is. */
  #linear = 0;
  /** The fetch just made was from device memory: its block is not kept. */
  #bounced = false;

  constructor(options: BlockCacheOptions) {
    this.#o = options;
    const { memory, target, codeMap, optimisations } = options;
    if (options.kept.on) this.saved = new SavedBlocks(memory, options.kept.given);
    this.#i32 = new Int32Array(memory);
    this.#u16 = new Uint16Array(memory);
    this.#u8 = new Uint8Array(memory);
    this.#i32[CTL.GENERATION >> 2] = 1;
    this.places = new CodePlaces({ memory, target, codeMap, on: optimisations['moved-code'] });
    this.#pc = (ENV_BASE + target.offsets.pc) >> 2;
    this.#flags = (ENV_BASE + target.offsets.flags) >> 2;
    this.#cs = (ENV_BASE + target.offsets.csBase) >> 2;
    this.#request = {
      eip: 0,
      csBase: 0,
      flags: 0,
      maxInsns: MAX_INSNS,
      endEip: -1,
      hot: false,
      optimisations: options.optimisations,
      entryCcOp: -1,
      volatileCode: false,
      movable: false,
      code: { u8: this.#u8, offset: 0, available: 0, nextPage: () => this.#nextPage() },
    };
  }

  #toolsFor(flags: number): Tools {
    const globals = this.#o.target.globalsFor(flags);
    let tools = this.#tools.get(globals);
    if (tools === undefined) {
      tools = {
        builder: new IrBuilder(globals, undefined, this.#o.optimisations),
        encoder: new ColdEncoder(this.#i32.buffer, globals),
      };
      this.#tools.set(globals, tools);
    }
    return tools;
  }

  /** MMU mode of the current flags. */
  user(): number {
    return (this.#i32[this.#flags] & this.#o.target.userMask) === this.#o.target.userValue ? 1 : 0;
  }
  byHeader(header: number): Tb | undefined {
    return this.#byHeader.get(header);
  }
  /** All blocks that are kept. */
  get alive(): Iterable<Tb> {
    return this.#byHeader.values();
  }
  isCurrent(tb: Tb): boolean {
    return this.#i32[CTL.TB >> 2] === tb.header;
  }

  /** The block at env's pc, entered into the jump cache; null when fetching faulted (the fault is delivered). */
  resolve(): Tb | null {
    const i32 = this.#i32;
    const pc = i32[this.#pc];
    const csBase = i32[this.#cs];
    const flags = i32[this.#flags];
    const host = this.#fetchHost(pc, csBase, flags);
    if (host < 0) return null;
    if (this.#bounced) return this.#translateAlone(pc, csBase, flags, host);
    const tb = this.#find(host, pc, flags, csBase) ?? this.#translate(pc, csBase, flags, host, false);
    if (tb === null) return null;
    this.places.enter(tb, pc, csBase);
    if (tb.region !== null) this.hot?.revalidate(tb);
    if (this.#o.trace?.exec === undefined && !this.#o.stopsAt(this.#o.target.linear(pc, csBase, flags))) {
      this.#enterJumpCache(tb, pc, csBase);
      if (tb.secondPage < 0 && this.#o.optimisations['code-table']) this.#enterCodeTable(tb);
    }
    return tb;
  }

  /** The block at a host address. One that runs into a second page is good only as long as that is mapped to where it was. */
  #find(host: number, pc: number, flags: number, csBase: number): Tb | null {
    const tb = this.#o.codeMap.findHere(host, pc, flags, csBase);
    if (tb === null || tb.secondPage < 0) return tb;
    const { mmu, target } = this.#o;
    const second = mmu.access(mmu.nextPage(target.linear(pc, csBase, flags)), EXEC, this.user());
    if (second >= 0 && second >>> 12 === tb.secondPage >>> 12) return tb;
    // while it is not there at all, fetching faults
    if (second !== ACCESS_FAULT) this.invalidate(tb);
    return null;
  }

  /** First of its set; what was there becomes the second. */
  #enterCodeTable(tb: Tb): void {
    const i32 = this.#i32;
    const e = codeTableSet(tb.host) >> 2;
    if (i32[e + (CODE_TABLE.HEADER >> 2)] !== tb.header) i32.copyWithin(e + TABLE_WORDS, e, e + TABLE_WORDS);
    i32[e + (CODE_TABLE.HOST >> 2)] = tb.host;
    i32[e + (CODE_TABLE.HEADER >> 2)] = tb.header;
    i32[e + (CODE_TABLE.CS_BASE >> 2)] = tb.csBase;
    i32[e + (CODE_TABLE.MOVABLE >> 2)] = tb.movable ? 1 : 0;
  }

  #leaveCodeTable(tb: Tb): void {
    const set = codeTableSet(tb.host) >> 2;
    for (const e of [set, set + TABLE_WORDS]) {
      if (this.#i32[e + (CODE_TABLE.HEADER >> 2)] === tb.header) this.#i32[e + (CODE_TABLE.HOST >> 2)] = 0;
    }
  }

  #enterJumpCache(tb: Tb, pc: number, csBase: number): void {
    const i32 = this.#i32;
    const e = jumpCacheAddress(pc, csBase) >> 2;
    // in 64-bit code not the address, but as good: the window is compared too
    i32[e + (JUMP_CACHE.PC >> 2)] = (pc + csBase) | 0;
    i32[e + (JUMP_CACHE.FLAGS >> 2)] = tb.flags;
    i32[e + (JUMP_CACHE.CODE >> 2)] = (tb.header << JUMP_CACHE.CODE_SHIFT) | i32[CTL.GENERATION >> 2];
    i32[e + (JUMP_CACHE.CS_BASE >> 2)] = csBase;
    i32[e + (JUMP_CACHE.LINK >> 2)] = 0;
    for (const word of [0, 1]) i32[e + (JUMP_CACHE.PLACE >> 2) + word] = i32[(CTL.PLACE >> 2) + word];
  }

  /** The instruction at env's pc in a block of its own that is not kept. */
  resolveAlone(): Tb | null {
    const i32 = this.#i32;
    const pc = i32[this.#pc];
    const csBase = i32[this.#cs];
    const flags = i32[this.#flags];
    const host = this.#fetchHost(pc, csBase, flags);
    return host < 0 ? null : this.#translateAlone(pc, csBase, flags, host);
  }

  #translateAlone(pc: number, csBase: number, flags: number, host: number): Tb | null {
    const tb = this.#translate(pc, csBase, flags, host, true);
    if (tb !== null) this.places.enter(tb, pc, csBase);
    return tb;
  }

  /** A block that is not kept: its code is overwritten by the next one. */
  isTransient(tb: Tb): boolean {
    return tb.header === CODE.BASE;
  }

  /** Host offset of the code byte at a pc, -1 when the fault was delivered. */
  #fetchHost(pc: number, csBase: number, flags: number): number {
    const { mmu, target } = this.#o;
    this.#bounced = false;
    if (mmu.long && !target.canonical(pc, csBase)) {
      target.recordNonCanonical(pc, csBase, 0);
      return this.#fetchFault();
    }
    const lin = target.linear(pc, csBase, flags);
    const host = mmu.access(lin, EXEC, this.user());
    if (host >= 0) return host;
    if (host === ACCESS_FAULT) {
      target.recordPageFault(lin);
      return this.#fetchFault();
    }
    return this.#bounce(lin, mmu.phys);
  }

  #fetchFault(): number {
    this.stats.faults++;
    this.#o.target.deliver();
    return -1;
  }

  /** Code outside RAM (open bus, device memory): a copy of a few bytes, used once. */
  #bounce(lin: number, phys: number): number {
    const at = CODE.BASE + ALONE_BYTES + (lin & 4095);
    const count = Math.min(FETCH_BYTES, 4096 - (lin & 4095));
    for (let n = 0; n < count; n++) this.#u8[at + n] = this.#o.space.read8(phys + n);
    this.#bounced = true;
    return at;
  }

  #nextPage(): number {
    const { mmu, target } = this.#o;
    const next = mmu.nextPage(this.#linear);
    const host = mmu.access(next, EXEC, this.user());
    if (host === ACCESS_FAULT) {
      target.recordPageFault(next);
      return -1;
    }
    if (host === ACCESS_IO) return this.#bounce(next, mmu.phys);
    this.#crossPage = host;
    return host;
  }

  #translate(pc: number, csBase: number, flags: number, host: number, alone: boolean): Tb | null {
    const { target, trace } = this.#o;
    const r = this.#request;
    const out = this.#result;
    r.flags = flags;
    r.maxInsns = alone || this.#o.singly() ? 1 : MAX_INSNS;
    this.#linear = target.linear(pc, csBase, flags);
    const room = this.#o.roomAt(this.#linear);
    r.endEip = room < 2 ** 31 ? (pc + room) | 0 : -1;
    r.volatileCode = (this.#rewrites.get(host) ?? 0) >= VOLATILE_AFTER && this.#o.optimisations['volatile-immediates'];
    r.code.offset = host;
    r.code.available = 4096 - (host & 4095);
    this.#crossPage = -1;
    const plain = !alone && r.endEip === -1 && !this.#o.singly() && !this.#o.debugged();
    const { places } = this;
    if (plain) places.choose(host, pc, csBase, flags);
    const movable = (r.movable = plain && places.movable);
    r.eip = movable ? places.pc : pc;
    r.csBase = movable ? places.csBase : csBase;
    const usual = this.saved !== undefined && plain && !r.volatileCode && !movable;
    if (usual) {
      const tb = this.#restore(pc, csBase, flags, host);
      if (tb !== null) return tb;
    }
    const { builder: b, encoder } = this.#toolsFor(flags);
    b.reset();
    target.translate(b, r, out);
    if (out.fault) {
      this.stats.faults++;
      target.deliver();
      return null;
    }
    if (trace !== undefined) {
      trace.inAsm?.(pc, csBase, flags, this.#u8.subarray(host, host + Math.min(out.bytes, r.code.available)));
      trace.op?.(pc, b.block, b.globals);
    }
    const block = b.finish();
    trace?.opOptimised?.(pc, block, b.globals);
    this.stats.translated++;
    const spans = out.bytes > r.code.available;
    // the second page's bytes come from device memory: not kept either
    const keep = !alone && !(spans && this.#crossPage < 0);
    const tb = new Tb(r.eip, r.csBase, flags, host, out.bytes, spans ? this.#crossPage : -1, out.insns);
    tb.movable = movable && keep;
    tb.exitFlags = out.exitFlags;
    tb.callReturn = out.callReturn;
    if (out.volatileOffsets.length > 0) tb.holes = [...out.volatileOffsets];
    describe(tb, block, out);
    const bound = ColdEncoder.bound(block.count);
    if (keep && this.#codeEnd + bound > CODE.LIMIT) this.flush();
    if (!keep && bound > ALONE_BYTES) throw new Error('one instruction is too large for the translator');
    tb.header = keep ? this.#codeEnd : CODE.BASE;
    tb.firstCounter = tb.coldFirst || !keep || this.#o.debugged() ? 0 : this.#o.hotAfter;
    const linkable = (to: number): boolean => keep && this.#linkable(tb, to);
    const end = encoder.encode(block, tb.header, tb.pc, flags, tb.firstCounter, linkable);
    tb.terminator = encoder.terminator;
    if (!keep) return tb;
    if (usual && tb.secondPage < 0) this.saved?.learn(tb, end);
    this.#add(tb, end);
    return tb;
  }

  /** The block as it was translated in an earlier run, if its code is the same. */
  #restore(pc: number, csBase: number, flags: number, host: number): Tb | null {
    const saved = this.saved!;
    const at = saved.find(pc, csBase, flags, host);
    if (at < 0) return null;
    if (this.#codeEnd + saved.streamBytes(at) > CODE.LIMIT) this.flush();
    const tb = saved.restore(at, host, this.#codeEnd);
    if (tb === null) return null;
    tb.firstCounter = tb.coldFirst || this.#o.debugged() ? 0 : this.#o.hotAfter;
    this.#i32[(tb.header + HEADER.COUNTER) >> 2] = tb.firstCounter;
    this.#add(tb, tb.header + saved.streamBytes(at));
    return tb;
  }

  /** A block whose stream ends at `end` is there from now on. */
  #add(tb: Tb, end: number): void {
    this.#codeEnd = end;
    this.#byHeader.set(tb.header, tb);
    if (this.#o.codeMap.insert(tb)) {
      this.#o.mmu.protectCode(tb.host >>> 12);
      if (tb.secondPage >= 0) this.#o.mmu.protectCode(tb.secondPage >>> 12);
    }
  }

  /** A jump inside the block's own linear page needs no look at the mapping. */
  #linkable(tb: Tb, target: number): boolean {
    if (tb.secondPage >= 0 || this.#o.debugged() || !this.#o.optimisations.links) return false;
    const from = this.#o.target.linear(tb.pc, tb.csBase, tb.flags);
    const to = this.#o.target.linear(target, tb.csBase, tb.flags);
    return from - (from & 4095) === to - (to & 4095);
  }

  /** A block's code bytes have been overwritten. */
  rewritten(tb: Tb): void {
    if (this.#rewrites.size >= MAX_REWRITES) this.#rewrites.clear();
    // if leaving immediates out did not help, it is not tried again soon
    this.#rewrites.set(tb.host, tb.holes.length > 0 ? -VOLATILE_RETRY : (this.#rewrites.get(tb.host) ?? 0) + 1);
    this.invalidate(tb);
  }

  invalidate(tb: Tb): void {
    this.stats.invalidated++;
    this.hot?.invalidate(tb);
    this.#u16[tb.header >> 1] = COLD.DEAD;
    this.#o.codeMap.remove(tb);
    this.#leaveCodeTable(tb);
    this.#byHeader.delete(tb.header);
  }

  flushJumpCache(): void {
    const i32 = this.#i32;
    if (++i32[CTL.GENERATION >> 2] < JUMP_CACHE.GENERATIONS) return;
    i32.fill(0, JUMP_CACHE.BASE >> 2, (JUMP_CACHE.BASE + JUMP_CACHE.ENTRIES * JUMP_CACHE.ENTRY_SIZE) >> 2);
    i32[CTL.GENERATION >> 2] = 1;
  }
  /** Forget the blocks that start in the page. In 64-bit code they are found by the sum of both halves of the pc. */
  flushJumpCachePage(lin: number): void {
    const page = lin & ~4095;
    const first = jumpCacheGroup(page);
    this.#flushGroup(first);
    if (!this.#o.mmu.long) return;
    const sum = (page + this.#o.target.highHalf(lin)) | 0;
    const second = jumpCacheGroup(sum);
    if (second !== first) this.#flushGroup(second);
    const third = jumpCacheGroup((sum + 4095) | 0);
    if (third !== second && third !== first) this.#flushGroup(third);
  }
  #flushGroup(group: number): void {
    const words = (JUMP_CACHE.ENTRIES / JUMP_CACHE.GROUPS) * CACHE_WORDS;
    const at = (JUMP_CACHE.BASE >> 2) + group * words;
    const i32 = this.#i32;
    for (let e = at + (JUMP_CACHE.CODE >> 2); e < at + words; e += CACHE_WORDS) i32[e] = 0;
  }

  /** Drop every translation. The running block, if any, must leave before it can reach a link. */
  flush(): void {
    this.stats.flushes++;
    this.saved?.collect();
    this.hot?.clear();
    for (const header of this.#byHeader.keys()) this.#u16[header >> 1] = COLD.DEAD;
    this.#byHeader.clear();
    this.#o.codeMap.clear();
    this.#codeEnd = CODE.BASE + ALONE_BYTES + BOUNCE_BYTES;
    this.#i32.fill(0, CODE_TABLE.BASE >> 2, (CODE_TABLE.BASE + CODE_TABLE.SETS * CODE_TABLE.SET_SIZE) >> 2);
    this.flushJumpCache();
    // pages are no longer protected
    this.#o.mmu.flush(true);
  }
}

/** What region formation wants to know of a block's end, and whether it can begin a region. */
function describe(tb: Tb, block: IrBlock, out: TranslateResult): void {
  const { count, op, c } = block;
  const last = count - 1;
  switch (op[last]) {
    case JMP:
      tb.taken = block.imm[last];
      break;
    case BR:
      tb.taken = block.imm[last];
      tb.notTaken = block.imm2[last];
      break;
    case EXIT:
      tb.taken = out.quickNext;
      break;
    default: // indirect
      tb.indirect = true;
      tb.isReturn = block.imm[last] === 2;
  }
  for (let i = 0; i < count; i++) {
    if (op[i] === INSN_START && c[i] > 0) break;
    if (IS_CALLJ[op[i]] !== 0) {
      tb.coldFirst = !out.quickFirst;
      break;
    }
  }
}
