/** All unit tests in one run: every package and app is a vitest project, the tools together are one more. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      'packages/*',
      'apps/*',
      {
        extends: './vitest.shared.ts',
        test: { name: 'tools', include: ['tools/**/*.test.ts'], exclude: ['**/node_modules/**', '**/e2e/**'] },
      },
    ],
  },
});
