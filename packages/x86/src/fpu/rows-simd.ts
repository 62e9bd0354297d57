/** Opcode rows of MMX, SSE to SSE4.2, AES-NI, PCLMULQDQ and SHA. SDM Vol. 2D Appendix A.3. */
import { row } from '../decode/row.ts';
import type { RowSpec } from '../decode/row.ts';

type Rows = readonly RowSpec[];
/** "MNEMONIC opcode" pairs; opcode 38_xx and 3A_xx in the three-byte maps. */
const pairs = (text: string): readonly (readonly [string, string])[] => text.trim().split(/\s*,\s*/).map((p) => p.split(' ') as [string, string]);

/** Integer operations of MMX that SSE2 extended to XMM registers. `first`: where the MMX form came from. */
const mmxAndSse2 = (first: string, text: string, memory = 'q'): Rows => pairs(text).flatMap(([m, op]) => [
  row(m, `Pq,Q${memory}`, `NP 0F ${op} /r`, { feature: first }),
  row(m, 'Vdq,Wdq', `66 0F ${op} /r`, { feature: 'sse2' }),
]);
const xmm = (feature: string, prefix: string, text: string, operands = 'Vdq,Wdq'): Rows => pairs(text).map(([m, op]) => row(m, operands, `${prefix} 0F ${op.replace('_', ' ')} /r`, { feature }));
/** Immediate shifts: group 71-73. */
const shiftGroup = (m: string, op: string, digit: number): Rows => [
  row(m, 'Nq,Ib', `NP 0F ${op} /${digit}`, { feature: 'mmx' }),
  row(m, 'Udq,Ib', `66 0F ${op} /${digit}`, { feature: 'sse2' }),
];
/** PS, PD, SS, SD forms of one operation. */
const float4 = (m: string, op: string, extra = ''): Rows => [
  row(`${m}PS`, `Vdq,Wdq${extra}`, `NP 0F ${op} /r`, { feature: 'sse' }),
  row(`${m}PD`, `Vdq,Wdq${extra}`, `66 0F ${op} /r`, { feature: 'sse2' }),
  row(`${m}SS`, `Vdq,Wd${extra}`, `F3 0F ${op} /r`, { feature: 'sse' }),
  row(`${m}SD`, `Vdq,Wq${extra}`, `F2 0F ${op} /r`, { feature: 'sse2' }),
];
const logic = (m: string, op: string): Rows => [
  row(`${m}PS`, 'Vdq,Wdq', `NP 0F ${op} /r`, { feature: 'sse' }),
  row(`${m}PD`, 'Vdq,Wdq', `66 0F ${op} /r`, { feature: 'sse2' }),
];
const ssse3 = (text: string): Rows => pairs(text).flatMap(([m, op]) => [
  row(m, 'Pq,Qq', `NP 0F 38 ${op} /r`, { feature: 'ssse3' }),
  row(m, 'Vdq,Wdq', `66 0F 38 ${op} /r`, { feature: 'ssse3' }),
]);
const one = (m: string, operands: string, encoding: string, feature: string, fn: string): RowSpec => row(m, operands, encoding, { feature, fn });

