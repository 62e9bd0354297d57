/** The dependency rule catches each planted violation (fixtures/), and every package of the workspace has a layer. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';
import config from '../../.dependency-cruiser.mjs';
import { LAYERS, TEST_ONLY } from './layers.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function violations(): Promise<Map<string, string[]>> {
  const { doNotFollow, tsPreCompilationDeps, enhancedResolveOptions } = config.options;
  const options = {
    doNotFollow,
    tsPreCompilationDeps,
    baseDir: ROOT,
    ruleSet: { forbidden: config.forbidden },
    validate: true,
  };
  const result = await cruise(['tools/boundaries/fixtures'], options as ICruiseOptions, enhancedResolveOptions);
  const found = new Map<string, string[]>();
  for (const violation of (result.output as ICruiseResult).summary.violations) {
    const file = violation.from.replace(/^.*fixtures\/packages\//, '').replace('/src/', ' ');
    found.set(file, [...(found.get(file) ?? []), violation.rule.name]);
  }
  return found;
}

describe('dependency rule', async () => {
  const found = await violations();

  it.each([
    ['x86 imports-wasm.ts', 'x86-and-codegen-know-only-the-ir'],
    ['codegen imports-x86.ts', 'codegen-knows-no-guest'],
    ['serial imports-board.ts', 'layer-4-devices'],
    ['serial imports-device.ts', 'layer-4-devices'],
    ['memory imports-upwards.ts', 'layer-1-core'],
    ['bits imports-node.ts', 'no-node-in-packages'],
    ['ir imports-deep.ts', 'no-deep-import'],
    ['codegen imports-unexported.ts', 'not-to-unresolvable'],
    ['gdbstub imports-test-code.ts', 'no-test-code-in-sources'],
    ['aio cycle-a.ts', 'no-cycle'],
  ])('catches %s', (file, rule) => {
    expect(found.get(file)).toContain(rule);
  });

  it('allows an import downwards', () => {
    expect(found.get('serial allowed.ts')).toBeUndefined();
  });

  it('gives every package exactly one layer', () => {
    const listed = [...LAYERS.flatMap((layer) => layer.packages), ...TEST_ONLY].sort();
    expect(listed).toEqual(readdirSync(`${ROOT}packages`).sort());
  });

  it('keeps private exactly the test-only packages', () => {
    const isPrivate = (name: string): boolean =>
      (JSON.parse(readFileSync(`${ROOT}packages/${name}/package.json`, 'utf8')) as { private?: boolean }).private ===
      true;
    expect(readdirSync(`${ROOT}packages`).filter(isPrivate).sort()).toEqual([...TEST_ONLY].sort());
  });
});

describe('import lint', () => {
  const eslint = new ESLint({ cwd: ROOT });
  const rules = async (code: string): Promise<(string | null)[]> => {
    const [result] = await eslint.lintText(code, { filePath: `${ROOT}packages/ir/src/planted.ts` });
    return (result?.messages ?? []).map((message) => message.ruleId);
  };

  it.each([
    "import '@emkit/wasm/src/errors.ts';",
    "import '../../wasm/src/errors.ts';",
    "import 'node:fs';",
    "import 'fs';",
  ])('catches %s', async (code) => {
    expect(await rules(code)).toEqual(['no-restricted-imports']);
  });

  it('allows a package by its name and a file of its own', async () => {
    expect(await rules("import '@emkit/bits';\nimport './ops.ts';\nimport '../src/ops.ts';\n")).toEqual([]);
  });
});
