import { commandBundle } from '../../bundle.shared.ts';

export default commandBundle({
  input: { 'emkit-nbd': 'src/main.ts' },
  prefix: 'nbd',
  banner: '#!/usr/bin/env node',
});
