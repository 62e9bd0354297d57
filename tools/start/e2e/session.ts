/** A command at the other end of two pipes: type, wait for text, never longer than a deadline. */
import { spawn } from 'node:child_process';

export interface Session {
  /** Waits for `text` in the output that came after the last wait; gives what stood before it. */
  expect(text: string, timeoutMs?: number): Promise<string>;
  type(text: string): void;
  /** Types a line and gives what it printed, up to the next prompt, without the echo. */
  run(line: string, timeoutMs?: number): Promise<string>;
  readonly output: string;
  /** The last of stderr. */
  readonly errors: string;
  readonly exit: Promise<number | null>;
  kill(): void;
}

/** Terminal queries and colours: not part of what a person reads. */
const plain = (text: string): string => text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replace(/\r/g, '');

export function startSession(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; prompt: string },
): Session {
  const child = spawn(program, args, { stdio: 'pipe', env: options.env ?? process.env });
  let output = '';
  let at = 0;
  const waiting = new Set<() => void>();
  const add = (chunk: Buffer): void => {
    output += chunk.toString('latin1');
    for (const look of [...waiting]) look();
  };
  child.stdout.on('data', add);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  let ended = false;
  const exit = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      ended = true;
      for (const look of [...waiting]) look();
      resolve(code);
    }),
  );
  const session: Session = {
    expect: (text, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => {
          finish();
          reject(
            new Error(
              `${why} while waiting for ${JSON.stringify(text)}. Last output:\n${plain(output).slice(-1500)}\nstderr:\n${errors}`,
            ),
          );
        };
        const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
        const finish = (): void => {
          clearTimeout(timer);
          waiting.delete(look);
        };
        const look = (): void => {
          const found = output.indexOf(text, at);
          if (found >= 0) {
            const before = output.slice(at, found);
            at = found + text.length;
            finish();
            resolve(plain(before));
          } else if (ended) fail('the command ended');
        };
        waiting.add(look);
        look();
      }),
    type: (text) => void child.stdin.write(text),
    async run(line, timeoutMs) {
      child.stdin.write(`${line}\r`);
      await session.expect('\n', timeoutMs);
      const answer = await session.expect(options.prompt, timeoutMs);
      // where the kernel had a message before the echo, the line that ended was that
      const echo = answer.indexOf(`${line}\n`);
      return (echo < 0 ? answer : answer.slice(echo + line.length + 1)).replace(/\n$/, '');
    },
    get output() {
      return output;
    },
    get errors() {
      return errors;
    },
    exit,
    kill: () => void child.kill('SIGKILL'),
  };
  return session;
}
