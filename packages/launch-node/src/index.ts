export { launch, type LaunchOptions } from './launch.ts';
export { cacheHome, openCacheFolder } from './cache-folder.ts';
export { LIMITS } from './limits.ts';