const MMX_AND_SSE2: Rows = [
  ...mmxAndSse2('mmx', 'PUNPCKLBW 60, PUNPCKLWD 61, PUNPCKLDQ 62', 'd'),
  ...mmxAndSse2('mmx', `PACKSSWB 63, PCMPGTB 64, PCMPGTW 65, PCMPGTD 66, PACKUSWB 67, PUNPCKHBW 68, PUNPCKHWD 69, PUNPCKHDQ 6A, PACKSSDW 6B,
    PCMPEQB 74, PCMPEQW 75, PCMPEQD 76, PSRLW D1, PSRLD D2, PSRLQ D3, PMULLW D5, PSUBUSB D8, PSUBUSW D9, PAND DB, PADDUSB DC, PADDUSW DD, PANDN DF,
    PSRAW E1, PSRAD E2, PMULHW E5, PSUBSB E8, PSUBSW E9, POR EB, PADDSB EC, PADDSW ED, PXOR EF, PSLLW F1, PSLLD F2, PSLLQ F3, PMADDWD F5,
    PSUBB F8, PSUBW F9, PSUBD FA, PADDB FC, PADDW FD, PADDD FE`),
  ...mmxAndSse2('sse', 'PMINUB DA, PMAXUB DE, PAVGB E0, PAVGW E3, PMULHUW E4, PMINSW EA, PMAXSW EE, PSADBW F6'),
  ...mmxAndSse2('sse2', 'PADDQ D4, PMULUDQ F4, PSUBQ FB'),
  ...xmm('sse2', '66', 'PUNPCKLQDQ 6C, PUNPCKHQDQ 6D'),
  ...shiftGroup('PSRLW', '71', 2), ...shiftGroup('PSRAW', '71', 4), ...shiftGroup('PSLLW', '71', 6),
  ...shiftGroup('PSRLD', '72', 2), ...shiftGroup('PSRAD', '72', 4), ...shiftGroup('PSLLD', '72', 6),
  ...shiftGroup('PSRLQ', '73', 2), ...shiftGroup('PSLLQ', '73', 6),
  row('PSRLDQ', 'Udq,Ib', '66 0F 73 /3', { feature: 'sse2' }),
  row('PSLLDQ', 'Udq,Ib', '66 0F 73 /7', { feature: 'sse2' }),
  row('PSHUFW', 'Pq,Qq,Ib', 'NP 0F 70 /r', { feature: 'sse' }),
  row('PSHUFD', 'Vdq,Wdq,Ib', '66 0F 70 /r', { feature: 'sse2' }),
  row('PSHUFHW', 'Vdq,Wdq,Ib', 'F3 0F 70 /r', { feature: 'sse2' }),
  row('PSHUFLW', 'Vdq,Wdq,Ib', 'F2 0F 70 /r', { feature: 'sse2' }),
  one('PINSRW', 'Pq,Rd,Ib', 'NP 0F C4 /r', 'sse', 'pinsrw_mmx'), one('PINSRW', 'Pq,Mw,Ib', 'NP 0F C4 /r', 'sse', 'pinsrw_mmx'),
  one('PINSRW', 'Vdq,Rd,Ib', '66 0F C4 /r', 'sse2', 'pinsrw'), one('PINSRW', 'Vdq,Mw,Ib', '66 0F C4 /r', 'sse2', 'pinsrw'),
  row('PEXTRW', 'Gd,Nq,Ib', 'NP 0F C5 /r', { feature: 'sse' }),
  row('PEXTRW', 'Gd,Udq,Ib', '66 0F C5 /r', { feature: 'sse2' }),
  row('PMOVMSKB', 'Gd,Nq', 'NP 0F D7 /r', { feature: 'sse' }),
  row('PMOVMSKB', 'Gd,Udq', '66 0F D7 /r', { feature: 'sse2' }),
];

