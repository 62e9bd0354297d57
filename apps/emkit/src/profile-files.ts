/** Reads the symbols that a profile names addresses by, and writes its files when the machine has ended. */
import { readFileSync, writeFileSync } from 'node:fs';
import { systemErrorText } from './chardev.ts';
import type { LogSink } from './log-sink.ts';
import type { MachineConfig } from './machine-config.ts';
import type { Pc, PcModule, Symbols } from './machine-port.ts';
import { OptionError } from './option-error.ts';
import type { ProfileForm } from './profile-option.ts';

/** What the machine is asked for: undefined when no profile is wanted. */
export function profileRequest(config: MachineConfig, machine: PcModule): { symbols: readonly Symbols[] } | undefined {
  if (config.profiles.length === 0 && !config.logItems.has('profile')) {
    const unused = config.symbols.at(0);
    if (unused === undefined) return undefined;
    throw new OptionError(`${unused.typed}: names are for profiles`, 'add --profile FILE.json, or -d profile');
  }
  const symbols = config.symbols.map(({ file, base, typed }) => {
    try {
      return machine.parseSymbols(readFileSync(file), base);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new OptionError(
        `${typed}: ${code === undefined || !/^E[A-Z]+$/.test(code) ? message : systemErrorText(error)}`,
      );
    }
  });
  for (const { path, typed } of config.profiles) write(path, '', typed); // refused before the guest has run for hours
  return { symbols };
}

export function writeProfile(config: MachineConfig, pc: Pc, log: LogSink | undefined): void {
  const profile = pc.profile();
  if (profile === undefined) return;
  if (config.logItems.has('profile')) log?.write(profile.text());
  for (const { path, form, typed } of config.profiles) write(path, contents(profile, form), typed);
}

function contents(profile: NonNullable<ReturnType<Pc['profile']>>, form: ProfileForm): string {
  switch (form) {
    case 'json':
      return `${JSON.stringify(profile.report, null, 1)}\n`;
    case 'speedscope':
      return `${JSON.stringify(profile.speedscope())}\n`;
    case 'collapsed':
      return profile.collapsed();
    case 'text':
      return profile.text();
  }
}

function write(path: string, text: string, typed: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new OptionError(`${typed}: ${systemErrorText(error)}`, 'the folder must exist and be writable');
  }
}
