/** Fields of a REP helper's first argument: what the translator of string instructions and the helpers agree on. */
export const REP_SIZE = 3; // log2 of the element size
export const REP_ADDRESS_32 = 4;
export const REP_ADDRESS_64 = 8;
export const REP_SEGMENT_SHIFT = 4; // source segment, 3 bits
/** REPNE of CMPS and SCAS. */
export const REP_UNTIL_EQUAL = 1 << 8;
