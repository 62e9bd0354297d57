/** Opcode rows of AVX, AVX2, FMA and F16C. SDM Vol. 2A-2C under the mnemonics; operands as in Vol. 2D Appendix A. */
import { row } from '../decode/row.ts';
import type { RowOptions, RowSpec } from '../decode/row.ts';

type Rows = readonly RowSpec[];
/** "MNEMONIC opcode" pairs; opcode 38_xx and 3A_xx in the three-byte maps. */
const pairs = (text: string): readonly (readonly [string, string])[] => text.trim().split(/\s*,\s*/).map((p) => p.split(' ') as [string, string]);

/** VEX encoding; `length` 128 or 256, or '' for any. `op` as in `pairs`, with a digit if one is needed. */
function vex(length: string, prefix: string, op: string, w = ''): string {
  const [, map, rest] = /^(38_|3A_|)(.*)$/.exec(op)!;
  return `VEX.${length === '' ? '' : `${length}.`}${prefix}.0F${map!.replace('_', '')}${w} ${rest!}${/ \/\d$/.test(rest!) || /^77$/.test(rest!) ? '' : ' /r'}`;
}
const one = (m: string, operands: string, encoding: string, fn = m.toLowerCase(), feature = 'avx', more: RowOptions = {}): RowSpec => row(m, operands, encoding, { feature, fn, ...more });

/** The same at both lengths (floating point: AVX). */
const both = (prefix: string, text: string, operands = 'Vx,Hx,Wx', w = '', feature = 'avx'): Rows =>
  pairs(text).map(([m, op]) => one(m, operands, vex('', prefix, op, w), m.toLowerCase(), feature));
/** 128 bits in AVX, 256 in AVX2 (integers). */
const integer = (text: string, operands = 'Vx,Hx,Wx', prefix = '66'): Rows => pairs(text).flatMap(([m, op]) => [
  one(m, operands, vex('128', prefix, op)),
  one(m, operands, vex('256', prefix, op), m.toLowerCase(), 'avx2'),
]);
const only = (length: '128' | '256', prefix: string, text: string, operands: string, feature = 'avx', w = ''): Rows =>
  pairs(text).map(([m, op]) => one(m, operands, vex(length, prefix, op, w), m.toLowerCase(), feature));
/** PS, PD, SS, SD forms. */
const float4 = (m: string, op: string, extra = '', unary = false): Rows => [
  one(`${m}PS`, `${unary ? 'Vx,Wx' : 'Vx,Hx,Wx'}${extra}`, vex('', 'NP', op)),
  one(`${m}PD`, `${unary ? 'Vx,Wx' : 'Vx,Hx,Wx'}${extra}`, vex('', '66', op)),
  one(`${m}SS`, `Vdq,Hdq,Wd${extra}`, vex('', 'F3', op)),
  one(`${m}SD`, `Vdq,Hdq,Wq${extra}`, vex('', 'F2', op)),
];
const logic = (m: string, op: string): Rows => [one(`${m}PS`, 'Vx,Hx,Wx', vex('', 'NP', op)), one(`${m}PD`, 'Vx,Hx,Wx', vex('', '66', op))];

