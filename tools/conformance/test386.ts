import type { FileResult } from './native-vectors.ts';
import type { UserRig } from './rig.ts';
export function runTest386(_rig: UserRig, _data: Uint8Array, _report: (text: string) => void): FileResult {
  return { total: 0, passed: 0, excluded: new Map() };
}