const MOVES: Rows = [
  one('MOVD', 'Pq,Ed', 'NP 0F 6E /r', 'mmx', 'movd_load'), one('MOVD', 'Vdq,Ed', '66 0F 6E /r', 'sse2', 'movd_load'),
  one('MOVD', 'Ed,Pq', 'NP 0F 7E /r', 'mmx', 'movd_store'), one('MOVD', 'Ed,Vdq', '66 0F 7E /r', 'sse2', 'movd_store'),
  one('MOVQ', 'Pq,Eq', 'NP REX.W 0F 6E /r', 'mmx', 'movd_load'), one('MOVQ', 'Vdq,Eq', '66 REX.W 0F 6E /r', 'sse2', 'movd_load'),
  one('MOVQ', 'Eq,Pq', 'NP REX.W 0F 7E /r', 'mmx', 'movd_store'), one('MOVQ', 'Eq,Vdq', '66 REX.W 0F 7E /r', 'sse2', 'movd_store'),
  one('MOVQ', 'Pq,Qq', 'NP 0F 6F /r', 'mmx', 'movq_mmx_load'), one('MOVQ', 'Qq,Pq', 'NP 0F 7F /r', 'mmx', 'movq_mmx_store'),
  one('MOVQ', 'Vdq,Wq', 'F3 0F 7E /r', 'sse2', 'movq_load'), one('MOVQ', 'Wq,Vdq', '66 0F D6 /r', 'sse2', 'movq_store'),
  row('MOVQ2DQ', 'Vdq,Nq', 'F3 0F D6 /r', { feature: 'sse2' }), row('MOVDQ2Q', 'Pq,Udq', 'F2 0F D6 /r', { feature: 'sse2' }),
  one('MOVDQA', 'Vdq,Wdq', '66 0F 6F /r', 'sse2', 'load_aligned'), one('MOVDQA', 'Wdq,Vdq', '66 0F 7F /r', 'sse2', 'store_aligned'),
  one('MOVDQU', 'Vdq,Wdq', 'F3 0F 6F /r', 'sse2', 'load_unaligned'), one('MOVDQU', 'Wdq,Vdq', 'F3 0F 7F /r', 'sse2', 'store_unaligned'),
  one('MOVUPS', 'Vdq,Wdq', 'NP 0F 10 /r', 'sse', 'load_unaligned'), one('MOVUPS', 'Wdq,Vdq', 'NP 0F 11 /r', 'sse', 'store_unaligned'),
  one('MOVUPD', 'Vdq,Wdq', '66 0F 10 /r', 'sse2', 'load_unaligned'), one('MOVUPD', 'Wdq,Vdq', '66 0F 11 /r', 'sse2', 'store_unaligned'),
  one('MOVSS', 'Vdq,Wd', 'F3 0F 10 /r', 'sse', 'movss_load'), one('MOVSS', 'Wd,Vdq', 'F3 0F 11 /r', 'sse', 'movss_store'),
  one('MOVSD', 'Vdq,Wq', 'F2 0F 10 /r', 'sse2', 'movsd_load'), one('MOVSD', 'Wq,Vdq', 'F2 0F 11 /r', 'sse2', 'movsd_store'),
  one('MOVLPS', 'Vdq,Mq', 'NP 0F 12 /r', 'sse', 'load_low'), one('MOVHLPS', 'Vdq,Udq', 'NP 0F 12 /r', 'sse', 'load_low'),
  one('MOVLPS', 'Mq,Vdq', 'NP 0F 13 /r', 'sse', 'store_low'), one('MOVLPD', 'Vdq,Mq', '66 0F 12 /r', 'sse2', 'load_low'), one('MOVLPD', 'Mq,Vdq', '66 0F 13 /r', 'sse2', 'store_low'),
  one('MOVHPS', 'Vdq,Mq', 'NP 0F 16 /r', 'sse', 'load_high'), one('MOVLHPS', 'Vdq,Udq', 'NP 0F 16 /r', 'sse', 'load_high'),
  one('MOVHPS', 'Mq,Vdq', 'NP 0F 17 /r', 'sse', 'store_high'), one('MOVHPD', 'Vdq,Mq', '66 0F 16 /r', 'sse2', 'load_high'), one('MOVHPD', 'Mq,Vdq', '66 0F 17 /r', 'sse2', 'store_high'),
  one('MOVAPS', 'Vdq,Wdq', 'NP 0F 28 /r', 'sse', 'load_aligned'), one('MOVAPS', 'Wdq,Vdq', 'NP 0F 29 /r', 'sse', 'store_aligned'),
  one('MOVAPD', 'Vdq,Wdq', '66 0F 28 /r', 'sse2', 'load_aligned'), one('MOVAPD', 'Wdq,Vdq', '66 0F 29 /r', 'sse2', 'store_aligned'),
  one('MOVNTPS', 'Mdq,Vdq', 'NP 0F 2B /r', 'sse', 'store_aligned'), one('MOVNTPD', 'Mdq,Vdq', '66 0F 2B /r', 'sse2', 'store_aligned'),
  one('MOVNTDQ', 'Mdq,Vdq', '66 0F E7 /r', 'sse2', 'store_aligned'), one('MOVNTQ', 'Mq,Pq', 'NP 0F E7 /r', 'sse', 'movq_mmx_store'),
  row('MOVNTI', 'My,Gy', 'NP 0F C3 /r', { feature: 'sse2' }),
  one('MASKMOVQ', 'Pq,Nq', 'NP 0F F7 /r', 'sse', 'maskmov'), one('MASKMOVDQU', 'Vdq,Udq', '66 0F F7 /r', 'sse2', 'maskmov'),
  row('EMMS', '', 'NP 0F 77', { feature: 'mmx' }),
  row('MOVMSKPS', 'Gd,Udq', 'NP 0F 50 /r', { feature: 'sse' }), row('MOVMSKPD', 'Gd,Udq', '66 0F 50 /r', { feature: 'sse2' }),
  // group 15
  row('FXSAVE', 'M', 'NP 0F AE /0', { feature: 'fxsr' }), row('FXRSTOR', 'M', 'NP 0F AE /1', { feature: 'fxsr' }),
  one('FXSAVE64', 'M', 'NP REX.W 0F AE /0', 'fxsr', 'fxsave'), one('FXRSTOR64', 'M', 'NP REX.W 0F AE /1', 'fxsr', 'fxrstor'),
  row('LDMXCSR', 'Md', 'NP 0F AE /2', { feature: 'sse' }), row('STMXCSR', 'Md', 'NP 0F AE /3', { feature: 'sse' }),
  row('LFENCE', '', 'NP 0F AE /5', { feature: 'sse2', reg: true, fn: 'sse_nothing' }),
  row('MFENCE', '', 'NP 0F AE /6', { feature: 'sse2', reg: true, fn: 'sse_nothing' }),
  row('SFENCE', '', 'NP 0F AE /7', { feature: 'sse', reg: true, fn: 'sse_nothing' }),
];

