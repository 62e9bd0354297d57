/** The command as one bundle: workspace packages from their sources, each subcommand and format in a chunk that loads when it is used. */
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { 'emkit-img': 'src/main.ts', 'zstd-worker': '../../packages/block-node/src/zstd-worker.ts' },
  format: 'esm',
  target: 'node20',
  platform: 'node',
  splitting: true,
  sourcemap: false,
  clean: true,
  dts: false,
  noExternal: [/^@emkit\//],
  esbuildOptions(options) {
    options.conditions = ['@emkit/source', 'import', 'module', 'default'];
    options.chunkNames = 'img-[name]-[hash]';
  },
});
