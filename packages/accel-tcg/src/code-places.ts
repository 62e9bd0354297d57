/** Where code runs: books of what `code-place.ts` of codegen says. */
import { CTL, isPlace } from '@emkit/codegen';
import type { CodeMap, Tb } from './code-map.ts';
import type { Target } from './target.ts';

const LOW = CTL.PLACE >> 2;
const HIGH = LOW + 1;
const WINDOW = 2 ** 32;
const NEAR = 2 ** 21;
const RECENT = 256;

export interface CodePlacesOptions {
  readonly memory: ArrayBufferLike;
  readonly target: Target;
  readonly codeMap: CodeMap;
  /** Off: all code is for its own address alone. */
  readonly on: boolean;
}

export class CodePlaces {
  readonly #o: CodePlacesOptions;
  readonly #i32: Int32Array;
  /** Places of code that has run, by 2 MiB: tag and place. */
  readonly #recent = new Float64Array(2 * RECENT).fill(-1);
  /** What `choose` has chosen. */
  pc = 0;
  csBase = 0;
  movable = false;

  constructor(options: CodePlacesOptions) {
    this.#o = options;
    this.#i32 = new Int32Array(options.memory);
  }

  /** CTL.PLACE, exact: user addresses have less than 53 bits. */
  get current(): number {
    return this.#i32[HIGH] * WINDOW + (this.#i32[LOW] >>> 0);
  }

  /** Where a pc in the code that runs is: its low half. */
  pcHere(pc: number): number {
    return (pc + this.#i32[LOW]) | 0;
  }

  /** The block runs next, found at this pc. */
  enter(tb: Tb, pc: number, csBase: number): void {
    const borrow = pc >>> 0 < tb.pc >>> 0 ? 1 : 0;
    this.#i32[LOW] = pc - tb.pc;
    this.#i32[HIGH] = csBase - tb.csBase - borrow;
    if (tb.movable) this.#remember(pc, csBase);
  }

  /**
   * For which pc the code seen at this one is translated. Blocks of one page must agree, since jumps between them are linked. A page without any joins the code that
   * ran near to it: so what one process has mapped in a row is in a row here, and has regions in common, whichever process has come to it first.
   */
  choose(host: number, pc: number, csBase: number, flags: number): void {
    this.pc = pc;
    this.csBase = csBase;
    this.movable = this.#o.on && (flags & this.#o.target.windowMask) !== 0 && isPlace(pc, csBase);
    if (!this.movable) return;
    const page = host >>> 12;
    for (const tb of this.#o.codeMap.inPage(page)) {
      if (!tb.movable || tb.host >>> 12 !== page) continue;
      this.pc = (tb.pc & ~4095) | (pc & 4095);
      this.csBase = tb.csBase;
      return;
    }
    const linear = csBase * WINDOW + (pc >>> 0);
    const from = linear - this.#near(linear);
    const window = Math.floor(from / WINDOW);
    if (from < 0 || !isPlace(from | 0, window)) return;
    this.pc = from | 0;
    this.csBase = window;
  }

  #remember(pc: number, csBase: number): void {
    const tag = Math.floor((csBase * WINDOW + (pc >>> 0)) / NEAR);
    const at = 2 * (tag % RECENT);
    this.#recent[at] = tag;
    this.#recent[at + 1] = this.current;
  }

  /** The place of code near to an address, or 0. */
  #near(linear: number): number {
    const tag = Math.floor(linear / NEAR);
    for (const t of [tag, tag - 1, tag + 1]) {
      const at = 2 * (t % RECENT);
      if (t >= 0 && this.#recent[at] === t) return this.#recent[at + 1];
    }
    return 0;
  }
}
