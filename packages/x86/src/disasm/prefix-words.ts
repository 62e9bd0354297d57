/**
 * Prefixes that AT&T syntax writes as words of their own before the mnemonic: LOCK and REP, and those that do nothing to
 * their instruction, as GNU objdump shows them (`data16`, `cs`, `rex.W`, `bnd`, `notrack`).
 */
import type { Insn } from '../decode/insn.ts';
import {
  OP_C,
  OP_D,
  OP_E,
  OP_G,
  OP_M,
  OP_O,
  OP_R,
  OP_U,
  OP_V,
  OP_W,
  OP_X,
  OP_Y,
  OP_Z,
  SIZE64_DEFAULT,
  SIZE64_NORMAL,
  SZ_A,
  SZ_B,
  SZ_P,
  SZ_V,
  SZ_Y,
  SZ_Z,
} from '../decode/row.ts';

export const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', '?', '?'];

/** Instructions whose operand size is in their name alone. */
const SIZED =
  /^(cbw|cwd|iret|ret|ret_far|push|sysret|sysexit|pushf|popf|pusha|popa|push_seg|pop_seg|enter|leave|call|jmp|fx\w+|x(save|rstor)\w*|cmpxchg16b|fldenv|fnstenv|frstor|fnsave|nop)$/;
const BRANCH = /^(call|ret|jmp|jcc|call_ind|jmp_ind)$/;

const hasMethod = (i: Insn, ...methods: number[]): boolean => i.row.operands.some((o) => methods.includes(o.method));
const isMemory = (i: Insn): boolean =>
  (i.modrm >= 0 && i.mod !== 3) || hasMethod(i, OP_X, OP_Y, OP_O) || i.row.mnemonic === 'XLAT';

function uses66(i: Insn): boolean {
  const { row } = i;
  if (row.prefix === 1) return true;
  if (i.size === 3 && row.size64 !== SIZE64_DEFAULT) return false;
  if (row.vector) return false;
  return SIZED.test(row.fn) || row.operands.some((o) => [SZ_V, SZ_Z, SZ_P, SZ_A].includes(o.size));
}

/** The bits of the REX prefix that mean something. */
function usedRex(i: Insn): number {
  const { row } = i;
  let used = 0;
  if (
    row.w === 1 ||
    (row.size64 === SIZE64_NORMAL &&
      (SIZED.test(row.fn) || row.operands.some((o) => o.size === SZ_V || o.size === SZ_Y)))
  )
    used |= 8;
  if (!row.plainReg && hasMethod(i, OP_G, OP_V, OP_C, OP_D)) used |= 4;
  if (i.modrm >= 0 && i.mod !== 3) used |= i.rm === 4 ? 3 : 1;
  else if (!row.plainRm && hasMethod(i, OP_E, OP_R, OP_U, OP_W, OP_Z, OP_M)) used |= 1;
  return used;
}

function rexWord(rex: number): string {
  if (rex === 0x40) return 'rex';
  return `rex.${(rex & 8) !== 0 ? 'W' : ''}${(rex & 4) !== 0 ? 'R' : ''}${(rex & 2) !== 0 ? 'X' : ''}${(rex & 1) !== 0 ? 'B' : ''}`;
}

function repWord(i: Insn, byte: number): string {
  const { row } = i;
  if (hasMethod(i, OP_X, OP_Y)) {
    if (byte === 0xf2) return 'repnz';
    return /^(CMPS|SCAS)$/.test(row.mnemonic) ? 'repz' : 'rep';
  }
  if (row.prefix === (byte === 0xf3 ? 2 : 3)) return '';
  if (i.lock) return byte === 0xf3 ? 'xrelease' : 'xacquire';
  if (byte === 0xf2 && BRANCH.test(row.fn)) return 'bnd';
  return byte === 0xf3 ? 'repz' : 'repnz';
}

/** The words, each with a space behind it. `bytes` begin with the instruction. */
export function prefixWords(i: Insn, bytes: Uint8Array): string {
  const words: string[] = [];
  let last66 = -1;
  let lastSegment = -1;
  let end = 0;
  for (; end < i.length; end++) {
    const byte = bytes[end]!;
    const segment = byte === 0x26 || byte === 0x2e || byte === 0x36 || byte === 0x3e || byte === 0x64 || byte === 0x65;
    if (segment && (!i.is64 || byte >= 0x64)) lastSegment = end;
    else if (byte === 0x66) last66 = end;
    else if (!(
      segment ||
      byte === 0x67 ||
      byte === 0xf0 ||
      byte === 0xf2 ||
      byte === 0xf3 ||
      (i.is64 && (byte & 0xf0) === 0x40)
    ))
      break;
  }
  for (let n = 0; n < end; n++) {
    const byte = bytes[n]!;
    switch (byte) {
      case 0xf0:
        words.push('lock');
        break;
      case 0xf2:
      case 0xf3:
        words.push(repWord(i, byte));
        break;
      case 0x66:
        if (n !== last66 || !uses66(i)) words.push('data16');
        break;
      case 0x67:
        if (
          i.is64
            ? (!isMemory(i) && !/^(jcxz|loop)$/.test(i.row.fn)) || hasMethod(i, OP_O)
            : !isMemory(i) && !/^(jcxz|loop|monitor)$/.test(i.row.fn)
        )
          words.push(i.asize === 1 ? 'addr16' : 'addr32');
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x64:
      case 0x65: {
        if (n === lastSegment && isMemory(i)) break;
        // branch hints are part of the mnemonic
        if (i.row.fn === 'jcc' && (byte === 0x2e || byte === 0x3e)) break;
        if (byte === 0x3e && /^(jmp|call)_ind$/.test(i.row.fn)) words.push('notrack');
        else words.push(SEGMENTS[byte >= 0x64 ? byte - 0x60 : (byte >> 3) & 3]!);
        break;
      }
      default:
        if (
          n !== end - 1 ||
          i.rex === 0 ||
          (i.rex & 15 & ~usedRex(i)) !== 0 ||
          (i.rex === 0x40 && !i.row.operands.some((o) => o.size === SZ_B))
        )
          words.push(rexWord(byte));
    }
  }
  return words
    .filter((w) => w !== '')
    .map((w) => `${w} `)
    .join('');
}

/** A conditional jump's hint: 2E not taken, 3E taken. */
export function branchHint(i: Insn, bytes: Uint8Array): string {
  let hint = '';
  for (let n = 0; n < i.length - 2 && bytes[n] !== 0x0f; n++) {
    if (bytes[n] === 0x2e) hint = ',pn';
    else if (bytes[n] === 0x3e) hint = ',pt';
  }
  return hint;
}
