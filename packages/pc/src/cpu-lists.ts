/** Names for `-cpu help` and "did you mean". */
import { CPU_MODELS, FEATURE_NAMES } from '@emkit/x86';

export function cpuModels(): readonly { readonly name: string; readonly description: string }[] {
  return CPU_MODELS.map(({ name, description }) => ({ name, description }));
}
export function cpuFeatures(): readonly string[] {
  return FEATURE_NAMES.map(([, , name]) => name);
}
