import { mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.ts';

// Tests that read over HTTP run in Chromium too, where they cannot start a server.
export default mergeConfig(shared, { test: { globalSetup: '../../tools/browser/image-server.ts' } });
