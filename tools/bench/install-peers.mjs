/**
 * Installs the peers that come from Debian (QEMU for i386, and SeaBIOS for v86's Linux boot) with apt. Needs root:
 *
 *     sudo node tools/bench/install-peers.mjs
 *
 * v86 itself comes with `npm install`.
 */
import { spawnSync } from 'node:child_process';

const PACKAGES = ['qemu-system-x86', 'seabios'];

const step = (...words) => {
  const { status, error } = spawnSync(words[0], words.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return;
  console.error(`install-peers: ${words.join(' ')}: ${error?.message ?? `exit code ${status}`}`);
  process.exit(1);
};

if (process.getuid?.() !== 0) {
  console.error(
    `install-peers: apt needs root. Try: sudo apt-get install --no-install-recommends ${PACKAGES.join(' ')}`,
  );
  process.exit(1);
}
step('apt-get', 'update', '-q');
step('apt-get', 'install', '-y', '-q', '--no-install-recommends', ...PACKAGES);
