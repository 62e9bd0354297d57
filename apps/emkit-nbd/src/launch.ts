/** What the command's file in bin/ calls: the bundle, with the compiled code of the last run. */
import { launch } from '@emkit/launch-node';
import { VERSION } from './version.ts';

export function run(bundle: string): void {
  launch({ bundle, name: 'emkit-nbd', version: VERSION });
}
