/** -help in its forms: everything, one option, the table as JSON; and the short text of a bare `emkit`. All from the option table. */
import { GROUPS, OPTIONS, type OptionSpec } from './option-table.ts';
import { OptionError } from './option-error.ts';
import { findOption, spell } from './tokenizer.ts';
import { didYouMean } from './suggest.ts';

/** Twelve lines for a person who typed `emkit` and nothing else. */
export function bareText(program: string, version: string): string {
  return [
    `${program} ${version}: a PC emulator for the terminal. x86 code is translated to WebAssembly as it runs.`,
    '',
    'Three commands that work:',
    `  ${program} --demo                                   boot the built-in guest, here, at once`,
    `  ${program} -kernel bzImage -initrd initrd.gz -append console=ttyS0`,
    `  ${program} --doctor                                 check this computer`,
    '',
    'In a running guest, Ctrl-A x quits and Ctrl-A h lists the other keys.',
    'Options are those of qemu-system-i386, as far as they are supported:',
    `  ${program} -help          all of them`,
    `  ${program} -help cpu      one of them`,
    `  ${program} --explain ...  the machine that options make, without starting it`,
    '',
  ].join('\n');
}

function wrap(text: string, width: number, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width - indent) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

/** Option column of at most 30 characters, help beside it or below. */
function entry(left: string, help: string, width: number): string {
  const column = 32;
  const lines = wrap(help, width, column);
  const first = left.length + 4 <= column ? `  ${left}`.padEnd(column) + lines.shift()! : `  ${left}`;
  return [first, ...lines.map((l) => ' '.repeat(column) + l)].join('\n');
}

function names(spec: OptionSpec): string {
  const all = [spec.name, ...(spec.aliases ?? [])].map((n) => (spec.own === true ? `--${n}` : `-${n}`)).join(', ');
  return `${all}${spec.argument === undefined ? '' : ` ${spec.argument}`}`;
}

export function helpText(program: string, width: number): string {
  const out = [
    `usage: ${program} [options]`,
    '',
    'examples:',
    `  ${program} --demo`,
    `  ${program} -m 256 -kernel bzImage -initrd initrd.gz -append "console=ttyS0"`,
    `  ${program} -kernel guest.elf -device isa-debug-exit -d in_asm -D guest.log`,
    '',
  ];
  for (const group of GROUPS) {
    out.push(`${group}:`);
    for (const spec of OPTIONS) if (spec.group === group) out.push(entry(names(spec), spec.help, width));
    out.push('');
  }
  out.push(
    'Options may be written with one dash or two. Later options win.',
    `"help" as a value lists the values; ${program} -help OPTION tells more about one.`,
    'Documentation: README.md and docs/ in the source tree.',
    '',
  );
  return out.join('\n');
}

export function optionHelp(program: string, word: string, width: number): string {
  const spec = findOption(word.replace(/^-+/, ''));
  if (spec === undefined) {
    throw new OptionError(
      `-help ${word}: invalid option`,
      didYouMean(
        word,
        OPTIONS.map((o) => o.name),
        `all options: ${program} -help`,
      ),
    );
  }
  const out = [names(spec), ...wrap(spec.help, width, 2).map((l) => `  ${l}`)];
  if (spec.refused !== undefined) out.push('  Known from QEMU; this version refuses it.');
  if (spec.repeatable === true) out.push('  May be given more than once.');
  if (spec.keys !== undefined) {
    out.push('', '  keys:');
    for (const key of spec.keys)
      out.push(
        entry(
          `  ${key.key}=${key.value}`,
          key.help + (key.key === spec.implied ? ' (the key may be left out)' : ''),
          width,
        ),
      );
  }
  if (spec.values !== undefined) {
    out.push('', '  values:');
    for (const [value, help] of spec.values) out.push(entry(`  ${value}`, help, width).trimEnd());
  }
  out.push(
    '',
    `  example: ${program} ${spell(spec)}${spec.argument === undefined ? '' : ` ${spec.values?.[0]?.[0] ?? spec.argument}`}`,
    '',
  );
  return out.join('\n');
}

export function helpJson(): string {
  return `${JSON.stringify({ options: OPTIONS }, null, 2)}\n`;
}
