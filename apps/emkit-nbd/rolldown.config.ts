import { commandBundle } from '../../bundle.shared.ts';

export default commandBundle({
  input: { 'emkit-nbd': 'src/main.ts', launch: 'src/launch.ts' },
  prefix: 'nbd',
});