const FLOAT: Rows = [
  ...float4('VADD', '58'), ...float4('VMUL', '59'), ...float4('VSUB', '5C'), ...float4('VMIN', '5D'), ...float4('VDIV', '5E'), ...float4('VMAX', '5F'),
  ...float4('VSQRT', '51', '', true), ...float4('VCMP', 'C2', ',Ib'),
  ...logic('VAND', '54'), ...logic('VANDN', '55'), ...logic('VOR', '56'), ...logic('VXOR', '57'), ...logic('VUNPCKL', '14'), ...logic('VUNPCKH', '15'),
  ...both('NP', 'VRSQRTPS 52, VRCPPS 53', 'Vx,Wx'), ...both('F3', 'VRSQRTSS 52, VRCPSS 53', 'Vdq,Hdq,Wd'),
  ...both('NP', 'VSHUFPS C6', 'Vx,Hx,Wx,Ib'), ...both('66', 'VSHUFPD C6', 'Vx,Hx,Wx,Ib'),
  ...both('NP', 'VUCOMISS 2E, VCOMISS 2F', 'Vdq,Wd'), ...both('66', 'VUCOMISD 2E, VCOMISD 2F', 'Vdq,Wq'),
  ...both('66', 'VHADDPD 7C, VHSUBPD 7D, VADDSUBPD D0'), ...both('F2', 'VHADDPS 7C, VHSUBPS 7D, VADDSUBPS D0'),
  ...both('66', 'VROUNDPS 3A_08, VROUNDPD 3A_09', 'Vx,Wx,Ib'), ...both('66', 'VROUNDSS 3A_0A', 'Vdq,Hdq,Wd,Ib'), ...both('66', 'VROUNDSD 3A_0B', 'Vdq,Hdq,Wq,Ib'),
  ...both('66', 'VBLENDPS 3A_0C, VBLENDPD 3A_0D, VDPPS 3A_40', 'Vx,Hx,Wx,Ib'), ...only('128', '66', 'VDPPD 3A_41', 'Vx,Hx,Wx,Ib'),
  ...both('66', 'VBLENDVPS 3A_4A, VBLENDVPD 3A_4B', 'Vx,Hx,Wx,Lx', '.W0'),
  ...both('66', 'VTESTPS 38_0E, VTESTPD 38_0F', 'Vx,Wx', '.W0'),
];

const CONVERT: Rows = [
  ...both('F3', 'VCVTSI2SS 2A', 'Vdq,Hdq,Ey'), ...both('F2', 'VCVTSI2SD 2A', 'Vdq,Hdq,Ey'),
  ...both('F3', 'VCVTTSS2SI 2C, VCVTSS2SI 2D', 'Gy,Wd'), ...both('F2', 'VCVTTSD2SI 2C, VCVTSD2SI 2D', 'Gy,Wq'),
  ...both('F3', 'VCVTSS2SD 5A', 'Vdq,Hdq,Wd'), ...both('F2', 'VCVTSD2SS 5A', 'Vdq,Hdq,Wq'),
  ...only('128', 'NP', 'VCVTPS2PD 5A', 'Vdq,Wq'), ...only('256', 'NP', 'VCVTPS2PD 5A', 'Vqq,Wdq'), ...both('66', 'VCVTPD2PS 5A', 'Vdq,Wx'),
  ...both('NP', 'VCVTDQ2PS 5B', 'Vx,Wx'), ...both('66', 'VCVTPS2DQ 5B', 'Vx,Wx'), ...both('F3', 'VCVTTPS2DQ 5B', 'Vx,Wx'),
  ...both('66', 'VCVTTPD2DQ E6', 'Vdq,Wx'), ...both('F2', 'VCVTPD2DQ E6', 'Vdq,Wx'), ...only('128', 'F3', 'VCVTDQ2PD E6', 'Vdq,Wq'), ...only('256', 'F3', 'VCVTDQ2PD E6', 'Vqq,Wdq'),
  ...only('128', '66', 'VCVTPH2PS 38_13', 'Vdq,Wq', 'f16c', '.W0'), ...only('256', '66', 'VCVTPH2PS 38_13', 'Vqq,Wdq', 'f16c', '.W0'),
  ...only('128', '66', 'VCVTPS2PH 3A_1D', 'Wq,Vdq,Ib', 'f16c', '.W0'), ...only('256', '66', 'VCVTPS2PH 3A_1D', 'Wdq,Vqq,Ib', 'f16c', '.W0'),
];