const FLOAT: Rows = [
  ...float4('SQRT', '51'), ...float4('ADD', '58'), ...float4('MUL', '59'), ...float4('SUB', '5C'), ...float4('MIN', '5D'), ...float4('DIV', '5E'), ...float4('MAX', '5F'),
  ...float4('CMP', 'C2', ',Ib'),
  ...logic('AND', '54'), ...logic('ANDN', '55'), ...logic('OR', '56'), ...logic('XOR', '57'), ...logic('UNPCKL', '14'), ...logic('UNPCKH', '15'),
  row('RSQRTPS', 'Vdq,Wdq', 'NP 0F 52 /r', { feature: 'sse' }), row('RSQRTSS', 'Vdq,Wd', 'F3 0F 52 /r', { feature: 'sse' }),
  row('RCPPS', 'Vdq,Wdq', 'NP 0F 53 /r', { feature: 'sse' }), row('RCPSS', 'Vdq,Wd', 'F3 0F 53 /r', { feature: 'sse' }),
  row('SHUFPS', 'Vdq,Wdq,Ib', 'NP 0F C6 /r', { feature: 'sse' }), row('SHUFPD', 'Vdq,Wdq,Ib', '66 0F C6 /r', { feature: 'sse2' }),
  row('UCOMISS', 'Vdq,Wd', 'NP 0F 2E /r', { feature: 'sse' }), row('UCOMISD', 'Vdq,Wq', '66 0F 2E /r', { feature: 'sse2' }),
  row('COMISS', 'Vdq,Wd', 'NP 0F 2F /r', { feature: 'sse' }), row('COMISD', 'Vdq,Wq', '66 0F 2F /r', { feature: 'sse2' }),
  row('CVTPI2PS', 'Vdq,Qq', 'NP 0F 2A /r', { feature: 'sse' }), row('CVTPI2PD', 'Vdq,Qq', '66 0F 2A /r', { feature: 'sse2' }),
  row('CVTSI2SS', 'Vdq,Ey', 'F3 0F 2A /r', { feature: 'sse' }), row('CVTSI2SD', 'Vdq,Ey', 'F2 0F 2A /r', { feature: 'sse2' }),
  row('CVTTPS2PI', 'Pq,Wq', 'NP 0F 2C /r', { feature: 'sse' }), row('CVTTPD2PI', 'Pq,Wdq', '66 0F 2C /r', { feature: 'sse2' }),
  row('CVTTSS2SI', 'Gy,Wd', 'F3 0F 2C /r', { feature: 'sse' }), row('CVTTSD2SI', 'Gy,Wq', 'F2 0F 2C /r', { feature: 'sse2' }),
  row('CVTPS2PI', 'Pq,Wq', 'NP 0F 2D /r', { feature: 'sse' }), row('CVTPD2PI', 'Pq,Wdq', '66 0F 2D /r', { feature: 'sse2' }),
  row('CVTSS2SI', 'Gy,Wd', 'F3 0F 2D /r', { feature: 'sse' }), row('CVTSD2SI', 'Gy,Wq', 'F2 0F 2D /r', { feature: 'sse2' }),
  row('CVTPS2PD', 'Vdq,Wq', 'NP 0F 5A /r', { feature: 'sse2' }), row('CVTPD2PS', 'Vdq,Wdq', '66 0F 5A /r', { feature: 'sse2' }),
  row('CVTSS2SD', 'Vdq,Wd', 'F3 0F 5A /r', { feature: 'sse2' }), row('CVTSD2SS', 'Vdq,Wq', 'F2 0F 5A /r', { feature: 'sse2' }),
  row('CVTDQ2PS', 'Vdq,Wdq', 'NP 0F 5B /r', { feature: 'sse2' }), row('CVTPS2DQ', 'Vdq,Wdq', '66 0F 5B /r', { feature: 'sse2' }), row('CVTTPS2DQ', 'Vdq,Wdq', 'F3 0F 5B /r', { feature: 'sse2' }),
  row('CVTTPD2DQ', 'Vdq,Wdq', '66 0F E6 /r', { feature: 'sse2' }), row('CVTDQ2PD', 'Vdq,Wq', 'F3 0F E6 /r', { feature: 'sse2' }), row('CVTPD2DQ', 'Vdq,Wdq', 'F2 0F E6 /r', { feature: 'sse2' }),
];

