/** Names for `-cpu help` and "did you mean". */
import { CPU_MODELS, implementedFeatureNames } from '@emkit/x86';

export function cpuModels(): readonly { readonly name: string; readonly description: string }[] {
  return CPU_MODELS.map(({ name, description }) => ({ name, description }));
}
export function cpuFeatures(): readonly string[] {
  return implementedFeatureNames();
}