const MOVES: Rows = [
  ...[['NP', 'VMOVUPS', '10', 'u'], ['66', 'VMOVUPD', '10', 'u'], ['NP', 'VMOVAPS', '28', 'a'], ['66', 'VMOVAPD', '28', 'a']].flatMap(([p, m, op, kind]) => [
    one(m!, 'Vx,Wx', vex('', p!, op!), kind === 'u' ? 'vload_unaligned' : 'vload_aligned'),
    one(m!, 'Wx,Vx', vex('', p!, (parseInt(op!, 16) + 1).toString(16)), kind === 'u' ? 'vstore_unaligned' : 'vstore_aligned'),
  ]),
  one('VMOVDQA', 'Vx,Wx', vex('', '66', '6F'), 'vload_aligned'), one('VMOVDQA', 'Wx,Vx', vex('', '66', '7F'), 'vstore_aligned'),
  one('VMOVDQU', 'Vx,Wx', vex('', 'F3', '6F'), 'vload_unaligned'), one('VMOVDQU', 'Wx,Vx', vex('', 'F3', '7F'), 'vstore_unaligned'),
  one('VLDDQU', 'Vx,Mx', vex('', 'F2', 'F0'), 'vload_unaligned'),
  one('VMOVNTPS', 'Mx,Vx', vex('', 'NP', '2B'), 'vstore_aligned'), one('VMOVNTPD', 'Mx,Vx', vex('', '66', '2B'), 'vstore_aligned'), one('VMOVNTDQ', 'Mx,Vx', vex('', '66', 'E7'), 'vstore_aligned'),
  one('VMOVNTDQA', 'Vx,Mx', vex('128', '66', '38_2A'), 'vload_aligned'), one('VMOVNTDQA', 'Vx,Mx', vex('256', '66', '38_2A'), 'vload_aligned', 'avx2'),
  one('VMOVSS', 'Vdq,Md', vex('', 'F3', '10'), 'vload_low'), one('VMOVSS', 'Vdq,Hdq,Udq', vex('', 'F3', '10'), 'vmovss'),
  one('VMOVSS', 'Md,Vdq', vex('', 'F3', '11'), 'vstore_low'), one('VMOVSS', 'Udq,Hdq,Vdq', vex('', 'F3', '11'), 'vmovss'),
  one('VMOVSD', 'Vdq,Mq', vex('', 'F2', '10'), 'vload_low'), one('VMOVSD', 'Vdq,Hdq,Udq', vex('', 'F2', '10'), 'vmovsd'),
  one('VMOVSD', 'Mq,Vdq', vex('', 'F2', '11'), 'vstore_low'), one('VMOVSD', 'Udq,Hdq,Vdq', vex('', 'F2', '11'), 'vmovsd'),
  ...['NP', '66'].flatMap((p, n) => {
    const s = 'SD'[n]!;
    return [
      one(`VMOVLP${s}`, 'Vdq,Hdq,Mq', vex('128', p, '12'), 'vload_half', 'avx', { arg: 0 }), one(`VMOVLP${s}`, 'Mq,Vdq', vex('128', p, '13'), 'store_low'),
      one(`VMOVHP${s}`, 'Vdq,Hdq,Mq', vex('128', p, '16'), 'vload_half', 'avx', { arg: 1 }), one(`VMOVHP${s}`, 'Mq,Vdq', vex('128', p, '17'), 'store_high'),
    ];
  }),
  one('VMOVHLPS', 'Vdq,Hdq,Udq', vex('128', 'NP', '12'), 'vload_half', 'avx', { arg: 0 }), one('VMOVLHPS', 'Vdq,Hdq,Udq', vex('128', 'NP', '16'), 'vload_half', 'avx', { arg: 1 }),
  one('VMOVD', 'Vdq,Ey', vex('128', '66', '6E'), 'vmovd_load'), one('VMOVD', 'Ey,Vdq', vex('128', '66', '7E'), 'vmovd_store'),
  one('VMOVQ', 'Vdq,Wq', vex('128', 'F3', '7E'), 'vmovq_load'), one('VMOVQ', 'Wq,Vdq', vex('128', '66', 'D6'), 'vmovq_store'),
  one('VMOVDDUP', 'Vdq,Wq', vex('128', 'F2', '12'), 'vmovddup'), one('VMOVDDUP', 'Vqq,Wqq', vex('256', 'F2', '12'), 'vmovddup'),
  ...both('F3', 'VMOVSLDUP 12, VMOVSHDUP 16', 'Vx,Wx'),
  one('VMASKMOVDQU', 'Vdq,Udq', vex('128', '66', 'F7'), 'maskmov'),
  ...both('NP', 'VMOVMSKPS 50', 'Gd,Ux'), ...both('66', 'VMOVMSKPD 50', 'Gd,Ux'), ...integer('VPMOVMSKB D7', 'Gd,Ux'),
  one('VZEROUPPER', '', vex('128', 'NP', '77')), one('VZEROALL', '', vex('256', 'NP', '77')),
  one('VLDMXCSR', 'Md', vex('128', 'NP', 'AE /2'), 'ldmxcsr'), one('VSTMXCSR', 'Md', vex('128', 'NP', 'AE /3'), 'stmxcsr'),
  ...both('66', 'VMASKMOVPS 38_2C, VMASKMOVPD 38_2D', 'Vx,Hx,Mx', '.W0').map((r) => ({ ...r, options: { ...r.options, fn: 'vmask_load', arg: r.mnemonic.endsWith('D') ? 3 : 2 } })),
  ...both('66', 'VMASKMOVPS 38_2E, VMASKMOVPD 38_2F', 'Mx,Hx,Vx', '.W0').map((r) => ({ ...r, options: { ...r.options, fn: 'vmask_store', arg: r.mnemonic.endsWith('D') ? 3 : 2 } })),
  ...['D', 'Q'].flatMap((s, n) => [
    one(`VPMASKMOV${s}`, 'Vx,Hx,Mx', vex('', '66', '38_8C', `.W${n}`), 'vmask_load', 'avx2', { arg: 2 + n }),
    one(`VPMASKMOV${s}`, 'Mx,Hx,Vx', vex('', '66', '38_8E', `.W${n}`), 'vmask_store', 'avx2', { arg: 2 + n }),
  ]),
];

