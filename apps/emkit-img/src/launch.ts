/** What the command's file in bin/ calls: the bundle, with the compiled code of the last run of the same kind. */
import { launch } from '@emkit/launch-node';
import { launchPart } from './launch-part.ts';
import { VERSION } from './version.ts';

/** `require`: of that file. */
export function run(bundle: string, require: (name: string) => unknown): void {
  launch({ bundle, name: 'emkit-img', version: VERSION, part: launchPart(process.argv.slice(2)), require });
}
