/**
 * Cold streams that are kept from run to run: a block whose code is byte for byte what one was made of is copied, not translated.
 *
 * A stream names no address of its own, so it is the same wherever it lies. What has been translated in this run is only noted: its stream stays in the
 * code area until that is flushed, and is read when the records are asked for (or before the flush).
 */
import { streamIsOf, unlink } from '@emkit/codegen';
import { Tb } from './code-map.ts';
import {
  BLOCK,
  BLOCK_COLD_FIRST,
  BLOCK_INDIRECT,
  BLOCK_RETURN,
  TRANSLATION_LIMITS,
  wordsFor,
} from './translation-format.ts';
import type { KeptTranslations } from './translation-format.ts';

/** What a run did not use is kept on if it used at least this share (1/n) of what there was. */
const USED_SHARE = 4;
/** Most words of records made in one run. */
const MAX_LEARNED = TRANSLATION_LIMITS.BYTES / 8;

interface Learned {
  readonly tb: Tb;
  readonly end: number;
  /** Its code in the log. */
  readonly code: number;
}

export class SavedBlocks {
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #kept: Int32Array;
  readonly #keptBytes: Uint8Array;
  /** Where kept records begin; open addressing by pc, csBase and flags; index + 1, 0: nothing. */
  readonly #records: readonly number[];
  readonly #table: Int32Array;
  readonly #used: Uint8Array;
  #learned: Learned[] = [];
  #log = new Uint8Array(1 << 16);
  #logEnd = 0;
  /** Records of this run whose streams may be gone. */
  readonly #made: Int32Array[] = [];
  #madeWords = 0;
  readonly stats = { kept: 0, learned: 0, restored: 0 };

  constructor(memory: ArrayBufferLike, kept: KeptTranslations | undefined) {
    this.#i32 = new Int32Array(memory);
    this.#u8 = new Uint8Array(memory);
    this.#kept = kept?.words ?? new Int32Array(0);
    this.#keptBytes = new Uint8Array(this.#kept.buffer, this.#kept.byteOffset, this.#kept.byteLength);
    this.#records = kept?.blocks ?? [];
    this.#used = new Uint8Array(this.#records.length);
    this.stats.kept = this.#records.length;
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(this.#records.length * 2 + 2)));
    this.#records.forEach((at, n) => {
      const k = this.#kept;
      let slot = this.#slot(k[at + BLOCK.PC], k[at + BLOCK.CS_BASE], k[at + BLOCK.FLAGS]);
      while (this.#table[slot] !== 0) slot = (slot + 1) & (this.#table.length - 1);
      this.#table[slot] = n + 1;
    });
  }

  #slot(pc: number, csBase: number, flags: number): number {
    let h = Math.imul(pc, 0x9e37_79b1) ^ Math.imul(csBase, 0x85eb_ca6b) ^ Math.imul(flags, 0xc2b2_ae35);
    h ^= h >>> 15;
    return h & (this.#table.length - 1);
  }

  /** The kept record of the block whose code stands at `host`, else -1. Hot path of cold code. */
  find(pc: number, csBase: number, flags: number, host: number): number {
    const kept = this.#kept;
    const table = this.#table;
    for (let slot = this.#slot(pc, csBase, flags); table[slot] !== 0; slot = (slot + 1) & (table.length - 1)) {
      const n = table[slot] - 1;
      const at = this.#records[n];
      if (kept[at + BLOCK.PC] !== pc || kept[at + BLOCK.FLAGS] !== flags || kept[at + BLOCK.CS_BASE] !== csBase)
        continue;
      if (!this.#sameCode(at, host)) continue;
      this.#used[n] = 1;
      return at;
    }
    return -1;
  }

  #sameCode(at: number, host: number): boolean {
    const count = this.#kept[at + BLOCK.CODE] & 0xffff;
    if ((host & 4095) + count > 4096) return false;
    const u8 = this.#u8;
    const bytes = this.#keptBytes;
    const from = (at + BLOCK.SIZE) * 4;
    for (let n = 0; n < count; n++) if (u8[host + n] !== bytes[from + n]) return false;
    return true;
  }

  /** Bytes of a record's stream. */
  streamBytes(at: number): number {
    return this.#kept[at + BLOCK.STREAM_WORDS] * 4;
  }

