/** Self time per function of a V8 CPU profile (`--cpu-prof`). Compiled guest code shows as wasm-function. */
export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

export interface HotFunction {
  readonly name: string;
  readonly selfMs: number;
  readonly share: number;
}

/** Regions are many and their names mean nothing: all functions of generated modules count as one. */
function label({ functionName, url, lineNumber }: CallFrame): string {
  if (url.startsWith('wasm:'))
    return functionName.startsWith('wasm-function') ? '(generated WebAssembly)' : `${functionName} (WebAssembly)`;
  const place = url === '' ? '' : ` ${url.slice(url.lastIndexOf('/') + 1)}:${lineNumber + 1}`;
  return `${functionName === '' ? '(anonymous)' : functionName}${place}`;
}

export function hottest(profile: CpuProfile, most: number): HotFunction[] {
  const labels = new Map(profile.nodes.map((node) => [node.id, label(node.callFrame)]));
  const self = new Map<string, number>();
  let total = 0;
  profile.samples.forEach((id, n) => {
    const name = labels.get(id) ?? '?';
    const time = profile.timeDeltas[n] / 1000;
    total += time;
    self.set(name, (self.get(name) ?? 0) + time);
  });
  return [...self]
    .map(([name, selfMs]) => ({ name, selfMs, share: total === 0 ? 0 : selfMs / total }))
    .sort((a, b) => b.selfMs - a.selfMs)
    .slice(0, most);
}