const SSE3: Rows = [
  ...xmm('pni', '66', 'HADDPD 7C, HSUBPD 7D, ADDSUBPD D0'), ...xmm('pni', 'F2', 'HADDPS 7C, HSUBPS 7D, ADDSUBPS D0'),
  one('LDDQU', 'Vdq,Mdq', 'F2 0F F0 /r', 'pni', 'load_unaligned'),
  row('MOVDDUP', 'Vdq,Wq', 'F2 0F 12 /r', { feature: 'pni' }), row('MOVSLDUP', 'Vdq,Wdq', 'F3 0F 12 /r', { feature: 'pni' }), row('MOVSHDUP', 'Vdq,Wdq', 'F3 0F 16 /r', { feature: 'pni' }),
];

const SSSE3: Rows = [
  ...ssse3(`PSHUFB 00, PHADDW 01, PHADDD 02, PHADDSW 03, PMADDUBSW 04, PHSUBW 05, PHSUBD 06, PHSUBSW 07, PSIGNB 08, PSIGNW 09, PSIGND 0A, PMULHRSW 0B,
    PABSB 1C, PABSW 1D, PABSD 1E`),
  row('PALIGNR', 'Pq,Qq,Ib', 'NP 0F 3A 0F /r', { feature: 'ssse3' }), row('PALIGNR', 'Vdq,Wdq,Ib', '66 0F 3A 0F /r', { feature: 'ssse3' }),
];

