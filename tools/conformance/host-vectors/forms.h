/* Forms of VEX-encoded and related instructions, a line each: SDM Vol. 2 opcode columns. Part of hostgen.c.
 *
 * group name prefix map opcode W L form kind memory [options]
 *   group   avx avx2 fma f16c aes vaes (with VPCLMULQDQ) sha bmi adx sse; avxi: 128 bits in avx, 256 in avx2
 *   prefix  NP 66 F3 F2            map   0F 38 3A, 'l' before it: legacy encoding (no VEX)
 *   opcode  hex, /n: ModRM.reg     W     WIG W0 W1 W* (either, with a meaning)
 *   L       L0 L1 L* LIG           form  operands in encoding order: R ModRM.reg, V vvvv, M r/m, I imm8, S imm8 register
 *   kind    i integers, s d singles doubles, h halves (of the operands' random values)
 *   memory  bytes; with *: of the 128-bit form, twice that in the 256-bit form
 *   options m r   memory, register form only      a   memory must be aligned
 *           R M V that operand is a general register (W: 64 bits)
 *           n     no wrong L or W (another extension has it)
 *           g     gather (M is a vector of indices, V the mask)   k   V is a mask   x   writes to DS:rDI, mask in M
 *           e     implicit rAX and rDX lengths    t   approximation   c   control word in memory   uHEX undefined flags
 */
