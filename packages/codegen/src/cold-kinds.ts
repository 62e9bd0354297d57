/** The op table as the cold encoder asks for it: typed arrays by op id, since it looks at every op of every block. */
import { I32, OPS, opId } from '@emkit/ir';
import { COLD_RR } from './cold-ops.ts';

const INSN_START = opId('insn_start');
const WRAP = opId('i32_wrap_i64');

/** Small integers for the encoder's switch. */
export const K = {
  SKIP: 0,
  PURE: 1,
  GET: 2,
  SET: 3,
  ENVLD: 4,
  ENVST: 5,
  LOAD: 6,
  STORE: 7,
  GUARD: 8,
  CALL: 9,
  INSN: 10,
  TERM: 11,
} as const;
const kindOf = (o: (typeof OPS)[number]): number => {
  switch (o.effect) {
    case 'pure':
      return K.PURE;
    case 'get':
      return K.GET;
    case 'set':
      return K.SET;
    case 'envld':
      return K.ENVLD;
    case 'envst':
      return K.ENVST;
    case 'load':
      return K.LOAD;
    case 'store':
      return K.STORE;
    case 'guard':
    case 'bulk':
    case 'calld': // hot only: refused where guards are
      return K.GUARD;
    case 'callw':
    case 'callj':
      return K.CALL;
    case 'term':
      return K.TERM;
    default:
      return o.id === INSN_START ? K.INSN : K.SKIP;
  }
};
export const KIND = Uint8Array.from(OPS, kindOf);
export const INS = Uint8Array.from(OPS, (o) => o.ins.length);
export const OUT = Uint8Array.from(OPS, (o) => o.out);
export const IS_CALLJ = Uint8Array.from(OPS, (o) => (o.effect === 'callj' ? 1 : 0));
export const CAN_LEAVE = Uint8Array.from(OPS, (o) =>
  ['load', 'store', 'bulk', 'guard', 'callj', 'term'].includes(o.effect) ? 1 : 0,
);
/** Byte and word env ops have opcodes of their own; the others are slot moves. */
export const ENV_PLAIN = Uint8Array.from(OPS, (o) =>
  (o.effect === 'envld' || o.effect === 'envst') && COLD_RR[o.id] < 0 ? 1 : 0,
);
/** Ops with a 32-bit result whose handler fills 8 bytes of the slot, see `resultStore`. A wrap has no handler run: it is its operand's slot. */
export const ZERO_EXTENDS = Uint8Array.from(OPS, (o) =>
  o.out === I32 && o.ins.length > 0 && (o.effect === 'pure' || o.effect === 'load') && o.id !== WRAP ? 1 : 0,
);
export const IN0 = Uint8Array.from(OPS, (o) => o.ins[0] ?? o.out);
export const IS_REPLACE_LANE = Uint8Array.from(OPS, (o) => (o.name.includes('replace_lane') ? 1 : 0));