const SHIFTS: Rows = [
  ...integer('VPSRLW D1, VPSRLD D2, VPSRLQ D3, VPSRAW E1, VPSRAD E2, VPSLLW F1, VPSLLD F2, VPSLLQ F3', 'Vx,Hx,Wdq'),
  ...integer('VPSRLW 71_/2, VPSRAW 71_/4, VPSLLW 71_/6, VPSRLD 72_/2, VPSRAD 72_/4, VPSLLD 72_/6, VPSRLQ 73_/2, VPSLLQ 73_/6, VPSRLDQ 73_/3, VPSLLDQ 73_/7'.replaceAll('_/', '#'), 'Hx,Ux,Ib')
    .map((r) => ({ ...r, encoding: r.encoding.replace('#', ' /').replace(/ \/r$/, '') })),
];

const INTEGER: Rows = [
  ...integer(`VPUNPCKLBW 60, VPUNPCKLWD 61, VPUNPCKLDQ 62, VPACKSSWB 63, VPCMPGTB 64, VPCMPGTW 65, VPCMPGTD 66, VPACKUSWB 67, VPUNPCKHBW 68, VPUNPCKHWD 69, VPUNPCKHDQ 6A, VPACKSSDW 6B,
    VPUNPCKLQDQ 6C, VPUNPCKHQDQ 6D, VPCMPEQB 74, VPCMPEQW 75, VPCMPEQD 76, VPADDQ D4, VPMULLW D5, VPSUBUSB D8, VPSUBUSW D9, VPMINUB DA, VPAND DB, VPADDUSB DC, VPADDUSW DD, VPMAXUB DE, VPANDN DF,
    VPAVGB E0, VPAVGW E3, VPMULHUW E4, VPMULHW E5, VPSUBSB E8, VPSUBSW E9, VPMINSW EA, VPOR EB, VPADDSB EC, VPADDSW ED, VPMAXSW EE, VPXOR EF, VPMULUDQ F4, VPMADDWD F5, VPSADBW F6,
    VPSUBB F8, VPSUBW F9, VPSUBD FA, VPSUBQ FB, VPADDB FC, VPADDW FD, VPADDD FE,
    VPSHUFB 38_00, VPHADDW 38_01, VPHADDD 38_02, VPHADDSW 38_03, VPMADDUBSW 38_04, VPHSUBW 38_05, VPHSUBD 38_06, VPHSUBSW 38_07, VPSIGNB 38_08, VPSIGNW 38_09, VPSIGND 38_0A, VPMULHRSW 38_0B,
    VPMULDQ 38_28, VPCMPEQQ 38_29, VPACKUSDW 38_2B, VPCMPGTQ 38_37, VPMINSB 38_38, VPMINSD 38_39, VPMINUW 38_3A, VPMINUD 38_3B, VPMAXSB 38_3C, VPMAXSD 38_3D, VPMAXUW 38_3E, VPMAXUD 38_3F, VPMULLD 38_40`),
  ...integer('VPABSB 38_1C, VPABSW 38_1D, VPABSD 38_1E', 'Vx,Wx'),
  ...SHIFTS,
  ...integer('VPSHUFD 70', 'Vx,Wx,Ib'), ...integer('VPSHUFHW 70', 'Vx,Wx,Ib', 'F3'), ...integer('VPSHUFLW 70', 'Vx,Wx,Ib', 'F2'),
  ...integer('VPBLENDW 3A_0E, VPALIGNR 3A_0F, VMPSADBW 3A_42', 'Vx,Hx,Wx,Ib'),
  one('VPBLENDVB', 'Vx,Hx,Wx,Lx', vex('128', '66', '3A_4C', '.W0')), one('VPBLENDVB', 'Vx,Hx,Wx,Lx', vex('256', '66', '3A_4C', '.W0'), 'vpblendvb', 'avx2'),
  ...['VPMOVSX', 'VPMOVZX'].flatMap((m, n) => ['BW', 'BD', 'BQ', 'WD', 'WQ', 'DQ'].flatMap((s, k) => {
    const op = `38_${(0x20 + 16 * n + k).toString(16)}`;
    const narrow = ['q', 'd', 'w', 'q', 'd', 'q'][k]!;
    return [one(m + s, `Vdq,W${narrow}`, vex('128', '66', op)), one(m + s, `Vqq,W${{ q: 'dq', d: 'q', w: 'd' }[narrow]!}`, vex('256', '66', op), (m + s).toLowerCase(), 'avx2')];
  })),
  ...both('66', 'VPTEST 38_17', 'Vx,Wx'), ...only('128', '66', 'VPHMINPOSUW 38_41', 'Vx,Wx'),
  one('VPINSRW', 'Vdq,Hdq,Rd,Ib', vex('128', '66', 'C4')), one('VPINSRW', 'Vdq,Hdq,Mw,Ib', vex('128', '66', 'C4')),
  one('VPINSRB', 'Vdq,Hdq,Rd,Ib', vex('128', '66', '3A_20')), one('VPINSRB', 'Vdq,Hdq,Mb,Ib', vex('128', '66', '3A_20')),
  one('VPINSRD', 'Vdq,Hdq,Ey,Ib', vex('128', '66', '3A_22')), one('VINSERTPS', 'Vdq,Hdq,Wd,Ib', vex('128', '66', '3A_21')),
  one('VPEXTRW', 'Gd,Udq,Ib', vex('128', '66', 'C5'), 'pextrw'), one('VPEXTRW', 'Rd,Vdq,Ib', vex('128', '66', '3A_15'), 'pextrw_41'), one('VPEXTRW', 'Mw,Vdq,Ib', vex('128', '66', '3A_15'), 'pextrw_41'),
  one('VPEXTRB', 'Rd,Vdq,Ib', vex('128', '66', '3A_14'), 'pextrb'), one('VPEXTRB', 'Mb,Vdq,Ib', vex('128', '66', '3A_14'), 'pextrb'),
  one('VPEXTRD', 'Ey,Vdq,Ib', vex('128', '66', '3A_16'), 'vpextrd'), one('VEXTRACTPS', 'Ed,Vdq,Ib', vex('128', '66', '3A_17'), 'pextrd'),
];

