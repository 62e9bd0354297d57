/**
 * Names of the WebAssembly helper functions that translated code calls with `callw`, in index order. All take i32
 * arguments (addresses of env slots, constants) and return one i32. The accelerator links them by name; what each does
 * is the business of the soft-float library, which this package does not import.
 */
const words = (text: string): string[] => text.trim().split(/\s+/);
const FLOATS = ['f32', 'f64'];

export const WASM_HELPERS: readonly string[] = [
  ...words(`
    f80_add f80_sub f80_mul f80_div
    f80_add_m32 f80_add_m64 f80_mul_m32 f80_mul_m64 f80_sub_m32 f80_sub_m64 f80_subr_m32 f80_subr_m64
    f80_div_m32 f80_div_m64 f80_divr_m32 f80_divr_m64
    f80_sqrt f80_rndint f80_scale f80_prem f80_prem1 f80_xtract
    f80_cmp f80_cmp_m32 f80_cmp_m64 f80_xam
    f80_from_f32 f80_from_f64 f80_from_i16 f80_from_i32 f80_from_i64 f80_from_bcd
    f80_to_f32 f80_to_f64 f80_to_i16 f80_to_i32 f80_to_i64 f80_to_bcd f80_const
    f80_2xm1 f80_yl2x f80_yl2xp1 f80_atan f80_sin f80_cos f80_sincos f80_tan`),
  ...FLOATS.flatMap((t) =>
    words(
      `sse_add_${t} sse_sub_${t} sse_mul_${t} sse_div_${t} sse_min_${t} sse_max_${t} sse_sqrt_${t} sse_cmp_${t} sse_comis_${t} sse_round_${t}`,
    ),
  ),
  ...words(`
    sse_cvt_f32_f64 sse_cvt_f64_f32 sse_cvt_i32_f32 sse_cvt_i32_f64 sse_cvt_f32_i32 sse_cvt_f64_i32
    sse_cvtt_f32_i32 sse_cvtt_f64_i32
    sse_cvt_i64_f32 sse_cvt_i64_f64 sse_cvt_f32_i64 sse_cvt_f64_i64 sse_cvtt_f32_i64 sse_cvtt_f64_i64
    sse_rcp_f32 sse_rsqrt_f32 sse_fma_f32 sse_fma_f64 sse_cvt_f16_f32 sse_cvt_f32_f16
    aes_imc aes_enc aes_enclast aes_dec aes_declast aes_keygen clmul pcmpstr
    x86_flags
    sha1_rnds4 sha1_nexte sha1_msg1 sha1_msg2 sha256_rnds2 sha256_msg1 sha256_msg2`),
];

const INDEX = new Map(WASM_HELPERS.map((name, n) => [name, n]));

/** Index of a helper in `WASM_HELPERS`; throws on an unknown name (a bug of the caller). */
export function wasmHelperIndex(name: string): number {
  const n = INDEX.get(name);
  if (n === undefined) throw new Error(`unknown wasm helper '${name}'`);
  return n;
}