static const char FORMS[] =
/* moves */
"avx vmovups NP 0F 10 WIG L* RM s 16*\n" "avx vmovups NP 0F 11 WIG L* RM s 16*\n"
"avx vmovupd 66 0F 10 WIG L* RM d 16*\n" "avx vmovupd 66 0F 11 WIG L* RM d 16*\n"
"avx vmovss F3 0F 10 WIG LIG RM s 4 m\n" "avx vmovss F3 0F 10 WIG LIG RVM s 4 r\n"
"avx vmovss F3 0F 11 WIG LIG RM s 4 m\n" "avx vmovss F3 0F 11 WIG LIG RVM s 4 r\n"
"avx vmovsd F2 0F 10 WIG LIG RM d 8 m\n" "avx vmovsd F2 0F 10 WIG LIG RVM d 8 r\n"
"avx vmovsd F2 0F 11 WIG LIG RM d 8 m\n" "avx vmovsd F2 0F 11 WIG LIG RVM d 8 r\n"
"avx vmovlps NP 0F 12 WIG L0 RVM s 8\n" "avx vmovlpd 66 0F 12 WIG L0 RVM d 8 m\n"
"avx vmovsldup F3 0F 12 WIG L* RM s 16*\n" "avx vmovddup F2 0F 12 WIG L0 RM d 8\n" "avx vmovddup F2 0F 12 WIG L1 RM d 32\n"
"avx vmovlps NP 0F 13 WIG L0 RM s 8 m\n" "avx vmovlpd 66 0F 13 WIG L0 RM d 8 m\n"
"avx vunpcklps NP 0F 14 WIG L* RVM s 16*\n" "avx vunpcklpd 66 0F 14 WIG L* RVM d 16*\n"
"avx vunpckhps NP 0F 15 WIG L* RVM s 16*\n" "avx vunpckhpd 66 0F 15 WIG L* RVM d 16*\n"
"avx vmovhps NP 0F 16 WIG L0 RVM s 8\n" "avx vmovhpd 66 0F 16 WIG L0 RVM d 8 m\n" "avx vmovshdup F3 0F 16 WIG L* RM s 16*\n"
"avx vmovhps NP 0F 17 WIG L0 RM s 8 m\n" "avx vmovhpd 66 0F 17 WIG L0 RM d 8 m\n"
"avx vmovaps NP 0F 28 WIG L* RM s 16* a\n" "avx vmovapd 66 0F 28 WIG L* RM d 16* a\n"
"avx vmovaps NP 0F 29 WIG L* RM s 16* a\n" "avx vmovapd 66 0F 29 WIG L* RM d 16* a\n"
"avx vmovntps NP 0F 2B WIG L* RM s 16* am\n" "avx vmovntpd 66 0F 2B WIG L* RM d 16* am\n"
"avx vmovmskps NP 0F 50 WIG L* RM s 16 rR\n" "avx vmovmskpd 66 0F 50 WIG L* RM d 16 rR\n"
"avx vmovd 66 0F 6E W0 L0 RM i 4 Mn\n" "avx vmovq 66 0F 6E W1 L0 RM i 8 Mn\n"
"avx vmovd 66 0F 7E W0 L0 RM i 4 Mn\n" "avx vmovq 66 0F 7E W1 L0 RM i 8 Mn\n"
"avx vmovq F3 0F 7E WIG L0 RM i 8\n" "avx vmovq 66 0F D6 WIG L0 RM i 8\n"
"avx vmovdqa 66 0F 6F WIG L* RM i 16* a\n" "avx vmovdqu F3 0F 6F WIG L* RM i 16*\n"
"avx vmovdqa 66 0F 7F WIG L* RM i 16* a\n" "avx vmovdqu F3 0F 7F WIG L* RM i 16*\n"
"avx vmovntdq 66 0F E7 WIG L* RM i 16* am\n" "avx vlddqu F2 0F F0 WIG L* RM i 16* m\n"
"avxi vmovntdqa 66 38 2A WIG L* RM i 16* am\n" "avx vmaskmovdqu 66 0F F7 WIG L0 RM i 16 rx\n"
"avxi vpmovmskb 66 0F D7 WIG L* RM i 16 rR\n" "avx vzero NP 0F 77 WIG L* - i 0\n"
"avx vldmxcsr NP 0F AE/2 WIG L0 M i 4 mc\n" "avx vstmxcsr NP 0F AE/3 WIG L0 M i 4 m\n"
/* floating point */
"avx vcvtsi2ss F3 0F 2A W* LIG RVM i 4 M\n" "avx vcvtsi2sd F2 0F 2A W* LIG RVM i 4 M\n"
"avx vcvttss2si F3 0F 2C W* LIG RM s 4 R\n" "avx vcvttsd2si F2 0F 2C W* LIG RM d 8 R\n"
"avx vcvtss2si F3 0F 2D W* LIG RM s 4 R\n" "avx vcvtsd2si F2 0F 2D W* LIG RM d 8 R\n"
"avx vucomiss NP 0F 2E WIG LIG RM s 4\n" "avx vucomisd 66 0F 2E WIG LIG RM d 8\n"
"avx vcomiss NP 0F 2F WIG LIG RM s 4\n" "avx vcomisd 66 0F 2F WIG LIG RM d 8\n"
"avx vrsqrtps NP 0F 52 WIG L* RM s 16* t\n" "avx vrsqrtss F3 0F 52 WIG LIG RVM s 4 t\n"
"avx vrcpps NP 0F 53 WIG L* RM s 16* t\n" "avx vrcpss F3 0F 53 WIG LIG RVM s 4 t\n"
#define FOUR(name, op, form1) \
  "avx " name "ps NP 0F " op " WIG L* " form1 " s 16*\n" "avx " name "pd 66 0F " op " WIG L* " form1 " d 16*\n" \
  "avx " name "ss F3 0F " op " WIG LIG RVM s 4\n" "avx " name "sd F2 0F " op " WIG LIG RVM d 8\n"
