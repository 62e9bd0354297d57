export { FW_CFG, FwCfg } from './fw-cfg.ts';
export type { FwCfgFileOptions } from './fw-cfg.ts';
export { FwCfgKey } from './keys.ts';
export { MAX_FILE_NAME, MAX_FILES, MAX_ITEM_BYTES } from './limits.ts';
