export { diskUsage, isSameFile, nodeEnvironment } from './environment.ts';
export type { NodeEnvironmentOptions } from './environment.ts';
export { optionRecord, parseKeyValues, splitList } from './key-values.ts';
export { allFormats } from './registry.ts';
export { parseSecrets } from './secrets.ts';
export type { SecretLookup } from './secrets.ts';
