/**
 * AT&T spelling of a mnemonic: the manual's in lower case, a few names of its own, and the size suffix where operands
 * do not tell the size.
 */
import type { Insn } from '../decode/insn.ts';
import {
  OP_B,
  OP_E,
  OP_FIXED,
  OP_G,
  OP_H,
  OP_M,
  OP_N,
  OP_P,
  OP_Q,
  OP_R,
  OP_S,
  OP_SEG,
  OP_SI,
  OP_U,
  OP_V,
  OP_W,
  OP_X,
  OP_Y,
  OP_Z,
  IMM_B,
  IMM_MOFFS,
  IMM_V,
  IMM_Z,
  SZ_V,
  SZ_Y,
  SZ_Z,
} from '../decode/row.ts';

const SUFFIX = ['b', 'w', 'l', 'q'];

/** By handler: names with the operand size in them, for 16, 32 and 64 bits. */
const BY_SIZE: Readonly<Record<string, readonly [string, string, string]>> = {
  cbw: ['cbtw', 'cwtl', 'cltq'],
  cwd: ['cwtd', 'cltd', 'cqto'],
  jcxz: ['jcxz', 'jecxz', 'jrcxz'],
};
/** By mnemonic: another name with REX.W. */
const WIDE: Readonly<Record<string, string>> = {
  MOVD: 'movq',
  VMOVD: 'vmovq',
  VPEXTRD: 'vpextrq',
  VPINSRD: 'vpinsrq',
  PEXTRD: 'pextrq',
  PINSRD: 'pinsrq',
  MOVSXD: 'movslq',
  ...Object.fromEntries(
    'FXSAVE FXRSTOR XSAVE XRSTOR XSAVEOPT XSAVEC XSAVES XRSTORS'.split(' ').map((m) => [m, `${m.toLowerCase()}64`]),
  ),
};
/** Stack and flow instructions whose size is the mode's unless a prefix says otherwise; the second list: 32 bits in 64-bit code. */
const MODE_SIZED =
  /^(push|pop|pop_rm|push_seg|pop_seg|pusha|popa|pushf|popf|call|ret|ret_far|iret|enter|leave|jmp_far|call_far|call_ind|jmp_ind|call_far_mem|jmp_far_mem)$/;
const FAR_SIZED = /^(ret_far|iret|call_far_mem|jmp_far_mem)$/;
/** Memory operands of these show no suffix: their size is in the name, or there is none. */
const NO_SUFFIX =
  /^(LEA|BOUND|L[DEFGS]S|CMPXCHG8B|CMPXCHG16B|INVLPG|CLFLUSH|CLFLUSHOPT|CLWB|X(SAVE|RSTOR).*|PREFETCH.*|SET.*|LLDT|LTR|VERR|VERW|LMSW|SLDT|STR|SMSW|LAR|LSL|ARPL|ENTER|FX.*|V?LDMXCSR|V?STMXCSR|XLAT|MOVNTI|MOVBE|FLDCW|FNSTCW|FNSTSW|FLDENV|FNSTENV|FRSTOR|FNSAVE)$/;
/** x87 memory forms: suffix by the operand's kind. */
const X87_SUFFIX: Readonly<Record<string, string>> = { Mfs: 's', Mfd: 'l', Mft: 't', Miw: 's', Mid: 'l', Miq: 'll' };
/** AT&T assemblers have FSUB and FSUBR, FDIV and FDIVR exchanged where ST(i) is the destination. */
const X87_SWAP: Readonly<Record<string, string>> = {
  fsub: 'fsubr',
  fsubr: 'fsub',
  fdiv: 'fdivr',
  fdivr: 'fdiv',
  fsubp: 'fsubrp',
  fsubrp: 'fsubp',
  fdivp: 'fdivrp',
  fdivrp: 'fdivp',
};

/** Comparisons of CMPPS and its kin, and the halves that PCLMULQDQ takes: names instead of the immediate. */
const PREDICATES =
  'eq lt le unord neq nlt nle ord eq_uq nge ngt false neq_oq ge gt true eq_os lt_oq le_oq unord_s neq_us nlt_uq nle_uq ord_s eq_us nge_uq ngt_uq false_os neq_os ge_oq gt_oq true_us'.split(
    ' ',
  );
const HALVES: Readonly<Record<number, string>> = { 0: 'lqlq', 1: 'hqlq', 16: 'lqhq', 17: 'hqhq' };
const COMPARE = /^(v?)cmp([ps][sd])$/;
const CARRYLESS = /^V?PCLMULQDQ$/;

/** Is the last operand, an immediate, part of the mnemonic? */
export function hasPredicate(i: Insn): boolean {
  const { row } = i;
  if (CARRYLESS.test(row.mnemonic)) return HALVES[i.imm] !== undefined;
  return row.imm1 === IMM_B && COMPARE.test(row.att) && i.imm < (i.vexL < 0 ? 8 : PREDICATES.length);
}

