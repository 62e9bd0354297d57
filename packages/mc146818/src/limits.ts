/** Named limits and times of the clock chip. */

/** Bytes behind the index register. */
export const CMOS_SIZE = 128;
/** Time base of the periodic interrupt. */
export const TIME_BASE_HZ = 32_768;
/** Data sheet table 6: the update takes 1984 us, UIP warns 244 us before it. */
export const UIP_NS = (1984 + 244) * 1000;
/** From the release of the divider's reset to the first update. */
export const FIRST_UPDATE_NS = 500_000_000;
/** Latest start: the year 9999, the last that the registers can show. */
export const MAX_START_MS = Date.UTC(9999, 11, 30);
/** Time zones lie within a day. */
export const MAX_ZONE_MINUTES = 24 * 60;
