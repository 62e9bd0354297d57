/**
 * The small initramfs: BusyBox and its libraries out of the installer's own initrd, applet links, an inittab and two scripts.
 *
 * BusyBox `init` runs the shell as a login shell on ttyS0, which gives it a controlling terminal (job control, Ctrl-C). The
 * archive is stored uncompressed: an emulated CPU should not spend its first second on inflating.
 */
import { readCpio, writeCpio, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './cpio.mjs';

const PROFILE = `export PS1='\\w # ' HOME=/root PATH=/bin:/sbin:/usr/bin:/usr/sbin
cd /
`;

const INITTAB = `::sysinit:/etc/rc
ttyS0::respawn:-/bin/sh
::ctrlaltdel:/sbin/reboot
`;

/** Shell built-ins only, but for the mounts: every process costs time on an emulated CPU. */
const RC = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
read -r line < /proc/cmdline
case "$line" in
*emkit.tty=*) size=\${line#*emkit.tty=}; size=\${size%% *}; stty -F /dev/ttyS0 rows \${size%x*} cols \${size#*x} ;;
esac
read -r x y release z < /proc/version
read -r up z < /proc/uptime
while read -r key z; do case "$key" in MemTotal:) memory=\${z%% *};; esac; done < /proc/meminfo
echo
echo "  Debian's Linux $release, BusyBox shell, $((memory / 1024)) MiB, up after \${up}s (guest time)"
echo "  Try: cat /proc/cpuinfo    dmesg | less    ls /sys/bus/pci/devices    poweroff"
echo
`;

/** 0 for a regular file or link of this archive; directories come before what they hold. */
const directory = (name) => ({ name, mode: S_IFDIR | 0o755 });
const file = (name, text, mode = 0o644) => ({ name, mode: S_IFREG | mode, data: Buffer.from(text) });
const link = (name, target) => ({ name, mode: S_IFLNK | 0o777, data: Buffer.from(target) });
const node = (name, major, minor, mode) => ({ name, mode: S_IFCHR | mode, rdevMajor: major, rdevMinor: minor });

/** Whether a binary names a library, as its dynamic string table must when it needs it. */
const names = (binary, library) => binary.includes(Buffer.from(`\0${library}\0`, 'latin1'));

/**
 * Builds the archive from the installer's initrd (uncompressed cpio). Throws when it has no BusyBox or lacks an applet that a
 * shell session needs.
 */
export function buildInitramfs(initrd) {
  const all = new Map();
  for (const entry of readCpio(initrd)) all.set(entry.name, entry);
  const text = (entry) => entry.data.toString('utf8');
  const isLink = (entry) => (entry.mode & S_IFMT) === S_IFLNK;
  const isFile = (entry) => (entry.mode & S_IFMT) === S_IFREG && entry.size > 0;
  const busybox = all.get('bin/busybox');
  if (busybox === undefined || !isFile(busybox)) throw new Error('the installer initrd has no /bin/busybox');

  const out = new Map();
  const take = (entry) => out.set(entry.name, { name: entry.name, mode: entry.mode & ~0o7000, data: entry.data });
  take(busybox);
  for (const entry of all.values()) {
    if (isLink(entry) && /^(?:\/bin\/)?busybox$/.test(text(entry)) && /^(?:usr\/)?s?bin\//.test(entry.name))
      take(entry);
  }
  for (const applet of ['bin/sh', 'bin/ls', 'bin/cat', 'bin/dmesg', 'bin/mount']) {
    if (!out.has(applet)) throw new Error(`the installer's BusyBox has no ${applet.slice(4)}`);
  }

  // Libraries: what BusyBox names, then what those name; each under every path and link by which it may be looked up.
  const libraries = [...all.values()].filter(
    (e) => (isFile(e) || isLink(e)) && /^(?:usr\/)?lib(?:64)?\/(?:[^/]+\/)?[^/]+\.so(?:\.\d+)*$/.test(e.name),
  );
  const queue = [busybox];
  for (let binary = queue.pop(); binary !== undefined; binary = queue.pop()) {
    for (const entry of libraries) {
      const base = entry.name.slice(entry.name.lastIndexOf('/') + 1);
      const wanted = names(binary.data, base) || (binary === busybox && /^ld-linux.*\.so/.test(base));
      if (!wanted || out.has(entry.name)) continue;
      take(entry);
      if (isFile(entry)) queue.push(entry);
      const target = isLink(entry)
        ? libraries.find((l) => l.name.endsWith(`/${text(entry).replace(/^.*\//, '')}`))
        : undefined;
      if (target !== undefined && !out.has(target.name)) {
        take(target);
        queue.push(target);
      }
    }
  }

  const own = [
    file('etc/profile', PROFILE),
    file('etc/inittab', INITTAB),
    file('etc/rc', RC, 0o755),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    file('etc/group', 'root:x:0:\n'),
    file('etc/hostname', 'emkit\n'),
    link('init', 'sbin/init'),
    link('sbin/init', '../bin/busybox'),
    node('dev/console', 5, 1, 0o600),
    node('dev/null', 1, 3, 0o666),
    node('dev/ttyS0', 4, 64, 0o620),
  ];
  for (const entry of own) out.set(entry.name, entry);
  for (const name of ['proc', 'sys', 'root', 'tmp', 'run', 'mnt']) out.set(name, directory(name));
  for (const name of [...out.keys()]) {
    const parts = name.split('/');
    for (let i = 1; i < parts.length; i++) {
      const parent = parts.slice(0, i).join('/');
      if (!out.has(parent)) out.set(parent, directory(parent));
    }
  }
  // Sorted by name, a directory always comes before its contents.
  return writeCpio([...out.values()].sort((a, b) => (a.name < b.name ? -1 : 1)));
}
