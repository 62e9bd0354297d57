/**
 * `npm start -- --arch x86_64 --installer`: Debian's amd64 installer, unpacked by its kernel into 1 GiB, to the language menu on the serial
 * console. A boot of this size takes a minute and more on a quiet host, so the limit is generous.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { startSession, type Session } from './session.ts';

const START = fileURLToPath(new URL('../start.mjs', import.meta.url));
const MENU_MS = 400_000;

let session: Session | undefined;
afterEach(() => session?.kill());

describe('the amd64 installer', () => {
  it('reaches its language menu on the serial console, and answers there', { timeout: MENU_MS + 60_000 }, async () => {
    session = startSession(process.execPath, [START, '--arch', 'x86_64', '--installer'], { prompt: '~ # ' });
    const log = await session.expect('Select a language', MENU_MS);
    expect(log).toMatch(/Linux version 6\.\S+-amd64/);
    // with less memory it would leave languages and parts of itself out
    expect(log).not.toMatch(/[Ll]ow memory/);
    expect(log).not.toMatch(/WARNING:|Oops|BUG:|Call Trace|segfault/);
    // the screen's second list is drawn when the cursor goes down: the menu is alive
    await session.expect('English', 60_000);
    session.type('\x01x');
    expect(await session.exit).toBe(0);
  });
});
