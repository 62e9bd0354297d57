/** The command as one bundle per entry: workspace packages from their sources, the machine in chunks that load when it starts. */
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { emkit: 'src/main.ts' },
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
    options.chunkNames = 'emkit-[name]-[hash]';
  },
});
