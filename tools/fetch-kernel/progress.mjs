/**
 * One rewriting line on stderr: what is being done, a bar where the share is known. Plain lines when stderr is no terminal.
 */
const BAR = 24;

export function createProgress(stream = process.stderr, env = process.env) {
  const rewriting = stream.isTTY === true && env.TERM !== 'dumb';
  let last = '';
  let lastStep = '';
  let drawnAt = 0;
  return {
    /** `percent` undefined = no share known. */
    show(step, percent) {
      if (!rewriting) {
        if (step !== lastStep) stream.write(`${step}\n`);
        lastStep = step;
        return;
      }
      const now = Date.now();
      if (step === lastStep && now - drawnAt < 80 && percent !== 100) return;
      drawnAt = now;
      lastStep = step;
      const filled = Math.round(((percent ?? 0) / 100) * BAR);
      const bar =
        percent === undefined
          ? ''
          : `  [${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${String(Math.floor(percent)).padStart(3)}%`;
      const line = `${step}${bar}`.slice(0, (stream.columns || 80) - 1);
      stream.write(`\r${line.padEnd(last.length)}`);
      last = line;
    },
    /** Removes the line, or leaves it with `text` in its place. */
    done(text) {
      if (rewriting && last !== '') stream.write(`\r${' '.repeat(last.length)}\r`);
      last = '';
      lastStep = '';
      if (text !== undefined) stream.write(`${text}\n`);
    },
  };
}
