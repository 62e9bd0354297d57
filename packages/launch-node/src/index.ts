export { launch, type LaunchOptions } from './launch.ts';
export { hearBranchHints } from './branch-hints.ts';
export { BACKGROUND_PRIORITY, lowerEngineThreads } from './engine-threads.ts';
export { optimizeLater } from './optimize-later.ts';
export { cacheHome, isOwnFolder, openCacheFolder, userCacheHome } from './cache-folder.ts';
export { LIMITS } from './limits.ts';
