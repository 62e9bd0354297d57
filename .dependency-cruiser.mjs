/**
 * The dependency rule: arrows only point down (tools/boundaries/layers.mjs), no cycles, no Node built-ins in packages.
 * tools/boundaries/boundaries.test.ts plants a violation of each rule and checks that it is caught.
 */
import { LAYERS, TEST_ONLY } from './tools/boundaries/layers.mjs';

const TESTS = String.raw`(\.test\.ts$|/(test|fuzz|bench|e2e|tools)/|\.config\.ts$)`;
const source = (...packages) => `(^|/)packages/(${packages.join('|')})/src/`;
const sourceOf = (...packages) => ({ path: source(...packages), pathNot: TESTS });

const layerRules = LAYERS.map((layer, level) => ({
  name: `layer-${level}-${layer.title.replaceAll(' ', '-')}`,
  comment: `${layer.packages.join(', ')} may import lower layers only`,
  severity: 'error',
  from: sourceOf(`(?:${layer.packages.join('|')})`),
  to: {
    // $2 is the importing package: its own files are no layer's business.
    path: source(...LAYERS.slice(level).flatMap((upper) => upper.packages)),
    pathNot: '(^|/)packages/$2/',
  },
}));

export default {
  forbidden: [
    ...layerRules,
    {
      name: 'no-cycle',
      comment: 'an import cycle has no order of initialisation',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-node-in-packages',
      comment: 'packages run in browsers too; Node is for apps, tools, tests, and packages named for it',
      severity: 'error',
      from: sourceOf('(?![^/]*-node/)[^/]+'),
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-app-imports',
      comment: 'nothing imports an app',
      severity: 'error',
      from: { pathNot: ['(^|/)apps/', '(^|/)tools/'] },
      to: { path: '(^|/)apps/' },
    },
    {
      name: 'no-test-code-in-sources',
      comment: 'shipped sources import no test file and no test-only package',
      severity: 'error',
      from: { path: '(^|/)(packages|apps)/[^/]+/src/', pathNot: [TESTS, `(^|/)packages/(${TEST_ONLY.join('|')})/`] },
      to: { path: [String.raw`\.test\.ts$`, `(^|/)packages/(${TEST_ONLY.join('|')})/`] },
    },
    {
      name: 'x86-and-codegen-know-only-the-ir',
      comment: 'the frontend knows no WebAssembly, the backend knows no x86',
      severity: 'error',
      from: sourceOf('x86'),
      to: { path: source('wasm', 'codegen', 'softfloat') },
    },
    {
      name: 'codegen-knows-no-guest',
      severity: 'error',
      from: sourceOf('codegen'),
      to: { path: source('x86') },
    },
    {
      name: 'no-deep-import',
      comment: 'a package is entered by its name only',
      severity: 'error',
      from: { path: '(^|/)packages/([^/]+)/' },
      to: { path: '(^|/)packages/', pathNot: '(^|/)packages/$2/', dependencyTypes: ['local'] },
    },
    {
      name: 'not-to-unresolvable',
      comment: 'misspelt, undeclared, or a deep import that the package does not export',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '/dist/'] },
    exclude: { path: ['(^|/)dist/', '(^|/)fixtures/', '/src/gen/'] },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['@emkit/source', 'import', 'node', 'types', 'default'],
      exportsFields: ['exports'],
    },
  },
};