function integerSuffix(i: Insn): string {
  const { row } = i;
  if (NO_SUFFIX.test(row.mnemonic)) return '';
  let memorySize = -1;
  for (const o of row.operands) {
    let { size } = o;
    if (size === SZ_V) size = i.size;
    else if (size === SZ_Z) size = Math.min(i.size, 2);
    else if (size === SZ_Y) size = Math.max(i.size, 2);
    switch (o.method) {
      case OP_G:
      case OP_Z:
      case OP_R:
      case OP_S:
      case OP_SEG:
      case OP_H:
      case OP_V:
      case OP_U:
      case OP_W:
      case OP_P:
      case OP_N:
      case OP_Q:
      case OP_B:
        return '';
      case OP_FIXED:
        // the count in CL, and DX of string I/O, say nothing about the operand
        if (o.text !== 'CL' && o.text !== 'DX') return '';
        break;
      case OP_E:
        if (i.mod === 3) return '';
        memorySize = size;
        break;
      case OP_M:
      case OP_X:
      case OP_Y:
        memorySize = size;
        break;
      default:
    }
  }
  return memorySize >= 0 && memorySize < 4 ? SUFFIX[memorySize] : '';
}

export function attMnemonic(i: Insn, bits: number): string {
  const { row } = i;
  const normal =
    bits === 64 ? (FAR_SIZED.test(row.fn) ? (/_mem$/.test(row.fn) ? Math.max(i.size, 2) : 2) : 3) : bits === 32 ? 2 : 1;
  const named = BY_SIZE[row.fn];
  if (named !== undefined) return named[(row.fn === 'jcxz' ? i.asize : i.size) - 1];
  let name = row.att;
  if (i.size === 3 && WIDE[row.mnemonic] !== undefined) return WIDE[row.mnemonic]!;
  // a 64-bit immediate or address
  if (i.size === 3 && row.fn === 'mov' && row.imm1 === IMM_V) return 'movabs';
  if (row.imm1 === IMM_MOFFS && i.asize === 3) return 'movabs';
  if (hasPredicate(i))
    return CARRYLESS.test(row.mnemonic)
      ? name.replace('qdq', `${HALVES[i.imm]}dq`)
      : name.replace(COMPARE, `$1cmp${PREDICATES[i.imm]}$2`);
  // 128 or 256 bits of memory into one register
  if (/^VCVTT?PD2(PS|DQ)$/.test(row.mnemonic) && i.mod !== 3) return name + (i.vexL === 1 ? 'y' : 'x');
  if (/^V?CVTSI2S[SD]$/.test(row.mnemonic)) return i.mod === 3 ? name : name + SUFFIX[Math.max(i.size, 2)];
  if (/^SYS(RET|EXIT)$/.test(row.mnemonic)) return bits === 64 ? name + SUFFIX[Math.max(i.size, 2)] : name;
  if (name.startsWith('f') && row.operands[0] !== undefined) {
    const kind = X87_SUFFIX[row.operands[0].text];
    if (kind !== undefined) return name + kind;
    if (row.operands[0].text === 'STi') return X87_SWAP[name] ?? name;
  }
  if (row.mnemonic === 'MOVZX' || row.mnemonic === 'MOVSX')
    return `mov${row.mnemonic === 'MOVZX' ? 'z' : 's'}${SUFFIX[row.operands[1].size]}${SUFFIX[i.size]}`;
  if (row.mnemonic === 'CRC32' && i.mod !== 3)
    return `crc32${SUFFIX[row.operands[1].size === SZ_V ? i.size : row.operands[1].size]}`;
  if (/^[LS][GI]DT$/.test(row.mnemonic)) return bits === 64 ? name : `${name}${SUFFIX[i.size]}`;
  if (row.fn === 'nop' && i.prefix66 && row.mnemonic === 'NOP')
    return i.size === 1 ? 'xchg   %ax,%ax' : i.size === 2 ? 'xchg   %eax,%eax' : 'xchg   %rax,%rax';
  if (row.fn === 'nop_rm' && row.mnemonic === 'NOP') return i.mod === 3 ? 'nop' : `nop${SUFFIX[i.size]}`;
  if (row.fn === 'loop' && i.asize !== normal) return name + SUFFIX[i.asize];
  if (name === 'retf') name = 'lret';
  if (MODE_SIZED.test(row.fn) || (row.fn === 'jmp' && row.imm1 === IMM_Z)) {
    // a register operand tells the size of PUSH and POP
    const register = row.operands.some((o) => o.method === OP_Z || (o.method === OP_E && i.mod === 3));
    return i.size === normal || register || (row.operands[0]?.method === OP_SI && i.size === normal)
      ? name
      : name + SUFFIX[i.size];
  }
  return name + integerSuffix(i);
}
