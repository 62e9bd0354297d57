/**
 * Handlers of the VEX forms of AES, PCLMULQDQ and string comparison: functions of the WebAssembly helper module, on each half.
 * SDM Vol. 2A, 2B under the mnemonics.
 */
import type { Handler, HandlerTable } from '../translate/translator.ts';
import { eachHalf, setResult, sseReady, xmmSource } from './simd-operands.ts';
import { helped } from './simd-helped.ts';

const inHalves =
  (name: string, withImm = false): Handler =>
  (t) => {
    if (sseReady(t)) eachHalf(t, (d, s) => helped(t, name, d, s, false, withImm));
  };
const unary =
  (name: string, withImm = false): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, 16);
    setResult(t, helped(t, name, s, s, true, withImm));
  };

export const AVX_HELPED_HANDLERS: HandlerTable = {
  vaesenc: inHalves('aes_enc'),
  vaesenclast: inHalves('aes_enclast'),
  vaesdec: inHalves('aes_dec'),
  vaesdeclast: inHalves('aes_declast'),
  vaesimc: unary('aes_imc'),
  vaeskeygenassist: unary('aes_keygen', true),
  vpclmulqdq: inHalves('clmul', true),
};
