/**
 * Translates one block: a straight run of guest instructions into IR, ended by one terminator.
 *
 * A block ends at a branch, after `maxInsns`, before an instruction that is not wholly in the page (which is then a
 * block of its own, the only kind to span two pages), after what changes mode or block flags, and before and after a
 * repeated string instruction. One-instruction modes (trap flag, interrupt shadow, breakpoints): see `Translator`.
 * Not here: instruction meanings (the handler files), fetching through the MMU (`CodeSource`).
 */
import type { CodeSource, IrBuilder, TranslateRequest, TranslateResult } from '@emkit/ir';
import {
  DECODE_32,
  DECODE_64,
  DECODE_OK,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  DECODE_VEX,
  MAX_INSN_LENGTH,
  decode,
} from '../decode/decoder.ts';
import { decodeFeatures } from '../decode/features.ts';
import { Insn } from '../decode/insn.ts';
import { OPCODES } from '../decode/table.ts';
import type { CpuFeatures } from '../models/features.ts';
import { HF_CS32, HF_CS64, HF_PE, HF_VM } from '../state.ts';
import { HANDLERS } from './handlers.ts';
import { Translator } from './translator.ts';

/** Rows whose instruction, when repeated, is a block of its own. */
const STRING_ROW = Uint8Array.from(OPCODES.rows, (r) =>
  /^(MOVS|STOS|LODS|CMPS|SCAS|INS|OUTS)$/.test(r.mnemonic) && r.operands.length === 2 && !r.hasModrm ? 1 : 0,
);

/** Translates for one CPU model; keeps the scratch that a code cache's builder needs. */
export class BlockTranslator {
  readonly #features: Uint8Array;
  readonly #insn = new Insn();
  /** An instruction that spans two pages, put together. */
  readonly #spanning = new Uint8Array(MAX_INSN_LENGTH + 1);
  /** One translator for each builder that comes along: the accelerator has one for each block of a region. */
  readonly #translators = new WeakMap<IrBuilder, Translator>();
  #last: Translator | undefined;

  constructor(features: CpuFeatures) {
    this.#features = decodeFeatures(features);
  }

  /** Translate one block into `b` (reset by the caller, finished by the caller). Hot path of cold code. */
  translate(b: IrBuilder, req: TranslateRequest, out: TranslateResult): void {
    const t = this.#translatorFor(b);
    const insn = this.#insn;
    const { code, flags } = req;
    let mode = (flags & HF_CS32) !== 0 ? DECODE_32 : 0;
    if ((flags & HF_CS64) !== 0) mode = DECODE_64;
    if ((flags & (HF_PE | HF_VM)) === HF_PE) mode |= DECODE_VEX;
    t.begin(req, this.#features);
    t.volatileCode = req.volatileCode && code.available >= MAX_INSN_LENGTH;
    if (t.volatileOffsets.length > 0) t.volatileOffsets.length = 0;
    t.blockEip = req.eip;
    out.volatileOffsets = t.volatileOffsets;
    out.fault = false;
    out.exitFlags = -1;
    out.exitCcOp = -1;
    const start = code.offset;
    const end = start + code.available;
    const max = t.special ? 1 : req.maxInsns;
    let p = start;
    let eip = req.eip | 0;
    // -1 as a pc is no instruction's start that a block could reach from below
    const end32 = req.endEip | 0;
    let insns = 0;
    let ended = false;
    while (insns < max && !t.stopped) {
      if (insns > 0 && eip === end32) break;
      let status = decode(insn, code.u8, p, end, mode, this.#features);
      if (status === DECODE_TRUNCATED) {
        if (insns > 0) break;
        status = this.#decodeSpanning(code, mode);
        if (status === DECODE_TRUNCATED) {
          out.fault = true;
          out.bytes = 0;
          out.insns = 0;
          out.callReturn = -1;
          out.quickFirst = false;
          out.quickNext = -1;
          return;
        }
      }
      if (status === DECODE_OK) {
        const repeated = insn.rep !== 0 && STRING_ROW[insn.row.id] === 1;
        if (repeated && insns > 0) break;
        t.beginInsn(insn, eip);
        HANDLERS[insn.row.id]!(t, insn);
      } else {
        t.beginInsn(insn, eip);
        if (status === DECODE_TOO_LONG) t.protectionFault();
        else t.undefined();
      }
      insns++;
      p += insn.length;
      eip = t.next;
      if (t.b.terminated) {
        ended = true;
        break;
      }
      // code that ran to the end of the page goes on in another block
      if (p >= end) break;
    }
    if (!ended) t.goOn();
    out.bytes = p - start;
    out.insns = insns;
    out.exitFlags = t.flagsKnown ? t.flags : -1;
    out.exitCcOp = t.ccOp;
    out.callReturn = t.callReturn;
    out.quickFirst = t.quickFirst;
    out.quickNext = t.quickNext;
  }

  #translatorFor(b: IrBuilder): Translator {
    if (this.#last !== undefined && this.#last.b === b) return this.#last;
    let t = this.#translators.get(b);
    if (t === undefined) this.#translators.set(b, (t = new Translator(b)));
    return (this.#last = t);
  }

  #decodeSpanning(code: CodeSource, mode: number): number {
    const next = code.nextPage();
    if (next < 0) return DECODE_TRUNCATED;
    const bytes = this.#spanning;
    const have = Math.min(code.available, MAX_INSN_LENGTH);
    bytes.set(code.u8.subarray(code.offset, code.offset + have));
    bytes.set(code.u8.subarray(next, next + MAX_INSN_LENGTH + 1 - have), have);
    return decode(this.#insn, bytes, 0, bytes.length, mode, this.#features);
  }
}
