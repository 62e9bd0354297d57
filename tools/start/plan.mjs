/** What `npm start` does with its arguments: pure, so that it can be tested. */

/** With one of these, emkit needs no kernel from us. */
const COMPLETE = ['kernel', 'bios', 'demo', 'help', 'h', 'version', 'doctor', 'explain', 'completion'];
/** Options whose next word is an argument and must not be taken for an option. */
const WITH_VALUE = [
  'append',
  'initrd',
  'kernel',
  'bios',
  'm',
  'arch',
  'cpu',
  'machine',
  'M',
  'serial',
  'device',
  'd',
  'D',
  'dfilter',
  'profile',
  'symbols',
  'icount',
  'rtc',
  'name',
  'chardev',
  'gdb',
  'smp',
  'global',
  'monitor',
  'display',
  'debugcon',
  'echr',
  'action',
  'accel',
  'nic',
  'net',
  'vga',
  'parallel',
];

const DEFAULT_MEMORY = '256';
/** The installer unpacks 80 MB and more; with less, that of amd64 goes into its low-memory mode. */
const INSTALLER_MEMORY = { i386: '512', x86_64: '1024' };

/**
 * `{ emkitArguments, arch, needsKernel, installer, refresh, withKernel(files) }` for the words after `npm start --`. `size` is the
 * terminal's, told to the guest so that editors and `less` fit.
 */
export function planStart(words, size) {
  const rest = [];
  let append = '';
  let installer = false;
  let refresh = false;
  let arch = 'i386';
  const seen = new Set();
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const name = /^--?([A-Za-z][\w-]*)/.exec(word)?.[1] ?? '';
    if (word === '--installer') installer = true;
    else if (word === '--refresh') refresh = true;
    else if (name === 'append' && i + 1 < words.length) append = words[++i];
    else {
      seen.add(name);
      rest.push(word);
      if (name === 'arch') arch = word.includes('=') ? word.slice(word.indexOf('=') + 1) : (words[i + 1] ?? '');
      if (WITH_VALUE.includes(name) && !word.includes('=') && i + 1 < words.length) rest.push(words[++i]);
      // `-cpu help` and the like print a list.
      if (rest[rest.length - 1] === 'help') seen.add('help');
    }
  }
  const needsKernel = !COMPLETE.some((name) => seen.has(name));
  const withAppend = append === '' ? rest : [...rest, '-append', append];
  return {
    emkitArguments: withAppend,
    arch,
    needsKernel,
    installer,
    refresh,
    withKernel(files) {
      const line = [
        'console=ttyS0',
        ...(size === undefined || installer ? [] : [`emkit.tty=${size.rows}x${size.columns}`]),
        ...(append === '' ? [] : [append]),
      ];
      const made = ['-kernel', files.kernel, '-append', line.join(' ')];
      if (!seen.has('initrd')) made.push('-initrd', installer ? files.initrd : files.initramfs);
      if (!seen.has('m')) made.push('-m', installer ? INSTALLER_MEMORY[arch] : DEFAULT_MEMORY);
      return [...made, ...rest];
    },
  };
}
