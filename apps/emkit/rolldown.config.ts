import { commandBundle } from '../../bundle.shared.ts';

export default commandBundle({
  input: { emkit: 'src/main.ts', launch: 'src/launch.ts', 'compile-worker': 'src/compile-worker.ts' },
  prefix: 'emkit',
});
