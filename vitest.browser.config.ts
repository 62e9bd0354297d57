/**
 * The core tests of all packages in headless Chromium. Every `src/x.test.ts` must run there; a test that needs Node is
 * named `x.node.test.ts` or lives under `test/`. Chromium is the system's: `tools/browser/install-chromium.mjs`.
 */
import { playwright } from '@vitest/browser-playwright';
import { mergeConfig } from 'vitest/config';
import { CHROMIUM, CHROMIUM_FLAGS } from './tools/browser/chromium.mjs';
import shared from './vitest.shared.ts';

const config = mergeConfig(shared, {
  // Nothing is fetched or pre-bundled in mid-run: a reload would drop tests that had begun.
  optimizeDeps: { noDiscovery: true, include: ['fast-check'] },
  test: {
    globalSetup: './tools/browser/image-server.ts',
    exclude: ['**/node_modules/**', '**/*.node.test.ts'],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath: CHROMIUM, args: CHROMIUM_FLAGS } }),
      instances: [{ browser: 'chromium' }],
    },
  },
});
config.test.include = ['packages/*/src/**/*.test.ts'];
export default config;
