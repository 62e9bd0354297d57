/**
 * One-byte opcodes, 00 to FF, in opcode order and in the notation of SDM Vol. 2D Appendix A, Table A-2; groups: Table A-6.
 * D8-DF (x87) are in fpu/rows.ts. 40-4F are REX prefixes in 64-bit code, C4 and C5 always VEX there.
 */
import { row } from './row.ts';
import type { RowSpec } from './row.ts';

const lock = true;
/** Undefined in 64-bit code; there alone; operand size 64 there, whatever the prefixes; 64 unless 66 makes it 16; never 64. */
const no64 = true;
const only64 = true;
const f64 = true;
const d64 = true;
const noW = true;
/** Order of the eight arithmetic operations in opcode bits 3-5 and in group 1. */
const ARITHMETIC = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP'];
/** Order of group 2 (shifts and rotates); /6 is an alias of /4. */
const SHIFTS = ['ROL', 'ROR', 'RCL', 'RCR', 'SHL', 'SHR', 'SAL', 'SAR'];
const CONDITIONS = ['O', 'NO', 'B', 'AE', 'E', 'NE', 'BE', 'A', 'S', 'NS', 'P', 'NP', 'L', 'GE', 'LE', 'G'];
const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

export const ONE_BYTE_ROWS: readonly RowSpec[] = [
  // 00-3F: ADD OR ADC SBB AND SUB XOR CMP. CMP writes nothing and is not lockable.
  ...ARITHMETIC.flatMap((name, n): RowSpec[] => {
    const o = n === 7 ? { fn: 'cmp' } : { fn: 'alu', arg: n };
    const rmw = n === 7 ? o : { ...o, lock: true as const };
    return [
      row(name, 'Eb,Gb', `${hex(n * 8)} /r`, rmw),
      row(name, 'Ev,Gv', `${hex(n * 8 + 1)} /r`, rmw),
      row(name, 'Gb,Eb', `${hex(n * 8 + 2)} /r`, o),
      row(name, 'Gv,Ev', `${hex(n * 8 + 3)} /r`, o),
      row(name, 'AL,Ib', hex(n * 8 + 4), o),
      row(name, 'rAX,Iz', hex(n * 8 + 5), o),
      // group 1
      row(name, 'Eb,Ib', `80 /${n}`, rmw),
      row(name, 'Ev,Iz', `81 /${n}`, rmw),
      row(name, 'Eb,Ib', `82 /${n}`, { ...rmw, no64 }),
      row(name, 'Ev,sIb', `83 /${n}`, rmw),
    ];
  }),
  row('PUSH', 'ES', '06', { fn: 'push_seg', no64 }),
  row('POP', 'ES', '07', { fn: 'pop_seg', no64 }),
  row('PUSH', 'CS', '0E', { fn: 'push_seg', no64 }),
  row('PUSH', 'SS', '16', { fn: 'push_seg', no64 }),
  row('POP', 'SS', '17', { fn: 'pop_seg', no64 }),
  row('PUSH', 'DS', '1E', { fn: 'push_seg', no64 }),
  row('POP', 'DS', '1F', { fn: 'pop_seg', no64 }),
  row('DAA', '', '27', { no64 }),
  row('DAS', '', '2F', { no64 }),
  row('AAA', '', '37', { no64 }),
  row('AAS', '', '3F', { no64 }),
  row('INC', 'Zv', '40+r', { fn: 'inc', no64 }),
  row('DEC', 'Zv', '48+r', { fn: 'dec', no64 }),
  row('PUSH', 'Zv', '50+r', { d64 }),
  row('POP', 'Zv', '58+r', { d64 }),
  row('PUSHA', '', '60', { no64 }),
  row('POPA', '', '61', { no64 }),
  row('BOUND', 'Gv,Ma', '62 /r', { no64 }),
  row('ARPL', 'Ew,Gw', '63 /r', { no64 }),
  row('MOVSXD', 'Gv,Ez', '63 /r', { only64 }),
  row('PUSH', 'Iz', '68', { d64 }),
  row('IMUL', 'Gv,Ev,Iz', '69 /r', { fn: 'imul3' }),
  row('PUSH', 'sIb', '6A', { d64 }),
  row('IMUL', 'Gv,Ev,sIb', '6B /r', { fn: 'imul3' }),
  row('INS', 'Yb,DX', '6C'),
  row('INS', 'Yz,DX', '6D', { noW }),
  row('OUTS', 'DX,Xb', '6E'),
  row('OUTS', 'DX,Xz', '6F', { noW }),
  ...CONDITIONS.map((c, n) => row(`J${c}`, 'Jb', hex(0x70 + n), { fn: 'jcc', arg: n, f64 })),
  row('TEST', 'Eb,Gb', '84 /r'),
  row('TEST', 'Ev,Gv', '85 /r'),
  row('XCHG', 'Eb,Gb', '86 /r', { lock }),
  row('XCHG', 'Ev,Gv', '87 /r', { lock }),
  row('MOV', 'Eb,Gb', '88 /r'),
  row('MOV', 'Ev,Gv', '89 /r'),
  row('MOV', 'Gb,Eb', '8A /r'),
  row('MOV', 'Gv,Ev', '8B /r'),
  row('MOV', 'Ev,Sw', '8C /r', { fn: 'mov_from_seg' }),
  row('LEA', 'Gv,M', '8D /r'),
  row('MOV', 'Sw,Ew', '8E /r', { fn: 'mov_to_seg' }),
  row('POP', 'Ev', '8F /0', { fn: 'pop_rm', d64 }),
  // 90 is NOP by its nature (exchange of rAX with itself); F3 90 is PAUSE
  row('NOP', '', '90', { fn: 'nop' }),
  row('PAUSE', '', 'F3 90', { fn: 'nop' }),
  ...[1, 2, 3, 4, 5, 6, 7].map((r) => row('XCHG', 'Zv,rAX', hex(0x90 + r), { fn: 'xchg_rax' })),
  row('CBW', '', '98'),
  row('CWD', '', '99'),
  row('CALL', 'Ap', '9A', { fn: 'call_far', att: 'lcall', no64 }),
  row('PUSHF', '', '9C', { d64 }),
  row('POPF', '', '9D', { d64 }),
  row('SAHF', '', '9E', { no64 }),
  row('SAHF', '', '9E', { only64, feature: 'lahf-lm' }),
  row('LAHF', '', '9F', { no64 }),
  row('LAHF', '', '9F', { only64, feature: 'lahf-lm' }),
  row('MOV', 'AL,Ob', 'A0'),
  row('MOV', 'rAX,Ov', 'A1'),
  row('MOV', 'Ob,AL', 'A2'),
  row('MOV', 'Ov,rAX', 'A3'),
  row('MOVS', 'Yb,Xb', 'A4'),
  row('MOVS', 'Yv,Xv', 'A5'),
  row('CMPS', 'Xb,Yb', 'A6'),
  row('CMPS', 'Xv,Yv', 'A7'),
  row('TEST', 'AL,Ib', 'A8'),
  row('TEST', 'rAX,Iz', 'A9'),
  row('STOS', 'Yb,AL', 'AA'),
  row('STOS', 'Yv,rAX', 'AB'),
  row('LODS', 'AL,Xb', 'AC'),
  row('LODS', 'rAX,Xv', 'AD'),
  row('SCAS', 'AL,Yb', 'AE'),
  row('SCAS', 'rAX,Yv', 'AF'),
  row('MOV', 'Zb,Ib', 'B0+r'),
  row('MOV', 'Zv,Iv', 'B8+r'),
  // group 2
  ...SHIFTS.flatMap((name, n): RowSpec[] => {
    const o = { fn: n < 2 ? 'rotate' : n < 4 ? 'rotate_carry' : 'shift', arg: n === 6 ? 4 : n, ...(n === 6 ? { att: 'shl' } : {}) };
    return [
      row(name, 'Eb,Ib', `C0 /${n}`, o), row(name, 'Ev,Ib', `C1 /${n}`, o), row(name, 'Eb,1', `D0 /${n}`, o),
      row(name, 'Ev,1', `D1 /${n}`, o), row(name, 'Eb,CL', `D2 /${n}`, o), row(name, 'Ev,CL', `D3 /${n}`, o),
    ];
  }),
  row('RET', 'Iw', 'C2', { fn: 'ret', f64 }),
  row('RET', '', 'C3', { fn: 'ret', f64 }),
  row('LES', 'Gv,Mp', 'C4 /r', { fn: 'load_far', arg: 0, no64 }),
  row('LDS', 'Gv,Mp', 'C5 /r', { fn: 'load_far', arg: 3, no64 }),
  row('MOV', 'Eb,Ib', 'C6 /0'),
  row('MOV', 'Ev,Iz', 'C7 /0'),
  row('ENTER', 'Iw,Ib', 'C8', { d64 }),
  row('LEAVE', '', 'C9', { d64 }),
  row('RETF', 'Iw', 'CA', { fn: 'ret_far', att: 'lret' }),
  row('RETF', '', 'CB', { fn: 'ret_far', att: 'lret' }),
  row('INT3', '', 'CC'),
  row('INT', 'Ib', 'CD'),
  row('INTO', '', 'CE', { no64 }),
  row('IRET', '', 'CF'),
  row('AAM', 'Ib', 'D4', { no64 }),
  row('AAD', 'Ib', 'D5', { no64 }),
  row('SALC', '', 'D6', { no64 }),
  row('XLAT', '', 'D7'),
  row('LOOPNE', 'Jb', 'E0', { fn: 'loop', arg: 0, f64 }),
  row('LOOPE', 'Jb', 'E1', { fn: 'loop', arg: 1, f64 }),
  row('LOOP', 'Jb', 'E2', { fn: 'loop', arg: 2, f64 }),
  row('JCXZ', 'Jb', 'E3', { f64 }),
  row('IN', 'AL,Ib', 'E4'),
  row('IN', 'eAX,Ib', 'E5', { noW }),
  row('OUT', 'Ib,AL', 'E6'),
  row('OUT', 'Ib,eAX', 'E7', { noW }),
  row('CALL', 'Jz', 'E8', { f64 }),
  row('JMP', 'Jz', 'E9', { f64 }),
  row('JMP', 'Ap', 'EA', { fn: 'jmp_far', att: 'ljmp', no64 }),
  row('JMP', 'Jb', 'EB', { f64 }),
  row('IN', 'AL,DX', 'EC'),
  row('IN', 'eAX,DX', 'ED', { noW }),
  row('OUT', 'DX,AL', 'EE'),
  row('OUT', 'DX,eAX', 'EF', { noW }),
  row('INT1', '', 'F1'),
  row('HLT', '', 'F4'),
  row('CMC', '', 'F5'),
  // group 3; /1 is an undocumented alias of /0
  ...['0', '1'].flatMap((d) => [row('TEST', 'Eb,Ib', `F6 /${d}`), row('TEST', 'Ev,Iz', `F7 /${d}`)]),
  ...['NOT', 'NEG', 'MUL', 'IMUL', 'DIV', 'IDIV'].flatMap((name, n) => {
    const o = n < 2 ? { lock: true as const } : {};
    return [row(name, 'Eb', `F6 /${n + 2}`, o), row(name, 'Ev', `F7 /${n + 2}`, o)];
  }),
  row('CLC', '', 'F8'),
  row('STC', '', 'F9'),
  row('CLI', '', 'FA'),
  row('STI', '', 'FB'),
  row('CLD', '', 'FC'),
  row('STD', '', 'FD'),
  // groups 4 and 5
  row('INC', 'Eb', 'FE /0', { lock }),
  row('DEC', 'Eb', 'FE /1', { lock }),
  row('INC', 'Ev', 'FF /0', { lock }),
  row('DEC', 'Ev', 'FF /1', { lock }),
  row('CALL', 'Ev', 'FF /2', { fn: 'call_ind', f64 }),
  row('CALL', 'Mp', 'FF /3', { fn: 'call_far_mem', att: 'lcall' }),
  row('JMP', 'Ev', 'FF /4', { fn: 'jmp_ind', f64 }),
  row('JMP', 'Mp', 'FF /5', { fn: 'jmp_far_mem', att: 'ljmp' }),
  row('PUSH', 'Ev', 'FF /6', { d64 }),
];
