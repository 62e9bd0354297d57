/** As every library, and the worker's file beside it. */
import { defineConfig } from 'tsup';
import shared from '../../tsup.shared.ts';

export default defineConfig({ ...shared, entry: ['src/index.ts', 'src/zstd-worker.ts'] });
