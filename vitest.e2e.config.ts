/** Whole-machine tests (`apps/NAME/e2e`, `tools/NAME/e2e`) and tests against other programs (`packages/NAME/e2e`): they take minutes, so one at a time and apart from the unit tests. */
import { mergeConfig } from 'vitest/config';
import shared from './vitest.shared.ts';

const config = mergeConfig(shared, { test: { testTimeout: 300_000, hookTimeout: 300_000, maxWorkers: 1 } });
config.test.include = ['{apps,packages,tools}/*/e2e/**/*.test.ts'];
export default config;
