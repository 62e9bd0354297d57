import { commandBundle } from '../../bundle.shared.ts';

export default commandBundle({
  input: {
    'emkit-img': 'src/main.ts',
    launch: 'src/launch.ts',
    'zstd-worker': '../../packages/block-node/src/zstd-worker.ts',
  },
  prefix: 'img',
});
