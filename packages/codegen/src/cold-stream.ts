/** Cold streams that outlive the memory they were written to: made independent of what has run, and known again. */
import { opId } from '@emkit/ir';
import { COLD, COLD_RR } from './cold-ops.ts';
import { FIELD, HEADER, TARGET_HISTORY } from './layout.ts';

const JMP = COLD_RR[opId('jmp')];
const BR = COLD_RR[opId('br')];
const EXIT = COLD_RR[opId('exit')];
const WORDS = FIELD.SIZE >> 2;
const OP_MASK = 0xffff;

/** What a block's header says. */
export interface StreamIdentity {
  readonly insns: number;
  readonly pc: number;
  readonly flags: number;
}

/** A copy of a block's stream, in words, becomes what the encoder wrote: header with counter 0, no links, no remembered targets. */
export function unlink(words: Int32Array, header: number, terminator: number, id: StreamIdentity): void {
  words[header] = COLD.HEADER | (id.insns << 16);
  words[header + (HEADER.COUNTER >> 2)] = 0;
  words[header + (HEADER.PC >> 2)] = id.pc;
  words[header + (HEADER.FLAGS >> 2)] = id.flags;
  const op = words[terminator] & OP_MASK;
  if (op === JMP) words[terminator + (FIELD.LINK >> 2)] = 0;
  else if (op === BR) {
    words[terminator + WORDS + (FIELD.LINK >> 2)] = 0;
    words[terminator + 2 * WORDS + (FIELD.LINK >> 2)] = 0;
  } else if (op !== EXIT) {
    // indirect: the counter beside the operand, and the ring behind
    words[terminator + (FIELD.A >> 2)] &= OP_MASK;
    words.fill(0, terminator + WORDS, terminator + WORDS + TARGET_HISTORY);
  }
}

/** Is the stream at the address that of this block? */
export function streamIsOf(memory: Int32Array, at: number, pc: number, flags: number, insns: number): boolean {
  return (
    memory[at >> 2] === (COLD.HEADER | (insns << 16)) &&
    memory[(at + HEADER.PC) >> 2] === pc &&
    memory[(at + HEADER.FLAGS) >> 2] === flags
  );
}
