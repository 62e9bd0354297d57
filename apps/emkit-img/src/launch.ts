/** What the command's file in bin/ calls: the bundle, with the compiled code of the last run of the same subcommand. */
import { launch } from '@emkit/launch-node';
import { VERSION } from './version.ts';

export function run(bundle: string): void {
  launch({ bundle, name: 'emkit-img', version: VERSION, part: process.argv[2] });
}
