/** Vitest settings every package shares: resolve workspace packages to their sources, so no build is needed. */
import { defineConfig } from 'vitest/config';

const conditions = ['@emkit/source', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: { include: ['src/**/*.test.ts', 'test/**/*.test.ts'], testTimeout: 60_000 },
});
