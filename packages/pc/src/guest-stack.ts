/**
 * Return addresses on the guest's stack, by its chain of frame pointers: for profiles. Code without frame pointers (64-bit Linux and most
 * of its programs) keeps other things in RBP: a link counts only if it goes up the stack a little, and if a CALL stands in front of
 * the return address. Reads RAM through the page tables as they are, without a trace; never faults.
 * Specs: System V ABI i386 and AMD64 supplements, "The Stack Frame"; forms of CALL: SDM Vol. 2A "CALL—Call Procedure".
 */
import { createPageInfo, PAGE_RAM, PAGE_ROM } from '@emkit/memory';
import type { Board } from './board.ts';

const MAX_FRAMES = 48;
/** Largest frame that is believed. */
const MAX_FRAME = 1 << 16;
const RBP = 5;
const SS = 2;

/** Gives the return addresses, innermost first, as linear numbers. */
export function createStackWalker(board: () => Board | undefined): () => readonly number[] {
  const page = createPageInfo();
  return () => {
    const b = board();
    if (b === undefined) return [];
    const { cpu, tcg } = b;
    const u8 = new Uint8Array(tcg.memory.buffer);
    const byte = (linear: number): number => {
      const physical = cpu.debugTranslate(linear);
      if (physical < 0) return -1;
      const kind = tcg.space.lookupPage(Math.floor(physical / 4096), page);
      return kind === PAGE_RAM || kind === PAGE_ROM ? u8[page.hostOffset + (physical & 4095)] : -1;
    };
    const { code64 } = cpu;
    const size = code64 ? 8 : 4;
    const stackBase = code64 ? 0 : cpu.segBase(SS);
    const address = (linear: number): number => (code64 ? linear : linear >>> 0);
    const word = (linear: number): number | undefined => {
      let value = 0;
      for (let n = size - 1; n >= 0; n--) {
        const next = byte(address(linear + n));
        if (next < 0) return undefined;
        // the highest byte carries the sign of a 64-bit address
        value = value * 256 + (code64 && n === 7 ? (next << 24) >> 24 : next);
      }
      return value;
    };
    const follows = (to: number): boolean => {
      const back = (n: number): number => byte(address(to - n));
      if (back(5) === 0xe8) return true; // CALL rel32
      // CALL r/m (FF /2) with 0, 1 or 4 bytes of displacement, with SIB or without
      return [2, 3, 4, 6, 7].some((n) => back(n) === 0xff && ((back(n - 1) >> 3) & 7) === 2);
    };
    const frames: number[] = [];
    let frame = code64 ? cpu.regNumber(RBP) : address(cpu.reg(RBP) + stackBase);
    while (frames.length < MAX_FRAMES) {
      const next = word(frame);
      const to = word(address(frame + size));
      if (next === undefined || to === undefined || !follows(to)) break;
      frames.push(to);
      const up = address(next + stackBase) - frame;
      if (!(up > 0 && up <= MAX_FRAME)) break;
      frame += up;
    }
    return frames;
  };
}