const ACROSS: Rows = [
  ...only('256', '66', 'VPERM2F128 3A_06', 'Vqq,Hqq,Wqq,Ib', 'avx', '.W0'), ...only('256', '66', 'VPERM2I128 3A_46', 'Vqq,Hqq,Wqq,Ib', 'avx2', '.W0'),
  ...only('256', '66', 'VINSERTF128 3A_18', 'Vqq,Hqq,Wdq,Ib', 'avx', '.W0'), ...only('256', '66', 'VINSERTI128 3A_38', 'Vqq,Hqq,Wdq,Ib', 'avx2', '.W0'),
  ...only('256', '66', 'VEXTRACTF128 3A_19', 'Wdq,Vqq,Ib', 'avx', '.W0'), ...only('256', '66', 'VEXTRACTI128 3A_39', 'Wdq,Vqq,Ib', 'avx2', '.W0'),
  ...both('66', 'VPERMILPS 38_0C, VPERMILPD 38_0D', 'Vx,Hx,Wx', '.W0'),
  one('VPERMILPS', 'Vx,Wx,Ib', vex('', '66', '3A_04', '.W0'), 'vpermilps_imm'), one('VPERMILPD', 'Vx,Wx,Ib', vex('', '66', '3A_05', '.W0'), 'vpermilpd_imm'),
  one('VBROADCASTSS', 'Vx,Md', vex('', '66', '38_18', '.W0'), 'vbroadcastd'), one('VBROADCASTSS', 'Vx,Udq', vex('', '66', '38_18', '.W0'), 'vbroadcastd', 'avx2'),
  one('VBROADCASTSD', 'Vqq,Mq', vex('256', '66', '38_19', '.W0'), 'vbroadcastq'), one('VBROADCASTSD', 'Vqq,Udq', vex('256', '66', '38_19', '.W0'), 'vbroadcastq', 'avx2'),
  one('VBROADCASTF128', 'Vqq,Mdq', vex('256', '66', '38_1A', '.W0'), 'vbroadcast128'), one('VBROADCASTI128', 'Vqq,Mdq', vex('256', '66', '38_5A', '.W0'), 'vbroadcast128', 'avx2'),
  one('VPBROADCASTB', 'Vx,Wb', vex('', '66', '38_78', '.W0'), 'vbroadcastb', 'avx2'), one('VPBROADCASTW', 'Vx,Ww', vex('', '66', '38_79', '.W0'), 'vbroadcastw', 'avx2'),
  one('VPBROADCASTD', 'Vx,Wd', vex('', '66', '38_58', '.W0'), 'vbroadcastd', 'avx2'), one('VPBROADCASTQ', 'Vx,Wq', vex('', '66', '38_59', '.W0'), 'vbroadcastq', 'avx2'),
  one('VPERMD', 'Vqq,Hqq,Wqq', vex('256', '66', '38_36', '.W0'), 'vpermd', 'avx2'), one('VPERMPS', 'Vqq,Hqq,Wqq', vex('256', '66', '38_16', '.W0'), 'vpermd', 'avx2'),
  one('VPERMQ', 'Vqq,Wqq,Ib', vex('256', '66', '3A_00', '.W1'), 'vpermq', 'avx2'), one('VPERMPD', 'Vqq,Wqq,Ib', vex('256', '66', '3A_01', '.W1'), 'vpermq', 'avx2'),
  ...both('66', 'VPBLENDD 3A_02', 'Vx,Hx,Wx,Ib', '.W0', 'avx2'),
  ...both('66', 'VPSRLVD 38_45, VPSRAVD 38_46, VPSLLVD 38_47', 'Vx,Hx,Wx', '.W0', 'avx2'), ...both('66', 'VPSRLVQ 38_45, VPSLLVQ 38_47', 'Vx,Hx,Wx', '.W1', 'avx2'),
  // arg: log2 of the element's size, + 16 * log2 of the index's
  ...[['VPGATHER', '90', 'D', 'Q'], ['VGATHER', '92', 'PS', 'PD']].flatMap(([m, op, narrow, wide]) => ['D', 'Q'].flatMap((index, n) => [narrow, wide].map((element, w) =>
    one(`${m!}${index}${element!}`, `V${n === 1 && w === 0 ? 'dq' : 'x'},M${w === 0 ? 'd' : 'q'},H${n === 1 && w === 0 ? 'dq' : 'x'}`, vex('', '66', `38_${(parseInt(op!, 16) + n).toString(16)}`, `.W${w}`), 'vgather', 'avx2', { arg: 2 + w + 16 * (2 + n), vsib: true })))),
];

