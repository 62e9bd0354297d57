import { describe, expect, it } from 'vitest';
import { CpuLog, hexOf, parseCpuState } from './cpu-state.ts';

const BLOCK_64 = `RAX=0000000000118000 RBX=0000000000009500 RCX=ffffffff81000000 RDX=0000000000000000
RSI=0000000000000000 RDI=0000000000001000 RBP=0000000000000000 RSP=0000000000118000
R8 =0000000000000001 R9 =0000000000000000 R10=0000000000000000 R11=0000000000000000
R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=00000000000000ff
RIP=ffffffff81000123 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0010 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]
CS =0018 0000000000000000 ffffffff 00af9a00 DPL=0 CS64 [-R-]
FS =0000 00007f45b3863740 ffffffff 00cf9300 DPL=0 DS   [-WA]
LDT=0000 0000000000000000 0000ffff 00008200 DPL=0 LDT
GDT=     0000000000104000 00000027
CR0=80000011 CR2=0000000000000000 CR3=0000000000107000 CR4=00000020
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000
DR6=00000000ffff0ff0 DR7=0000000000000400
CCS=0000000000000000 CCD=0000000000000000 CCO=EFLAGS
EFER=0000000000000500
`;
const BLOCK_32 = BLOCK_64.split('\n')
  .filter((line) => !/^R(8|12) ?=/.test(line))
  .join('\n')
  .replaceAll(/R([A-DSI][XPI]|BP|DI|IP|FL)=/g, 'E$1=')
  .replaceAll(/=[0-9a-f]{8}([0-9a-f]{8})/g, '=$1');

describe('the log of a processor', () => {
  it('has sixteen registers in 64-bit code', () => {
    const state = parseCpuState(BLOCK_64);
    expect([state.code64, state.ip, state.flags]).toEqual([true, 'ffffffff81000123', 0x46]);
    expect(Object.fromEntries(state.registers)).toMatchObject({
      AX: '118000',
      CX: 'ffffffff81000000',
      R8: '1',
      R15: 'ff',
    });
    expect(state.registers.size).toBe(16);
    expect(Object.fromEntries(state.system)).toEqual({
      ES: '10:0',
      CS: '18:0',
      FS: '0:7f45b3863740',
      CR0: '80000011',
      CR3: '107000',
      CR4: '20',
      EFER: '500',
    });
  });
  it('has eight in 32-bit code', () => {
    const state = parseCpuState(BLOCK_32);
    expect([state.code64, state.ip, state.registers.size]).toEqual([false, '81000123', 8]);
    expect(state.registers.get('CX')).toBe('81000000');
  });
  it('is cut into blocks wherever the pieces end', () => {
    const text = `a message\n${BLOCK_64}another\n${BLOCK_32}${BLOCK_64}`;
    for (const size of [1, 7, 100, 1000, text.length]) {
      const log = new CpuLog();
      const states = [];
      for (let at = 0; at < text.length; at += size) states.push(...log.push(text.slice(at, at + size)));
      expect(states.map((s) => s.code64)).toEqual([true, false, true]);
      expect(states[2]).toEqual(parseCpuState(BLOCK_64));
    }
  });
  it('is written like the numbers of two halves', () => {
    expect([hexOf(0, 0), hexOf(0, -1), hexOf(-1, 1)]).toEqual(['0', 'ffffffff', 'ffffffff00000001']);
  });
});