const F41 = 'sse4.1';
const SSE41: Rows = [
  ...xmm(F41, '66', 'PBLENDVB 38_10, BLENDVPS 38_14, BLENDVPD 38_15, PTEST 38_17, PMULDQ 38_28, PCMPEQQ 38_29, PACKUSDW 38_2B, PMINSB 38_38, PMINSD 38_39, PMINUW 38_3A, PMINUD 38_3B, PMAXSB 38_3C, PMAXSD 38_3D, PMAXUW 38_3E, PMAXUD 38_3F, PMULLD 38_40, PHMINPOSUW 38_41'),
  ...xmm(F41, '66', 'PMOVSXBW 38_20, PMOVSXWD 38_23, PMOVSXDQ 38_25, PMOVZXBW 38_30, PMOVZXWD 38_33, PMOVZXDQ 38_35', 'Vdq,Wq'),
  ...xmm(F41, '66', 'PMOVSXBD 38_21, PMOVSXWQ 38_24, PMOVZXBD 38_31, PMOVZXWQ 38_34', 'Vdq,Wd'),
  ...xmm(F41, '66', 'PMOVSXBQ 38_22, PMOVZXBQ 38_32', 'Vdq,Ww'),
  one('MOVNTDQA', 'Vdq,Mdq', '66 0F 38 2A /r', F41, 'load_aligned'),
  ...xmm(F41, '66', 'ROUNDPS 3A_08, ROUNDPD 3A_09, BLENDPS 3A_0C, BLENDPD 3A_0D, PBLENDW 3A_0E, DPPS 3A_40, DPPD 3A_41, MPSADBW 3A_42', 'Vdq,Wdq,Ib'),
  ...xmm(F41, '66', 'ROUNDSS 3A_0A, INSERTPS 3A_21', 'Vdq,Wd,Ib'), ...xmm(F41, '66', 'ROUNDSD 3A_0B', 'Vdq,Wq,Ib'),
  one('PEXTRB', 'Rd,Vdq,Ib', '66 0F 3A 14 /r', F41, 'pextrb'), one('PEXTRB', 'Mb,Vdq,Ib', '66 0F 3A 14 /r', F41, 'pextrb'),
  one('PEXTRW', 'Rd,Vdq,Ib', '66 0F 3A 15 /r', F41, 'pextrw_41'), one('PEXTRW', 'Mw,Vdq,Ib', '66 0F 3A 15 /r', F41, 'pextrw_41'),
  one('PEXTRD', 'Ed,Vdq,Ib', '66 0F 3A 16 /r', F41, 'pextrd'), one('PEXTRQ', 'Eq,Vdq,Ib', '66 REX.W 0F 3A 16 /r', F41, 'pextrq'), one('EXTRACTPS', 'Ed,Vdq,Ib', '66 0F 3A 17 /r', F41, 'pextrd'),
  one('PINSRB', 'Vdq,Rd,Ib', '66 0F 3A 20 /r', F41, 'pinsrb'), one('PINSRB', 'Vdq,Mb,Ib', '66 0F 3A 20 /r', F41, 'pinsrb'),
  one('PINSRD', 'Vdq,Ed,Ib', '66 0F 3A 22 /r', F41, 'pinsrd'), one('PINSRQ', 'Vdq,Eq,Ib', '66 REX.W 0F 3A 22 /r', F41, 'pinsrq'),
];

const SSE42: Rows = [
  ...xmm('sse4.2', '66', 'PCMPGTQ 38_37'),
  ...['PCMPESTRM', 'PCMPESTRI', 'PCMPISTRM', 'PCMPISTRI'].map((m, n) => row(m, 'Vdq,Wdq,Ib', `66 0F 3A 6${n} /r`, { feature: 'sse4.2', fn: 'pcmpstr', arg: n })),
];

const CRYPTO: Rows = [
  ...['AESIMC', 'AESENC', 'AESENCLAST', 'AESDEC', 'AESDECLAST'].map((m, n) => row(m, 'Vdq,Wdq', `66 0F 38 D${'BCDEF'[n]!} /r`, { feature: 'aes' })),
  row('AESKEYGENASSIST', 'Vdq,Wdq,Ib', '66 0F 3A DF /r', { feature: 'aes' }),
  row('PCLMULQDQ', 'Vdq,Wdq,Ib', '66 0F 3A 44 /r', { feature: 'pclmulqdq' }),
  ...xmm('sha-ni', 'NP', 'SHA1NEXTE 38_C8, SHA1MSG1 38_C9, SHA1MSG2 38_CA, SHA256RNDS2 38_CB, SHA256MSG1 38_CC, SHA256MSG2 38_CD'),
  row('SHA1RNDS4', 'Vdq,Wdq,Ib', 'NP 0F 3A CC /r', { feature: 'sha-ni' }),
];

export const SIMD_ROWS: Rows = [...MMX_AND_SSE2, ...MOVES, ...FLOAT, ...SSE3, ...SSSE3, ...SSE41, ...SSE42, ...CRYPTO];
