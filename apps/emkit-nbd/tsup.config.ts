/** The command as one bundle: workspace packages from their sources; what only some runs need in chunks that load when they do. */
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { 'emkit-nbd': 'src/main.ts' },
  format: 'esm',
  target: 'node20',
  platform: 'node',
  splitting: true,
  sourcemap: false,
  clean: true,
  dts: false,
  noExternal: [/^@emkit\//],
  banner: { js: '#!/usr/bin/env node' },
  esbuildOptions(options) {
    options.conditions = ['@emkit/source', 'import', 'module', 'default'];
    options.chunkNames = 'nbd-[name]-[hash]';
  },
});
