/**
 * What people install: every publishable package is packed, checked by publint and attw (profile esm-only), unpacked
 * beside its declared dependencies only (as pnpm lays them out, so an undeclared import fails), and imported by name.
 * A package with a command (an app) has no types to check; its command must print its version. The disk formats are also installed by npm, and used: alone.ts.
 * Needs `dist`: run `npm run check:pack`. Ends with `N passed, N failed`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { CONSUMERS, useAlone } from './alone.ts';
import { type WorkspacePackage, workspacePackages } from '../workspace.ts';

/** Only `import` with today's resolution counts: the packages are ESM only, Node >= 20.19 (docs/adr/0006). */
const IGNORED_RESOLUTIONS = new Set(['node10', 'node16-cjs']);

const work = mkdtempSync(join(tmpdir(), 'emkit-packed-'));
const packages = workspacePackages('packages', 'apps').filter((pkg) => pkg.manifest.private !== true);
const failures: string[] = [];
let passed = 0;

const unbuilt = packages.filter((pkg) => !existsSync(`${pkg.dir}/dist`));
if (unbuilt.length > 0)
  throw new Error(`not built: ${unbuilt.map((pkg) => pkg.id).join(' ')}; run npm run build first`);

const tarballs = pack();
install();
for (const pkg of packages) await check(pkg);
for (const pkg of packages) {
  if (pkg.manifest.bin === undefined) importByName(pkg);
  else runCommands(pkg, pkg.manifest.bin);
}
for (const pkg of packages) {
  if (!(pkg.id in CONSUMERS)) continue;
  for (const { what, problems } of useAlone(pkg.id, work, tarballs)) record(pkg, what, problems);
}
rmSync(work, { recursive: true });

for (const failure of failures) console.log(failure);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** One npm for each area; name -> tarball. In folders of their own, since `@emkit/nbd` and `emkit-nbd` make files of one name. */
function pack(): Map<string, string> {
  const tarballs = new Map<string, string>();
  for (const area of ['packages', 'apps']) {
    const folder = join(work, `packed-${area}`);
    mkdirSync(folder);
    const args = ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder];
    for (const pkg of packages) if (pkg.dir.startsWith(`${area}/`)) args.push('-w', pkg.dir);
    const report: unknown = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }));
    const entries = (Array.isArray(report) ? report : Object.values(report as object)) as {
      name: string;
      filename: string;
    }[];
    for (const entry of entries) tarballs.set(entry.name, join(folder, basename(entry.filename)));
  }
  return tarballs;
}

async function check(pkg: WorkspacePackage): Promise<void> {
  const lint = await publint({ pkgDir: home(pkg.manifest.name), pack: false, strict: true });
  const manifest = pkg.manifest as unknown as Record<string, unknown>;
  record(
    pkg,
    'publint',
    lint.messages.map((message) => formatMessage(message, manifest) ?? message.code),
  );

  if (pkg.manifest.bin !== undefined) return;
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball(pkg)))));
  const problems = analysis.types === false ? [{ kind: 'no types' }] : analysis.problems;
  const relevant = problems.filter(
    (p) => !('resolutionKind' in p && IGNORED_RESOLUTIONS.has(String(p.resolutionKind))),
  );
  record(
    pkg,
    'attw',
    relevant.map((problem) => JSON.stringify(problem)),
  );
}

function tarball(pkg: WorkspacePackage): string {
  const file = tarballs.get(pkg.manifest.name);
  if (file === undefined) throw new Error(`npm pack made nothing of ${pkg.id}`);
  return file;
}

function home(name: string): string {
  return join(work, name, 'node_modules', name);
}

/** work/NAME/node_modules/ holds the package itself and links to what its manifest names. */
function install(): void {
  for (const pkg of packages) {
    const { name, dependencies } = pkg.manifest;
    mkdirSync(home(name), { recursive: true });
    execFileSync('tar', ['-xzf', tarball(pkg), '-C', home(name), '--strip-components=1']);
    for (const dependency of Object.keys(dependencies ?? {})) {
      const link = join(work, name, 'node_modules', dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(tarballs.has(dependency) ? home(dependency) : realpathSync(join('node_modules', dependency)), link);
    }
  }
}

function importByName(pkg: WorkspacePackage): void {
  const script = `const m = await import(${JSON.stringify(pkg.manifest.name)}); if (Object.keys(m).length === 0) throw new Error('exports nothing');`;
  const cwd = join(work, pkg.manifest.name);
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd,
    encoding: 'utf8',
  });
  record(pkg, 'import', status === 0 ? [] : [/^\w*Error.*$/m.exec(stderr)?.[0] ?? stderr]);
}

function runCommands(pkg: WorkspacePackage, bin: Readonly<Record<string, string>>): void {
  for (const [command, file] of Object.entries(bin)) {
    const args = [join(home(pkg.manifest.name), file), '--version'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: work, encoding: 'utf8', timeout: 30_000 });
    record(
      pkg,
      command,
      stdout.includes(pkg.manifest.version) ? [] : [`--version printed ${JSON.stringify(stdout + stderr)}`],
    );
  }
}

function record(pkg: WorkspacePackage, what: string, problems: readonly string[]): void {
  if (problems.length === 0) passed++;
  else failures.push(`${pkg.id} ${what}:\n    ${problems.join('\n    ')}`);
}