FOUR("vsqrt", "51", "RM") FOUR("vadd", "58", "RVM") FOUR("vmul", "59", "RVM") FOUR("vsub", "5C", "RVM")
FOUR("vmin", "5D", "RVM") FOUR("vdiv", "5E", "RVM") FOUR("vmax", "5F", "RVM")
#define TWO(name, op) "avx " name "ps NP 0F " op " WIG L* RVM s 16*\n" "avx " name "pd 66 0F " op " WIG L* RVM d 16*\n"
TWO("vand", "54") TWO("vandn", "55") TWO("vor", "56") TWO("vxor", "57")
"avx vcvtps2pd NP 0F 5A WIG L* RM s 8*\n" "avx vcvtpd2ps 66 0F 5A WIG L* RM d 16*\n"
"avx vcvtss2sd F3 0F 5A WIG LIG RVM s 4\n" "avx vcvtsd2ss F2 0F 5A WIG LIG RVM d 8\n"
"avx vcvtdq2ps NP 0F 5B WIG L* RM i 16*\n" "avx vcvtps2dq 66 0F 5B WIG L* RM s 16*\n" "avx vcvttps2dq F3 0F 5B WIG L* RM s 16*\n"
"avx vcvttpd2dq 66 0F E6 WIG L* RM d 16*\n" "avx vcvtdq2pd F3 0F E6 WIG L* RM i 8*\n" "avx vcvtpd2dq F2 0F E6 WIG L* RM d 16*\n"
"avx vhaddpd 66 0F 7C WIG L* RVM d 16*\n" "avx vhaddps F2 0F 7C WIG L* RVM s 16*\n"
"avx vhsubpd 66 0F 7D WIG L* RVM d 16*\n" "avx vhsubps F2 0F 7D WIG L* RVM s 16*\n"
"avx vaddsubpd 66 0F D0 WIG L* RVM d 16*\n" "avx vaddsubps F2 0F D0 WIG L* RVM s 16*\n"
"avx vcmpps NP 0F C2 WIG L* RVMI s 16*\n" "avx vcmppd 66 0F C2 WIG L* RVMI d 16*\n"
"avx vcmpss F3 0F C2 WIG LIG RVMI s 4\n" "avx vcmpsd F2 0F C2 WIG LIG RVMI d 8\n"
"avx vshufps NP 0F C6 WIG L* RVMI s 16*\n" "avx vshufpd 66 0F C6 WIG L* RVMI d 16*\n"
"avx vroundps 66 3A 08 WIG L* RMI s 16*\n" "avx vroundpd 66 3A 09 WIG L* RMI d 16*\n"
"avx vroundss 66 3A 0A WIG LIG RVMI s 4\n" "avx vroundsd 66 3A 0B WIG LIG RVMI d 8\n"
"avx vblendps 66 3A 0C WIG L* RVMI s 16*\n" "avx vblendpd 66 3A 0D WIG L* RVMI d 16*\n"
"avx vdpps 66 3A 40 WIG L* RVMI s 16*\n" "avx vdppd 66 3A 41 WIG L0 RVMI d 16\n"
"avx vblendvps 66 3A 4A W0 L* RVMS s 16*\n" "avx vblendvpd 66 3A 4B W0 L* RVMS d 16*\n" "avxi vpblendvb 66 3A 4C W0 L* RVMS i 16*\n"
"avx vextractps 66 3A 17 WIG L0 RMI s 4 M\n" "avx vinsertps 66 3A 21 WIG L0 RVMI s 4\n"
/* permutations, broadcasts, tests, masks */
"avx vpermilps 66 38 0C W0 L* RVM i 16*\n" "avx vpermilpd 66 38 0D W0 L* RVM i 16*\n"
"avx vpermilps 66 3A 04 W0 L* RMI i 16*\n" "avx vpermilpd 66 3A 05 W0 L* RMI i 16*\n" "avx vperm2f128 66 3A 06 W0 L1 RVMI i 32\n"
"avx vtestps 66 38 0E W0 L* RM i 16*\n" "avx vtestpd 66 38 0F W0 L* RM i 16*\n" "avx vptest 66 38 17 WIG L* RM i 16*\n"
"avx vbroadcastss 66 38 18 W0 L* RM s 4 m\n" "avx2 vbroadcastss 66 38 18 W0 L* RM s 4 r\n"
"avx vbroadcastsd 66 38 19 W0 L1 RM d 8 m\n" "avx2 vbroadcastsd 66 38 19 W0 L1 RM d 8 r\n" "avx vbroadcastf128 66 38 1A W0 L1 RM s 16 m\n"
"avx vmaskmovps 66 38 2C W0 L* RVM s 16* mk\n" "avx vmaskmovpd 66 38 2D W0 L* RVM d 16* mk\n"
"avx vmaskmovps 66 38 2E W0 L* RVM s 16* mk\n" "avx vmaskmovpd 66 38 2F W0 L* RVM d 16* mk\n"
"avx vinsertf128 66 3A 18 W0 L1 RVMI s 16\n" "avx vextractf128 66 3A 19 W0 L1 RMI s 16\n"
"avx2 vinserti128 66 3A 38 W0 L1 RVMI i 16\n" "avx2 vextracti128 66 3A 39 W0 L1 RMI i 16\n"
"avx2 vpermps 66 38 16 W0 L1 RVM s 32\n" "avx2 vpermd 66 38 36 W0 L1 RVM i 32\n" "avx2 vpermq 66 3A 00 W1 L1 RMI i 32\n"
"avx2 vpermpd 66 3A 01 W1 L1 RMI d 32\n" "avx2 vpblendd 66 3A 02 W0 L* RVMI i 16*\n" "avx2 vperm2i128 66 3A 46 W0 L1 RVMI i 32\n"
"avx2 vpbroadcastb 66 38 78 W0 L* RM i 1\n" "avx2 vpbroadcastw 66 38 79 W0 L* RM i 2\n" "avx2 vpbroadcastd 66 38 58 W0 L* RM i 4\n"
"avx2 vpbroadcastq 66 38 59 W0 L* RM i 8\n" "avx2 vbroadcasti128 66 38 5A W0 L1 RM i 16 m\n"
"avx2 vpmaskmov 66 38 8C W* L* RVM i 16* mk\n" "avx2 vpmaskmov 66 38 8E W* L* RVM i 16* mk\n"
"avx2 vpgatherd 66 38 90 W* L* RVM i 4 mg\n" "avx2 vpgatherq 66 38 91 W* L* RVM i 4 mg\n"
"avx2 vgatherd 66 38 92 W* L* RVM s 4 mg\n" "avx2 vgatherq 66 38 93 W* L* RVM d 4 mg\n"
/* integers */
#define INT(name, op) "avxi " name " 66 0F " op " WIG L* RVM i 16*\n"
#define INT38(name, op) "avxi " name " 66 38 " op " WIG L* RVM i 16*\n"
INT("vpunpcklbw", "60") INT("vpunpcklwd", "61") INT("vpunpckldq", "62") INT("vpacksswb", "63") INT("vpcmpgtb", "64")
INT("vpcmpgtw", "65") INT("vpcmpgtd", "66") INT("vpackuswb", "67") INT("vpunpckhbw", "68") INT("vpunpckhwd", "69")
INT("vpunpckhdq", "6A") INT("vpackssdw", "6B") INT("vpunpcklqdq", "6C") INT("vpunpckhqdq", "6D")
INT("vpcmpeqb", "74") INT("vpcmpeqw", "75") INT("vpcmpeqd", "76") INT("vpaddq", "D4") INT("vpmullw", "D5")
INT("vpsubusb", "D8") INT("vpsubusw", "D9") INT("vpminub", "DA") INT("vpand", "DB") INT("vpaddusb", "DC") INT("vpaddusw", "DD")
INT("vpmaxub", "DE") INT("vpandn", "DF") INT("vpavgb", "E0") INT("vpavgw", "E3") INT("vpmulhuw", "E4") INT("vpmulhw", "E5")
INT("vpsubsb", "E8") INT("vpsubsw", "E9") INT("vpminsw", "EA") INT("vpor", "EB") INT("vpaddsb", "EC") INT("vpaddsw", "ED")
INT("vpmaxsw", "EE") INT("vpxor", "EF") INT("vpmuludq", "F4") INT("vpmaddwd", "F5") INT("vpsadbw", "F6") INT("vpsubb", "F8")
INT("vpsubw", "F9") INT("vpsubd", "FA") INT("vpsubq", "FB") INT("vpaddb", "FC") INT("vpaddw", "FD") INT("vpaddd", "FE")
#define SHIFT(name, op) "avxi " name " 66 0F " op " WIG L* RVM i 16 z\n"
SHIFT("vpsrlw", "D1") SHIFT("vpsrld", "D2") SHIFT("vpsrlq", "D3") SHIFT("vpsraw", "E1") SHIFT("vpsrad", "E2")
SHIFT("vpsllw", "F1") SHIFT("vpslld", "F2") SHIFT("vpsllq", "F3")
#define SHIFTI(op) "avxi vpshift 66 0F " op " WIG L* VMI i 16 r\n"
SHIFTI("71/2") SHIFTI("71/4") SHIFTI("71/6") SHIFTI("72/2") SHIFTI("72/4") SHIFTI("72/6")
SHIFTI("73/2") SHIFTI("73/3") SHIFTI("73/6") SHIFTI("73/7")
"avxi vpshufd 66 0F 70 WIG L* RMI i 16*\n" "avxi vpshufhw F3 0F 70 WIG L* RMI i 16*\n" "avxi vpshuflw F2 0F 70 WIG L* RMI i 16*\n"
"avx vpinsrw 66 0F C4 WIG L0 RVMI i 2 M\n" "avx vpextrw 66 0F C5 WIG L0 RMI i 2 rR\n"
INT38("vpshufb", "00") INT38("vphaddw", "01") INT38("vphaddd", "02") INT38("vphaddsw", "03") INT38("vpmaddubsw", "04")
INT38("vphsubw", "05") INT38("vphsubd", "06") INT38("vphsubsw", "07") INT38("vpsignb", "08") INT38("vpsignw", "09")
INT38("vpsignd", "0A") INT38("vpmulhrsw", "0B") INT38("vpmuldq", "28") INT38("vpcmpeqq", "29") INT38("vpackusdw", "2B")
INT38("vpcmpgtq", "37") INT38("vpminsb", "38") INT38("vpminsd", "39") INT38("vpminuw", "3A") INT38("vpminud", "3B")
INT38("vpmaxsb", "3C") INT38("vpmaxsd", "3D") INT38("vpmaxuw", "3E") INT38("vpmaxud", "3F") INT38("vpmulld", "40")
"avxi vpabsb 66 38 1C WIG L* RM i 16*\n" "avxi vpabsw 66 38 1D WIG L* RM i 16*\n" "avxi vpabsd 66 38 1E WIG L* RM i 16*\n"
#define EXTEND(name, op, n) "avxi " name " 66 38 " op " WIG L* RM i " n "*\n"
EXTEND("vpmovsxbw", "20", "8") EXTEND("vpmovsxbd", "21", "4") EXTEND("vpmovsxbq", "22", "2") EXTEND("vpmovsxwd", "23", "8")
EXTEND("vpmovsxwq", "24", "4") EXTEND("vpmovsxdq", "25", "8") EXTEND("vpmovzxbw", "30", "8") EXTEND("vpmovzxbd", "31", "4")
EXTEND("vpmovzxbq", "32", "2") EXTEND("vpmovzxwd", "33", "8") EXTEND("vpmovzxwq", "34", "4") EXTEND("vpmovzxdq", "35", "8")
"avx vphminposuw 66 38 41 WIG L0 RM i 16\n" "avx2 vpsrlv 66 38 45 W* L* RVM i 16* z\n" "avx2 vpsravd 66 38 46 W0 L* RVM i 16* z\n"
"avx2 vpsllv 66 38 47 W* L* RVM i 16* z\n" "avxi vpblendw 66 3A 0E WIG L* RVMI i 16*\n" "avxi vpalignr 66 3A 0F WIG L* RVMI i 16*\n"
"avx vpextrb 66 3A 14 WIG L0 RMI i 1 M\n" "avx vpextrw 66 3A 15 WIG L0 RMI i 2 M\n" "avx vpextrd 66 3A 16 W* L0 RMI i 4 M\n"
"avx vpinsrb 66 3A 20 WIG L0 RVMI i 1 M\n" "avx vpinsrd 66 3A 22 W* L0 RVMI i 4 M\n" "avxi vmpsadbw 66 3A 42 WIG L* RVMI i 16*\n"
"avx vpcmpestrm 66 3A 60 WIG L0 RMI i 16 e\n" "avx vpcmpestri 66 3A 61 WIG L0 RMI i 16 e\n"
"avx vpcmpistrm 66 3A 62 WIG L0 RMI i 16\n" "avx vpcmpistri 66 3A 63 WIG L0 RMI i 16\n"
/* FMA, halves, ciphers */
#define FMA(op) "fma vfm" op " 66 38 " op " W0 L* RVM s 16* n\n" "fma vfm" op " 66 38 " op " W1 L* RVM d 16* n\n"
#define FMAS(op) "fma vfm" op " 66 38 " op " W0 LIG RVM s 4 n\n" "fma vfm" op " 66 38 " op " W1 LIG RVM d 8 n\n"
FMA("96") FMA("97") FMA("98") FMAS("99") FMA("9A") FMAS("9B") FMA("9C") FMAS("9D") FMA("9E") FMAS("9F")
FMA("A6") FMA("A7") FMA("A8") FMAS("A9") FMA("AA") FMAS("AB") FMA("AC") FMAS("AD") FMA("AE") FMAS("AF")
FMA("B6") FMA("B7") FMA("B8") FMAS("B9") FMA("BA") FMAS("BB") FMA("BC") FMAS("BD") FMA("BE") FMAS("BF")
"f16c vcvtph2ps 66 38 13 W0 L* RM h 8*\n" "f16c vcvtps2ph 66 3A 1D W0 L* RMI s 8*\n"
"aes vaesimc 66 38 DB WIG L0 RM i 16 n\n" "aes vaesenc 66 38 DC WIG L0 RVM i 16 n\n" "aes vaesenclast 66 38 DD WIG L0 RVM i 16 n\n"
"aes vaesdec 66 38 DE WIG L0 RVM i 16 n\n" "aes vaesdeclast 66 38 DF WIG L0 RVM i 16 n\n"
"aes vaeskeygenassist 66 3A DF WIG L0 RMI i 16 n\n" "aes vpclmulqdq 66 3A 44 WIG L0 RVMI i 16 n\n"
"vaes vaesenc 66 38 DC WIG L1 RVM i 32 n\n" "vaes vaesenclast 66 38 DD WIG L1 RVM i 32 n\n"
"vaes vaesdec 66 38 DE WIG L1 RVM i 32 n\n" "vaes vaesdeclast 66 38 DF WIG L1 RVM i 32 n\n"
"vaes vpclmulqdq 66 3A 44 WIG L1 RVMI i 32 n\n"
"sha sha1nexte NP l38 C8 W0 L0 RM i 16 a\n" "sha sha1msg1 NP l38 C9 W0 L0 RM i 16 a\n" "sha sha1msg2 NP l38 CA W0 L0 RM i 16 a\n"
"sha sha256rnds2 NP l38 CB W0 L0 RM i 16 a\n" "sha sha256msg1 NP l38 CC W0 L0 RM i 16 a\n" "sha sha256msg2 NP l38 CD W0 L0 RM i 16 a\n"
"sha sha1rnds4 NP l3A CC W0 L0 RMI i 16 a\n"
/* general registers */
"bmi andn NP 38 F2 W* L0 RVM i 4 RVM u14\n" "bmi bls NP 38 F3/1 W* L0 VM i 4 VM u14\n" "bmi bls NP 38 F3/2 W* L0 VM i 4 VM u14\n"
"bmi bls NP 38 F3/3 W* L0 VM i 4 VM u14\n" "bmi bzhi NP 38 F5 W* L0 RVM i 4 RVM u14\n" "bmi pext F3 38 F5 W* L0 RVM i 4 RVM\n"
"bmi pdep F2 38 F5 W* L0 RVM i 4 RVM\n" "bmi mulx F2 38 F6 W* L0 RVM i 4 RVMe\n" "bmi bextr NP 38 F7 W* L0 RVM i 4 RVM u94\n"
"bmi shlx 66 38 F7 W* L0 RVM i 4 RVM\n" "bmi sarx F3 38 F7 W* L0 RVM i 4 RVM\n" "bmi shrx F2 38 F7 W* L0 RVM i 4 RVM\n"
"bmi rorx F2 3A F0 W* L0 RMI i 4 RM\n" "adx adcx 66 l38 F6 W* L0 RM i 4 RM\n" "adx adox F3 l38 F6 W* L0 RM i 4 RM\n"
/* legacy forms leave the upper halves alone */
"sse addps NP l0F 58 W0 L0 RM s 16 a\n" "sse mulsd F2 l0F 59 W0 L0 RM d 8\n" "sse movaps NP l0F 28 W0 L0 RM s 16 a\n"
"sse movss F3 l0F 10 W0 L0 RM s 4\n" "sse movsd F2 l0F 10 W0 L0 RM d 8\n" "sse movq F3 l0F 7E W0 L0 RM i 8\n" "sse movd 66 l0F 6E W0 L0 RM i 4 M\n"
"sse paddd 66 l0F FE W0 L0 RM i 16 a\n" "sse pshufb 66 l38 00 W0 L0 RM i 16 a\n" "sse pinsrd 66 l3A 22 W* L0 RMI i 4 M\n"
"sse cvtsd2ss F2 l0F 5A W0 L0 RM d 8\n" "sse blendvps 66 l38 14 W0 L0 RM s 16 a\n" "sse pmovzxbw 66 l38 30 W0 L0 RM i 8\n";