  /** Makes the block of a record, its stream at `header`; null: the record contradicts itself. */
  restore(at: number, host: number, header: number): Tb | null {
    const kept = this.#kept;
    const code = kept[at + BLOCK.CODE];
    const [pc, csBase, flags] = [kept[at + BLOCK.PC], kept[at + BLOCK.CS_BASE], kept[at + BLOCK.FLAGS]];
    const insns = code >>> 16;
    const stream = at + BLOCK.SIZE + wordsFor(code & 0xffff);
    this.#i32.set(kept.subarray(stream, stream + kept[at + BLOCK.STREAM_WORDS]), header >> 2);
    if (!streamIsOf(this.#i32, header, pc, flags, insns)) return null;
    const tb = new Tb(pc, csBase, flags, host, code & 0xffff, -1, insns);
    const bits = kept[at + BLOCK.BITS];
    tb.header = header;
    tb.terminator = header + kept[at + BLOCK.TERMINATOR] * 4;
    tb.exitFlags = kept[at + BLOCK.EXIT_FLAGS];
    tb.callReturn = kept[at + BLOCK.CALL_RETURN];
    tb.taken = kept[at + BLOCK.TAKEN];
    tb.notTaken = kept[at + BLOCK.NOT_TAKEN];
    tb.indirect = (bits & BLOCK_INDIRECT) !== 0;
    tb.isReturn = (bits & BLOCK_RETURN) !== 0;
    tb.coldFirst = (bits & BLOCK_COLD_FIRST) !== 0;
    this.stats.restored++;
    return tb;
  }

  /** A block has been translated that the next run may have as well. */
  learn(tb: Tb, end: number): void {
    const stream = (end - tb.header) >> 2;
    if (stream > TRANSLATION_LIMITS.STREAM_WORDS) return;
    this.#madeWords += BLOCK.SIZE + wordsFor(tb.bytes) + stream;
    if (this.#madeWords > MAX_LEARNED) return;
    if (this.#logEnd + tb.bytes > this.#log.length) {
      const log = new Uint8Array(this.#log.length * 2);
      log.set(this.#log);
      this.#log = log;
    }
    this.#log.set(this.#u8.subarray(tb.host, tb.host + tb.bytes), this.#logEnd);
    this.#learned.push({ tb, end, code: this.#logEnd });
    this.#logEnd += tb.bytes;
    this.stats.learned++;
  }

  /** Turn what was noted into records: the code area is about to be used anew. */
  collect(): void {
    for (const { tb, end, code } of this.#learned) this.#made.push(this.#encode(tb, end, code));
    this.#learned = [];
    this.#logEnd = 0;
  }

  #encode(tb: Tb, end: number, code: number): Int32Array {
    const stream = (end - tb.header) >> 2;
    const length = BLOCK.SIZE + wordsFor(tb.bytes) + stream;
    const words = new Int32Array(length);
    words[BLOCK.WORDS] = length;
    words[BLOCK.PC] = tb.pc;
    words[BLOCK.CS_BASE] = tb.csBase;
    words[BLOCK.FLAGS] = tb.flags;
    words[BLOCK.CODE] = tb.bytes | (tb.insns << 16);
    words[BLOCK.STREAM_WORDS] = stream;
    words[BLOCK.TERMINATOR] = (tb.terminator - tb.header) >> 2;
    words[BLOCK.BITS] =
      (tb.indirect ? BLOCK_INDIRECT : 0) | (tb.isReturn ? BLOCK_RETURN : 0) | (tb.coldFirst ? BLOCK_COLD_FIRST : 0);
    words[BLOCK.EXIT_FLAGS] = tb.exitFlags;
    words[BLOCK.CALL_RETURN] = tb.callReturn;
    words[BLOCK.TAKEN] = tb.taken;
    words[BLOCK.NOT_TAKEN] = tb.notTaken;
    new Uint8Array(words.buffer).set(this.#log.subarray(code, code + tb.bytes), BLOCK.SIZE * 4);
    const at = BLOCK.SIZE + wordsFor(tb.bytes);
    words.set(this.#i32.subarray(tb.header >> 2, end >> 2), at);
    unlink(words, at, at + words[BLOCK.TERMINATOR], { insns: tb.insns, pc: tb.pc, flags: tb.flags });
    return words;
  }

  /** Records worth keeping: those that this run used or made, then the others, unless they are of a guest whose code lies elsewhere now. */
  records(): Int32Array[] {
    this.collect();
    const kept = this.#records.map((at) => this.#kept.subarray(at, at + this.#kept[at + BLOCK.WORDS]));
    const used = kept.filter((_, n) => this.#used[n] === 1);
    const others = used.length * USED_SHARE < kept.length ? [] : kept.filter((_, n) => this.#used[n] === 0);
    return [...used, ...this.#made, ...others];
  }
}
