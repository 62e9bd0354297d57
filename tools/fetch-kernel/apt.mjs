/**
 * One Debian package, fetched and verified by apt itself, with state, lists and cache of our own.
 *
 * The system's sources and keys are used; nothing of the system is written, and no root is needed. apt checks the chain:
 * signature of the release file, hash of the package list in it, hash of the package in that list.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { accessSync, constants } from 'node:fs';

/** The first file of that name on PATH that can be run, or undefined. */
export function findProgram(name, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** An apt configuration file that is read after the system's own. Hooks of the system (which may write to it) are cleared. */
function writeConfiguration(folder) {
  for (const sub of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(join(folder, 'state/status'), '');
  const file = join(folder, 'apt.conf');
  writeFileSync(
    file,
    [
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      '#clear DPkg::Pre-Install-Pkgs;',
      `Dir::State "${folder}/state";`,
      `Dir::State::lists "lists";`,
      `Dir::State::status "${folder}/state/status";`,
      `Dir::Cache "${folder}/cache";`,
      'Dir::Cache::pkgcache "";',
      'Dir::Cache::srcpkgcache "";',
      'Dir::Log "/dev/null";',
      // The folders are private, so a download helper running as another user could not write to them.
      'APT::Sandbox::User "root";',
      'APT::Get::List-Cleanup "true";',
      'Acquire::Languages "none";',
      'Acquire::Retries "3";',
      'Acquire::http::Timeout "30";',
      'Acquire::https::Timeout "30";',
      '',
    ].join('\n'),
  );
  return file;
}

/** Runs apt-get; reports its own percentage from the status channel (apt's doc "progress-reporting": dlstatus lines). */
function run(program, args, cwd, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      signal,
      env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
    });
    let output = '';
    let status = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-8192);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.stdio[3].on('data', (chunk) => {
      status += chunk;
      const lines = status.split('\n');
      status = lines.pop();
      for (const line of lines) {
        const m = /^dlstatus:\d+:([\d.]+):/.exec(line);
        if (m !== null) onProgress(Number(m[1]));
      }
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

const problems = (output) =>
  output
    .split('\n')
    .filter((line) => /^[EW]: /.test(line))
    .join('\n  ');

/**
 * Downloads `name` into `folder` and gives the path of the .deb. `onProgress(step, percent)` has steps 'lists' and 'package'.
 * Throws with apt's own words when it fails.
 */
export async function downloadPackage(name, folder, { signal, onProgress }) {
  const apt = findProgram('apt-get');
  if (apt === undefined) throw new Error('apt-get not found');
  const configuration = writeConfiguration(folder);
  const common = ['-c', configuration, '-o', 'APT::Status-Fd=3'];
  const update = await run(apt, [...common, 'update'], folder, signal, (percent) => onProgress('lists', percent));
  // A failing third-party source must not stop us: what counts is whether the package can then be had.
  const download = await run(apt, [...common, 'download', name], folder, signal, (percent) =>
    onProgress('package', percent),
  );
  if (download.code !== 0) {
    const words = problems(`${update.output}\n${download.output}`);
    throw new Error(`apt-get could not fetch ${name}:\n  ${words === '' ? `exit code ${download.code}` : words}`);
  }
  const deb = readdirSync(folder).find((f) => f.startsWith(`${name}_`) && f.endsWith('.deb'));
  if (deb === undefined) throw new Error(`apt-get reported success but left no ${name} package in ${folder}`);
  return join(folder, deb);
}

/** Unpacks only the members that `patterns` (tar wildcards) name. */
export async function unpackMembers(deb, folder, patterns, signal) {
  const extract = spawn('tar', ['-x', '-f', '-', '-C', folder, '--no-same-owner', '--wildcards', ...patterns], {
    stdio: ['pipe', 'ignore', 'pipe'],
    signal,
  });
  const archive = spawn('dpkg-deb', ['--fsys-tarfile', deb], { stdio: ['ignore', 'pipe', 'pipe'], signal });
  archive.stdout.pipe(extract.stdin);
  extract.stdin.on('error', () => {}); // tar's own exit code and message tell
  const finished = (child, what) =>
    new Promise((resolve, reject) => {
      let words = '';
      child.stderr.on('data', (chunk) => (words = (words + chunk).slice(-2000)));
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve() : reject(new Error(`${what} failed (exit ${code}): ${words.trim()}`)),
      );
    });
  await Promise.all([finished(archive, 'dpkg-deb'), finished(extract, 'tar')]);
}
