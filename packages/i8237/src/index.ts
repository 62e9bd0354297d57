export { I8237Dma, I8237 } from './i8237.ts';
export { CHANNELS, MAX_SERVICE_CALLS, MAX_TRANSFER_UNITS, SERVICE_PAUSE_NS } from './limits.ts';
