/**
 * Opcode rows of the x87. SDM Vol. 2D Appendix A.5. Undocumented aliases decode as what processors run for them. They
 * decode on a CPU without FPU too, which raises #NM with CR0.EM and else ignores them: see `x87Ready`.
 */
import { row } from '../decode/row.ts';
import type { RowOptions, RowSpec } from '../decode/row.ts';

const x87 = (mnemonic: string, operands: string, encoding: string, fn: string, more: RowOptions = {}): RowSpec => row(mnemonic, operands, encoding, { fn, ...more });
/** The eight arithmetic operations by ModRM digit. */
const DIGITS = ['FADD', 'FMUL', 'FCOM', 'FCOMP', 'FSUB', 'FSUBR', 'FDIV', 'FDIVR'] as const;
const byte = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

export const X87_ROWS: readonly RowSpec[] = [
  row('FWAIT', '', '9B', { fn: 'fwait', att: 'fwait' }),
  // D8, DC, DA, DE: arithmetic
  ...DIGITS.flatMap((m, n) => {
    const fn = m.toLowerCase();
    const compares = m.startsWith('FCOM');
    const integer = `FI${m.slice(1)}`;
    const integerFn = compares ? `fi${fn.slice(1)}` : fn;
    const [i32, i16] = compares ? ['m32', 'm16'] : ['i32', 'i16'];
    // DC E0-FF and DE E0-FF: the letters of FSUB/FSUBR and FDIV/FDIVR change places
    const swapped = n >= 4 ? DIGITS[n ^ 1]! : m;
    return [
      x87(m, 'Mfs', `D8 /${n}`, `${fn}_m32`),
      x87(m, 'ST,STi', `D8 ${byte(0xc0 + 8 * n)}+i`, compares ? `${fn}_sti` : `${fn}_st_sti`),
      x87(m, 'Mfd', `DC /${n}`, `${fn}_m64`),
      x87(compares ? m : swapped, 'STi,ST', `DC ${byte(0xc0 + 8 * n)}+i`, compares ? `${fn}_sti` : `${swapped.toLowerCase()}_sti_st`),
      x87(integer, 'Mid', `DA /${n}`, `${integerFn}_${i32}`),
      x87(integer, 'Miw', `DE /${n}`, `${integerFn}_${i16}`),
      ...(compares ? [] : [x87(`${swapped}P`, 'STi,ST', `DE ${byte(0xc0 + 8 * n)}+i`, `${swapped.toLowerCase()}p`)]),
    ];
  }),
  x87('FCOMP', 'STi', 'DE D0+i', 'fcomp_sti'),
  x87('FCOMPP', '', 'DE D9', 'fcompp'),
  x87('FUCOMPP', '', 'DA E9', 'fucompp'),
  // DA, DB: conditional moves
  ...['FCMOVB', 'FCMOVE', 'FCMOVBE', 'FCMOVU'].map((m, n) => x87(m, 'ST,STi', `DA ${byte(0xc0 + 8 * n)}+i`, m.toLowerCase(), { feature: 'cmov' })),
  ...['FCMOVNB', 'FCMOVNE', 'FCMOVNBE', 'FCMOVNU'].map((m, n) => x87(m, 'ST,STi', `DB ${byte(0xc0 + 8 * n)}+i`, m.toLowerCase(), { feature: 'cmov' })),
  // D9
  x87('FLD', 'Mfs', 'D9 /0', 'fld_m32'),
  x87('FST', 'Mfs', 'D9 /2', 'fst_m32'),
  x87('FSTP', 'Mfs', 'D9 /3', 'fstp_m32'),
  x87('FLDENV', 'Menv', 'D9 /4', 'fldenv', { noW: true }),
  x87('FLDCW', 'Mw', 'D9 /5', 'fldcw'),
  x87('FNSTENV', 'Menv', 'D9 /6', 'fnstenv', { noW: true }),
  x87('FNSTCW', 'Mw', 'D9 /7', 'fnstcw'),
  x87('FLD', 'STi', 'D9 C0+i', 'fld_sti'),
  x87('FXCH', 'STi', 'D9 C8+i', 'fxch'),
  x87('FNOP', '', 'D9 D0', 'fnop'),
  x87('FSTP', 'STi', 'D9 D8+i', 'fstp_sti'),
  x87('FCHS', '', 'D9 E0', 'fchs'), x87('FABS', '', 'D9 E1', 'fabs'), x87('FTST', '', 'D9 E4', 'ftst'), x87('FXAM', '', 'D9 E5', 'fxam'),
  ...['FLD1', 'FLDL2T', 'FLDL2E', 'FLDPI', 'FLDLG2', 'FLDLN2', 'FLDZ'].map((m, n) => x87(m, '', `D9 ${byte(0xe8 + n)}`, 'fld_const', { arg: n })),
  ...['F2XM1', 'FYL2X', 'FPTAN', 'FPATAN', 'FXTRACT', 'FPREM1', 'FDECSTP', 'FINCSTP', 'FPREM', 'FYL2XP1', 'FSQRT', 'FSINCOS', 'FRNDINT', 'FSCALE', 'FSIN', 'FCOS']
    .map((m, n) => x87(m, '', `D9 ${byte(0xf0 + n)}`, m.toLowerCase())),
  // DB
  x87('FILD', 'Mid', 'DB /0', 'fild_m32'),
  x87('FISTTP', 'Mid', 'DB /1', 'fisttp_m32', { feature: 'pni' }),
  x87('FIST', 'Mid', 'DB /2', 'fist_m32'),
  x87('FISTP', 'Mid', 'DB /3', 'fistp_m32'),
  x87('FLD', 'Mft', 'DB /5', 'fld_m80'),
  x87('FSTP', 'Mft', 'DB /7', 'fstp_m80'),
  x87('FNENI', '', 'DB E0', 'fneni'), x87('FNDISI', '', 'DB E1', 'fneni'), x87('FNCLEX', '', 'DB E2', 'fnclex'), x87('FNINIT', '', 'DB E3', 'fninit'), x87('FNSETPM', '', 'DB E4', 'fneni'),
  x87('FUCOMI', 'ST,STi', 'DB E8+i', 'fucomi', { feature: 'cmov' }),
  x87('FCOMI', 'ST,STi', 'DB F0+i', 'fcomi', { feature: 'cmov' }),
  // DD
  x87('FLD', 'Mfd', 'DD /0', 'fld_m64'),
  x87('FISTTP', 'Miq', 'DD /1', 'fisttp_m64', { feature: 'pni' }),
  x87('FST', 'Mfd', 'DD /2', 'fst_m64'),
  x87('FSTP', 'Mfd', 'DD /3', 'fstp_m64'),
  x87('FRSTOR', 'Mst', 'DD /4', 'frstor', { noW: true }),
  x87('FNSAVE', 'Mst', 'DD /6', 'fnsave', { noW: true }),
  x87('FNSTSW', 'Mw', 'DD /7', 'fnstsw'),
  x87('FFREE', 'STi', 'DD C0+i', 'ffree'),
  x87('FXCH', 'STi', 'DD C8+i', 'fxch'),
  x87('FST', 'STi', 'DD D0+i', 'fst_sti'),
  x87('FSTP', 'STi', 'DD D8+i', 'fstp_sti'),
  x87('FUCOM', 'STi', 'DD E0+i', 'fucom'),
  x87('FUCOMP', 'STi', 'DD E8+i', 'fucomp'),
  // DF
  x87('FILD', 'Miw', 'DF /0', 'fild_m16'),
  x87('FISTTP', 'Miw', 'DF /1', 'fisttp_m16', { feature: 'pni' }),
  x87('FIST', 'Miw', 'DF /2', 'fist_m16'),
  x87('FISTP', 'Miw', 'DF /3', 'fistp_m16'),
  x87('FBLD', 'Mbcd', 'DF /4', 'fbld'),
  x87('FILD', 'Miq', 'DF /5', 'fild_m64'),
  x87('FBSTP', 'Mbcd', 'DF /6', 'fbstp'),
  x87('FISTP', 'Miq', 'DF /7', 'fistp_m64'),
  x87('FFREEP', 'STi', 'DF C0+i', 'ffreep'),
  x87('FXCH', 'STi', 'DF C8+i', 'fxch'),
  x87('FSTP', 'STi', 'DF D0+i', 'fstp_sti'),
  x87('FSTP', 'STi', 'DF D8+i', 'fstp_sti'),
  x87('FNSTSW', 'AX', 'DF E0', 'fnstsw'),
  x87('FUCOMIP', 'ST,STi', 'DF E8+i', 'fucomip', { feature: 'cmov' }),
  x87('FCOMIP', 'ST,STi', 'DF F0+i', 'fcomip', { feature: 'cmov' }),
];
