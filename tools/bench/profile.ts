/** Self time per function of a V8 CPU profile (`--cpu-prof`). The cold tier and compiled guest code are WebAssembly. */
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

const isWasm = ({ url }: CallFrame): boolean => url.startsWith('wasm:');

/** WebAssembly modules have no names but their hash; the cold tier's is the one that `--tier cold` shows too. */
function label(frame: CallFrame): string {
  const { functionName, url, lineNumber } = frame;
  const file = url.slice(url.lastIndexOf('/') + 1);
  if (isWasm(frame)) return `${functionName} of wasm ${file}`;
  const place = url === '' ? '' : ` ${file}:${lineNumber + 1}`;
  return `${functionName === '' ? '(anonymous)' : functionName}${place}`;
}

/** The functions with the most self time; the first row is the sum of all WebAssembly. */
export function hottest(profile: CpuProfile, most: number): HotFunction[] {
  const labels = new Map(profile.nodes.map((node) => [node.id, label(node.callFrame)]));
  const wasm = new Set(profile.nodes.filter((node) => isWasm(node.callFrame)).map((node) => node.id));
  const self = new Map<string, number>();
  let total = 0;
  let wasmMs = 0;
  profile.samples.forEach((id, n) => {
    const name = labels.get(id) ?? '?';
    const time = profile.timeDeltas[n] / 1000;
    total += time;
    if (wasm.has(id)) wasmMs += time;
    self.set(name, (self.get(name) ?? 0) + time);
  });
  const rows = [...self].sort((a, b) => b[1] - a[1]).slice(0, most);
  return [['all WebAssembly', wasmMs] as const, ...rows].map(([name, selfMs]) => ({
    name,
    selfMs,
    share: total === 0 ? 0 : selfMs / total,
  }));
}
