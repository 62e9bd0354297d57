/** Completion scripts for bash, zsh and fish, made from the option table: no process of ours runs while completing. */
import { OptionError } from './option-error.ts';
import { OPTIONS, type OptionSpec } from './option-table.ts';

const FILES = ['kernel', 'initrd', 'bios', 'D'];

const offered: readonly OptionSpec[] = OPTIONS.filter((o) => o.refused === undefined);
const dashed = (spec: OptionSpec): string[] =>
  [spec.name, ...(spec.aliases ?? [])].map((n) => (spec.own === true ? `--${n}` : `-${n}`));
const valuesOf = (spec: OptionSpec): string[] => (spec.values ?? []).map(([v]) => v);
const shellName = (program: string): string => `_${program.replace(/[^A-Za-z0-9]/g, '_')}`;

function bash(program: string): string {
  const cases = offered
    .filter((o) => o.argument !== undefined)
    .map((o) => {
      const words = valuesOf(o);
      const reply = FILES.includes(o.name)
        ? '-f -- "$cur"'
        : words.length > 0
          ? `-W "${words.join(' ')}" -- "$cur"`
          : '';
      return `    ${dashed(o).join('|')}) ${reply === '' ? 'COMPREPLY=()' : `COMPREPLY=($(compgen ${reply}))`}; return ;;`;
    });
  return `# bash completion: eval "$(${program} --completion bash)"
${shellName(program)}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  case "$prev" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "${offered.flatMap(dashed).join(' ')}" -- "$cur"))
}
complete -F ${shellName(program)} ${program}
`;
}

const plain = (text: string): string => text.replace(/[[\]:'"\\$`]/g, ' ');

function zsh(program: string): string {
  const specs = offered.flatMap((o) =>
    dashed(o).map((flag) => {
      const action =
        o.argument === undefined
          ? ''
          : FILES.includes(o.name)
            ? ':file:_files'
            : `:${plain(o.name)}:(${valuesOf(o).join(' ')})`;
      return `    '${o.repeatable === true ? '*' : ''}${flag}[${plain(o.help)}]${action}'`;
    }),
  );
  return `#compdef ${program}
# zsh completion: eval "$(${program} --completion zsh)"
${shellName(program)}() {
  _arguments \\
${specs.join(' \\\n')}
}
compdef ${shellName(program)} ${program}
`;
}

function fish(program: string): string {
  const lines = offered.flatMap((o) =>
    [o.name, ...(o.aliases ?? [])].map((name) => {
      const kind = o.own === true ? '-l' : name.length === 1 ? '-s' : '-o';
      const argument =
        o.argument === undefined
          ? ''
          : FILES.includes(o.name)
            ? ' -r'
            : ` -x${valuesOf(o).length > 0 ? ` -a '${valuesOf(o).join(' ')}'` : ''}`;
      return `complete -c ${program} -f ${kind} ${name}${argument} -d '${plain(o.help)}'`;
    }),
  );
  return `# fish completion: ${program} --completion fish | source\n${lines.join('\n')}\n`;
}

export function completionScript(shell: string, program: string): string {
  if (shell === 'bash') return bash(program);
  if (shell === 'zsh') return zsh(program);
  if (shell === 'fish') return fish(program);
  throw new OptionError(`--completion ${shell}: unknown shell`, 'bash, zsh or fish');
}
