export { I8237, I8237_DMA } from './i8237.ts';
export { CHANNELS, MAX_SERVICE_CALLS, MAX_TRANSFER_UNITS } from './limits.ts';