const FUSED: Rows = [132, 213, 231].flatMap((order, n) => {
  const base = 0x96 + 16 * n;
  const forms: Rows = ['VFMADDSUB', 'VFMSUBADD'].flatMap((m, k) => [0, 1].map((w) => one(`${m}${order}P${'SD'[w]!}`, 'Vx,Hx,Wx', vex('', '66', `38_${(base + k).toString(16)}`, `.W${w}`), undefined, 'fma')));
  return [...forms, ...['VFMADD', 'VFMSUB', 'VFNMADD', 'VFNMSUB'].flatMap((m, k) => [0, 1].flatMap((w) => [
    one(`${m}${order}P${'SD'[w]!}`, 'Vx,Hx,Wx', vex('', '66', `38_${(base + 2 + 2 * k).toString(16)}`, `.W${w}`), undefined, 'fma'),
    one(`${m}${order}S${'SD'[w]!}`, `Vdq,Hdq,W${'dq'[w]!}`, vex('', '66', `38_${(base + 3 + 2 * k).toString(16)}`, `.W${w}`), undefined, 'fma'),
  ]))];
});

const CRYPTO: Rows = [
  ...['VAESENC', 'VAESENCLAST', 'VAESDEC', 'VAESDECLAST'].map((m, n) => one(m, 'Vx,Hx,Wx', vex('128', '66', `38_D${'CDEF'[n]!}`), m.toLowerCase(), 'aes')),
  one('VAESIMC', 'Vdq,Wdq', vex('128', '66', '38_DB'), 'vaesimc', 'aes'), one('VAESKEYGENASSIST', 'Vdq,Wdq,Ib', vex('128', '66', '3A_DF'), 'vaeskeygenassist', 'aes'),
  one('VPCLMULQDQ', 'Vx,Hx,Wx,Ib', vex('128', '66', '3A_44'), 'vpclmulqdq', 'pclmulqdq'),
  ...['VAESENC', 'VAESENCLAST', 'VAESDEC', 'VAESDECLAST'].map((m, n) => one(m, 'Vx,Hx,Wx', vex('256', '66', `38_D${'CDEF'[n]!}`), m.toLowerCase(), 'vaes')),
  one('VPCLMULQDQ', 'Vx,Hx,Wx,Ib', vex('256', '66', '3A_44'), 'vpclmulqdq', 'vpclmulqdq'),
  ...['VPCMPESTRM', 'VPCMPESTRI', 'VPCMPISTRM', 'VPCMPISTRI'].map((m, n) => one(m, 'Vdq,Wdq,Ib', vex('128', '66', `3A_6${n}`), 'pcmpstr', 'avx', { arg: n })),
];

export const AVX_ROWS: Rows = [...FLOAT, ...CONVERT, ...MOVES, ...INTEGER, ...ACROSS, ...FUSED, ...CRYPTO].map((r) => ({ ...r, encoding: r.encoding.replace(/ [0-9a-f]{2}( |$)/, (x) => x.toUpperCase()) }));
