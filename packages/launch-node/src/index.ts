export { launch, type LaunchOptions } from './launch.ts';
export { optimizeLater } from './optimize-later.ts';
export { cacheHome, isOwnFolder, openCacheFolder, userCacheHome } from './cache-folder.ts';
export { LIMITS } from './limits.ts';
