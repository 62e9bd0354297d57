/** Lint rules without type information, so that the whole repository takes seconds. Layers: .dependency-cruiser.mjs. */
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

const TESTS = ['**/*.test.ts', '**/{test,fuzz,bench,e2e}/**/*.ts'];
/** Tables are read beside the manual and may be as long as it is. */
const TABLES = [
  '**/src/gen/**',
  '**/rows*.ts',
  '**/*-{table,tables,opcodes}.ts',
  '**/tables/**',
  '**/{opcodes,lowering}.ts',
];

const deepImports = {
  regex: '^@emkit/[^/]+/src(/|$)',
  message: 'Import the package by its name; what is not in its index is private.',
};
const escapes = {
  regex: String.raw`^(\.\./)+(packages/)?[a-z0-9-]+/src/`,
  message: 'A package is entered by its name only.',
};

export default tseslint.config(
  { ignores: ['**/node_modules/', '**/dist/', '.cache/', '.turbo/', 'docs/', '**/fixtures/', '**/src/gen/'] },
  {
    files: ['**/*.ts', '**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.recommended],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-self-compare': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-unreachable': 'error',
      'no-dupe-else-if': 'error',
      'no-duplicate-case': 'error',
      'no-loss-of-precision': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx'] }],
      'no-restricted-imports': ['error', { patterns: [deepImports, escapes] }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-depth': ['error', 6],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: TESTS,
    rules: {
      'no-console': 'error',
      'no-restricted-imports': [
        'error',
        { patterns: [deepImports, escapes, { group: ['node:*', '**/*.test.ts'] }], paths: builtinModules },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSInterfaceDeclaration[id.name=/^I[A-Z][a-z]/]', message: 'No I prefix on interfaces.' },
        { selector: 'Program > VariableDeclaration[kind="let"]', message: 'No module-level mutable state.' },
      ],
    },
  },
  {
    // Packages named for Node are where the host comes in.
    files: ['packages/*-node/src/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [deepImports, escapes] }] },
  },
  {
    files: ['packages/*/src/index.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'Name what is exported.' },
        {
          selector: 'Program > :not(ExportNamedDeclaration, ExportAllDeclaration)',
          message: 'index.ts holds named re-exports only.',
        },
      ],
    },
  },
  {
    // An example is promised to be short.
    files: ['packages/*/examples/*.ts'],
    rules: { 'max-lines': ['error', 19] },
  },
  { files: [...TESTS, ...TABLES], rules: { 'max-lines': 'off' } },
);
