export { launch, type LaunchOptions } from './launch.ts';
export { optimizeLater } from './optimize-later.ts';
export { cacheHome, openCacheFolder } from './cache-folder.ts';
export { LIMITS } from './limits.ts';
