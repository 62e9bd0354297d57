/**
 * The command from its arguments to its exit code. Loads the machine only when one is started or its lists are asked for.
 */
import { spawnSync } from 'node:child_process';
import { completionScript } from './completion.ts';
import { doctorText, examine } from './doctor.ts';
import { explainJson, explainText } from './explain.ts';
import { EXIT_BUG, EXIT_ERROR } from './exit-code.ts';
import { bareText, helpJson, helpText, optionHelp } from './help.ts';
import { listText } from './lists.ts';
import { interpret } from './machine-config.ts';
import { archOfProgram } from './machine-options.ts';
import { formatError, isOptionError } from './option-error.ts';
import { runMachine, type RunEnvironment } from './run-machine.ts';
import { tokenize, type Token } from './tokenizer.ts';
import { writeReport } from './bug-report.ts';

export interface Environment extends RunEnvironment {
  readonly version: string;
}

/** What a package of ours throws for input that it refuses (kernel, CPU model, device): it has a `kind` or a `hint`. */
interface Refusal extends Error {
  readonly hint?: string;
}

function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && ('hint' in error || typeof (error as { kind?: unknown }).kind === 'string');
}

export async function main(args: readonly string[], env: Environment): Promise<number> {
  try {
    return await dispatch(args, env);
  } catch (error) {
    if (isOptionError(error)) {
      env.stderr.write(formatError(env.program, error.message, error.remedy));
      return EXIT_ERROR;
    }
    if (isRefusal(error)) {
      env.stderr.write(formatError(env.program, error.message, error.hint));
      return EXIT_ERROR;
    }
    const report = writeReport(error, args, env.version);
    env.stderr.write(
      formatError(
        env.program,
        `internal error: ${error instanceof Error ? error.message : String(error)}`,
        `this is a bug of emkit, not of yours. ${report}`,
      ),
    );
    return EXIT_BUG;
  }
}

/** Width for help: the terminal's, 100 at most, 80 when piped. */
const width = (stream: NodeJS.WriteStream): number =>
  stream.isTTY ? Math.max(40, Math.min(stream.columns || 80, 100)) : 80;

/** Through $PAGER on a terminal, where one is set; else as it is. */
function page(text: string, stdout: NodeJS.WriteStream): void {
  const pager = process.env['PAGER'];
  if (!stdout.isTTY || pager === undefined || pager === '') {
    stdout.write(text);
    return;
  }
  const run = spawnSync('sh', ['-c', pager], { input: text, stdio: ['pipe', 'inherit', 'inherit'] });
  if (run.error !== undefined || run.status === 127) stdout.write(text);
}

async function dispatch(args: readonly string[], env: Environment): Promise<number> {
  const { stdout, program } = env;
  if (args.length === 0 && stdout.isTTY) {
    env.stderr.write(bareText(program, env.version));
    return EXIT_ERROR;
  }
  const tokens = tokenize(args);
  const given = (name: string): Token | undefined => tokens.options.find((t) => t.spec.name === name);
  const help = given('help');
  if (help !== undefined) {
    if (help.value === 'json') stdout.write(helpJson());
    else if (help.value !== undefined) stdout.write(optionHelp(program, help.value, width(stdout)));
    else page(helpText(program, width(stdout)), stdout);
    return 0;
  }
  if (given('version') !== undefined) {
    stdout.write(`emkit ${env.version}\n`);
    return 0;
  }
  const completion = given('completion');
  if (completion !== undefined) {
    stdout.write(completionScript(completion.value ?? '', program));
    return 0;
  }
  const doctor = given('doctor');
  if (doctor !== undefined) {
    const findings = await examine();
    stdout.write(
      doctor.value === 'json'
        ? `${JSON.stringify({ version: env.version, findings }, null, 2)}\n`
        : doctorText(findings),
    );
    return findings.some((f) => f.state === 'problem') ? EXIT_ERROR : 0;
  }
  const result = interpret(tokens, archOfProgram(program));
  if ('list' in result) {
    stdout.write(await listText(result, env.load));
    return 0;
  }
  const explain = given('explain');
  if (explain !== undefined) {
    stdout.write(explain.value === 'json' ? explainJson(result.config, program) : explainText(result.config, program));
    return 0;
  }
  return runMachine(result.config, env);
}
