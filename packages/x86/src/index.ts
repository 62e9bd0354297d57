/**
 * The x86 target: CPU state and its layout, models, decoder, translator to IR, helpers, disassembler.
 */
export { CPU_FAULT, X86Cpu } from './cpu.ts';
export type { X86Host } from './cpu.ts';
export { ALL_FEATURES, decodeFeatures } from './decode/features.ts';
export { DECODE_OK, DECODE_TOO_LONG, DECODE_TRUNCATED, DECODE_UNDEFINED, decode } from './decode/decoder.ts';
export { Insn } from './decode/insn.ts';
export { OPCODES } from './decode/table.ts';
export { disassemble } from './disasm/att.ts';
export { evaluateFlags } from './flags.ts';
export { HELPER_NAMES, bindHelpers, helperIndex } from './helpers.ts';
export type { Helper } from './helpers.ts';
export {
  CpuOptionError,
  DEFAULT_CPU_MODEL,
  cpuHelp,
  cpuModel,
  implementedFeatureNames,
  parseCpuOption,
  resolveCpuOption,
} from './models/cpu-option.ts';
export type { CpuOption } from './models/cpu-option.ts';
export type { CpuFeatures } from './models/features.ts';
export type { CpuModel } from './models/model.ts';
export {
  ENV,
  XMM_STRIDE,
  SEG_STRIDE,
  SEG_SELECTOR,
  SEG_FLAGS,
  SEG_BASE,
  SEG_LIMIT,
  ES,
  CS,
  SS,
  DS,
  FS,
  GS,
  EAX,
  ECX,
  EDX,
  EBX,
  ESP,
  EBP,
  ESI,
  EDI,
  HF_CPL,
  HF_CS32,
  HF_SS32,
  HF_CS64,
  HF_LMA,
  HF_PE,
  HF_VM,
  HF_TF,
  HF_INHIBIT_IRQ,
  HF_TS,
  HF_EM,
  HF_MP,
  HF_OSFXSR,
  HF_SSE_FAST,
  HF_ADDSEG,
  HF_SEGCHECK,
  HF_TOP_SHIFT,
  HF_TOP,
  HF_FGCHECK,
  HF_ALIGN,
  HF_DEBUG,
  HF_RF,
  HF_FPU_ES,
  HF_OSXMMEXCPT,
  HF_IOPL_OK,
  HF_FPU_UNMASKED,
  GLOBALS_32,
  GLOBALS_64,
  G,
  FLAG_CF,
  FLAG_PF,
  FLAG_AF,
  FLAG_ZF,
  FLAG_SF,
  FLAG_TF,
  FLAG_IF,
  FLAG_DF,
  FLAG_OF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_VM,
  FLAG_AC,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_ID,
  FLAGS_ARITH,
  EXC,
} from './state.ts';
export { X86Frontend } from './frontend.ts';
export { X86Target } from './target.ts';
export { BlockTranslator } from './translate/block.ts';
export { WASM_HELPERS, wasmHelperIndex } from './wasm-helpers.ts';
export { X86_VMSTATE, VmStateError, loadX86State, saveX86State } from './vmstate.ts';
export { CPU_MODELS } from './models/models.ts';
export { HELD_BY_DEBUGGER, LinearNumbers } from './system/linear-numbers.ts';
export { F_LM, F_RDRAND, F_RDSEED, F_TSC_DEADLINE, FEATURE_NAMES } from './models/features.ts';
