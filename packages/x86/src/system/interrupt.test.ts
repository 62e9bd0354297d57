import { describe, expect, it } from 'vitest';
import {
  Bench,
  CONFORMING,
  FREE_SEL,
  GDT,
  IDT,
  KCODE,
  KCODE16,
  KDATA,
  KSTACK,
  R1CODE,
  R1DATA,
  TR_SEL,
  TSS,
  UCODE,
  UDATA,
  USTACK,
  descriptor,
  gate,
  protectedBench,
  segments,
  toUser,
} from '../../test/fake-host.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  ESP,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VM,
  FS,
  GS,
  HF_INHIBIT_IRQ,
  HF_VM,
  SS,
} from '../state.ts';
import { iret } from './iret.ts';
import { softInterrupt } from './soft-interrupt.ts';

const INT32 = 0x8e;
const TRAP32 = 0x8f;
const INT16 = 0x86;

function setGate(b: Bench, vector: number, g: [number, number]): void {
  b.descriptor(IDT + vector * 8, g);
}
function eflags(b: Bench, set: number): void {
  b.cpu.ei32[ENV.EFLAGS >> 2] = set | 2;
  b.cpu.updateHflags();
}
const stack = (b: Bench, n: number): number[] => Array.from({ length: n }, (_, i) => b.r32(b.cpu.reg(ESP) + 4 * i));

describe('real mode', () => {
  it('INT n pushes FLAGS, CS, IP and clears IF and TF', () => {
    const b = new Bench();
    const { cpu } = b;
    cpu.setReg(ESP, 0x1000);
    cpu.setSeg(SS, 0x200, 0x2000, 0xffff, 0x9300);
    cpu.setSeg(CS, 0x300, 0x3000, 0xffff, 0x9300);
    b.w32(0x21 * 4, 0x04560789);
    eflags(b, FLAG_IF | FLAG_TF);
    cpu.setEnv32(ENV.CC_SRC, 0x41);
    softInterrupt(cpu, 0x21, 0x112, 0);
    expect([cpu.eip, cpu.segSelector(CS), cpu.segBase(CS), cpu.env32(ENV.CS_BASE), cpu.reg(ESP)]).toEqual([
      0x789, 0x456, 0x4560, 0x4560, 0xffa,
    ]);
    expect([b.r16(0x2ffa), b.r16(0x2ffc), b.r16(0x2ffe)]).toEqual([0x112, 0x300, 0x343]);
    expect(cpu.eflags() & (FLAG_IF | FLAG_TF)).toBe(0);
    iret(cpu, 2, 0);
    expect([cpu.eip, cpu.segSelector(CS), cpu.reg(ESP), cpu.eflags()]).toEqual([0x112, 0x300, 0x1000, 0x343]);
  });
  it('a vector beyond the IDT limit ends in a triple fault when #GP and #DF are beyond it too', () => {
    const b = new Bench();
    b.cpu.setEnv32(ENV.IDT_LIMIT, 3);
    b.exec(() => softInterrupt(b.cpu, 0x21, 0x112, 0));
    expect(b.host.shutdowns).toEqual(['triple fault']);
  });
  it('a push through offset 0 with SP = 1 is #SS', () => {
    const b = new Bench();
    b.cpu.setReg(ESP, 1);
    expect(b.try(() => softInterrupt(b.cpu, 0x21, 0x112, 0))).toEqual({ vector: 12, error: 0 });
    expect(b.cpu.reg(ESP)).toBe(1);
  });
  it('IRET with 32-bit operands checks EIP against the limit', () => {
    const b = new Bench();
    b.cpu.setReg(ESP, 0x1000);
    b.w32(0x1000, 0x10000);
    b.w32(0x1004, 0x100);
    b.w32(0x1008, 2);
    expect(b.try(() => iret(b.cpu, 4, 0))).toEqual({ vector: 13, error: 0 });
  });
});

describe('protected mode gates', () => {
  it('same privilege: interrupt gate clears IF, trap gate does not', () => {
    for (const [type, flag] of [
      [INT32, 0],
      [TRAP32, FLAG_IF],
    ] as const) {
      const b = protectedBench();
      setGate(b, 0x30, gate(KCODE, 0x12345678, type));
      eflags(b, FLAG_IF | FLAG_NT | FLAG_TF);
      softInterrupt(b.cpu, 0x30, 0x5002, 0);
      expect([b.cpu.eip, b.cpu.segSelector(CS), b.cpu.cpl]).toEqual([0x12345678, KCODE, 0]);
      expect(stack(b, 3)).toEqual([0x5002, KCODE, 2 | FLAG_IF | FLAG_NT | FLAG_TF]);
      expect(b.cpu.eflags() & (FLAG_IF | FLAG_NT | FLAG_TF | FLAG_RF)).toBe(flag);
    }
  });
  it('user to kernel: stack from the TSS, return frame, and back by IRET with data segments nulled', () => {
    const b = protectedBench();
    const { cpu } = b;
    setGate(b, 0x80, gate(KCODE, 0x8000, 0xee));
    toUser(b);
    eflags(b, FLAG_IF);
    const before = segments(b);
    softInterrupt(cpu, 0x80, 0x5002, 0);
    expect([cpu.eip, cpu.segSelector(CS), cpu.segSelector(SS), cpu.cpl, cpu.reg(ESP)]).toEqual([
      0x8000,
      KCODE,
      KDATA,
      0,
      KSTACK - 20,
    ]);
    expect(stack(b, 5)).toEqual([0x5002, UCODE, 2 | FLAG_IF, USTACK, UDATA]);
    cpu.setSeg(FS, KDATA, 0, 0xffffffff, 0xc09300);
    iret(cpu, 4, 0);
    expect([cpu.eip, cpu.cpl, cpu.reg(ESP), cpu.eflags()]).toEqual([0x5002, 3, USTACK, 2 | FLAG_IF]);
    expect([cpu.segSelector(FS), cpu.segFlags(FS)]).toEqual([0, 0]);
    cpu.setSeg(FS, UDATA, 0, 0xffffffff, 0xc0f300);
    expect(segments(b)).toEqual(before);
  });
  it('a fault pushes its error code and RF; #DB faults do not set RF', () => {
    const b = protectedBench();
    setGate(b, 13, gate(KCODE, 0x8000, INT32));
    setGate(b, 1, gate(KCODE, 0x9000, INT32));
    b.exec(() => b.cpu.raise(13, 0x1234));
    expect(stack(b, 4)).toEqual([0x1234, 0x5000, KCODE, 2 | FLAG_RF]);
    b.exec(() => b.cpu.raise(1));
    expect(stack(b, 3)).toEqual([0x5000, KCODE, 2]);
  });
  it('16-bit gate: 16-bit frame and offset', () => {
    const b = protectedBench();
    setGate(b, 0x30, gate(KCODE, 0x12345678, INT16));
    softInterrupt(b.cpu, 0x30, 0x15002, 0);
    expect(b.cpu.eip).toBe(0x5678);
    expect(b.cpu.reg(ESP)).toBe(KSTACK - 6);
    expect([b.r16(KSTACK - 6), b.r16(KSTACK - 4), b.r16(KSTACK - 2)]).toEqual([0x5002, KCODE, 2]);
  });
  it('an NMI blocks further ones until IRET', () => {
    const b = protectedBench();
    setGate(b, 2, gate(KCODE, 0x8000, INT32));
    expect(b.cpu.canNmi()).toBe(true);
    b.cpu.interrupt(2);
    expect([b.cpu.eip, b.cpu.canNmi()]).toEqual([0x8000, false]);
    iret(b.cpu, 4, 0);
    expect(b.cpu.canNmi()).toBe(true);
  });
  it('external interrupt: wakes HLT, ends the shadow, error codes carry EXT', () => {
    const b = protectedBench();
    setGate(b, 0x20, gate(KCODE, 0x8000, INT32));
    b.cpu.halted = true;
    b.cpu.hflags |= HF_INHIBIT_IRQ;
    expect(b.cpu.canInterrupt()).toBe(false);
    b.cpu.interrupt(0x20);
    expect([b.cpu.eip, b.cpu.halted, b.cpu.hflags & HF_INHIBIT_IRQ]).toEqual([0x8000, false, 0]);
    setGate(b, 0x21, gate(FREE_SEL, 0x8000, INT32));
    setGate(b, 11, gate(KCODE, 0xb000, INT32));
    b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfffff, 0x1a, 0xc)); // code, not present
    b.cpu.interrupt(0x21);
    expect([b.cpu.eip, b.r32(b.cpu.reg(ESP))]).toEqual([0xb000, FREE_SEL | 1]);
  });

  // SDM Vol. 2A "INT n": [what, change, kind, vector and error of the fault]
  const rows: [string, (b: Bench) => void, number, number, number][] = [
    ['beyond the IDT limit', (b) => b.cpu.setEnv32(ENV.IDT_LIMIT, 0x30 * 8 + 6), 0, 13, 0x182],
    ['type of the gate', (b) => setGate(b, 0x30, [0, 0x00008c00]), 0, 13, 0x182],
    ['code segment type in a gate', (b) => setGate(b, 0x30, gate(KCODE, 0, 0x9e)), 0, 13, 0x182],
    [
      'gate DPL < CPL',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, INT32));
        toUser(b);
      },
      0,
      13,
      0x182,
    ],
    [
      'gate DPL < CPL, INT3',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, INT32));
        toUser(b);
      },
      1,
      13,
      0x182,
    ],
    ['gate not present', (b) => setGate(b, 0x30, gate(KCODE, 0, 0x0e)), 0, 11, 0x182],
    ['null code selector', (b) => setGate(b, 0x30, gate(0, 0, INT32)), 0, 13, 0],
    ['code selector beyond the GDT', (b) => setGate(b, 0x30, gate(0x100, 0, INT32)), 0, 13, 0x100],
    ['not a code segment', (b) => setGate(b, 0x30, gate(KDATA, 0, INT32)), 0, 13, KDATA],
    ['code DPL > CPL', (b) => setGate(b, 0x30, gate(UCODE, 0, INT32)), 0, 13, UCODE & ~3],
    [
      'code not present',
      (b) => {
        setGate(b, 0x30, gate(FREE_SEL, 0, INT32));
        b.descriptor(GDT + FREE_SEL, descriptor(0, 1, 0x1a, 4));
      },
      0,
      11,
      FREE_SEL,
    ],
    [
      'offset beyond the code limit',
      (b) => {
        setGate(b, 0x30, gate(KCODE16, 0x10000, INT32));
      },
      0,
      13,
      0,
    ],
    [
      'TSS too short for the stack',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.cpu.setSegCache(ENV.TR, TR_SEL, TSS, 8, 0x8b00);
        toUser(b);
      },
      0,
      10,
      TR_SEL,
    ],
    [
      'null inner SS',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, 0);
        toUser(b);
      },
      0,
      10,
      0,
    ],
    [
      'inner SS beyond the GDT',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, 0x100);
        toUser(b);
      },
      0,
      10,
      0x100,
    ],
    [
      'inner SS RPL',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, KDATA | 1);
        toUser(b);
      },
      0,
      10,
      KDATA,
    ],
    [
      'inner SS DPL',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, R1DATA & ~3);
        toUser(b);
      },
      0,
      10,
      R1DATA & ~3,
    ],
    [
      'inner SS is code',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, KCODE);
        toUser(b);
      },
      0,
      10,
      KCODE,
    ],
    [
      'inner SS not present',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, FREE_SEL);
        b.descriptor(GDT + FREE_SEL, descriptor(0, 1, 0x12, 0));
        toUser(b);
      },
      0,
      12,
      FREE_SEL,
    ],
    [
      'inner stack too small',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, 0xee));
        b.w32(TSS + 8, FREE_SEL);
        b.w32(TSS + 4, 8);
        b.descriptor(GDT + FREE_SEL, descriptor(0, 0xfff, 0x92, 0));
        toUser(b);
      },
      0,
      12,
      FREE_SEL,
    ],
    [
      'stack too small at the same level',
      (b) => {
        setGate(b, 0x30, gate(KCODE, 0, INT32));
        b.cpu.setSeg(SS, KDATA16_, 0, 0xff, 0x9300);
        b.cpu.setReg(ESP, 4);
      },
      0,
      12,
      0,
    ],
  ];
  const KDATA16_ = 0x40;
  it.each(rows)('%s faults with the right code and changes nothing', (_, prepare, kind, vector, error) => {
    const b = protectedBench();
    setGate(b, 0x30, gate(KCODE, 0x8000, INT32));
    prepare(b);
    const before = [...segments(b), b.cpu.reg(ESP), b.cpu.cpl, b.cpu.eflags()];
    expect(b.try(() => softInterrupt(b.cpu, 0x30, 0x5002, kind))).toEqual({ vector, error });
    expect([...segments(b), b.cpu.reg(ESP), b.cpu.cpl, b.cpu.eflags()]).toEqual(before);
  });
  it('INT1 does not look at the gate DPL', () => {
    const b = protectedBench();
    setGate(b, 1, gate(KCODE, 0x8000, INT32));
    toUser(b);
    softInterrupt(b.cpu, 1, 0x5001, 3);
    expect([b.cpu.eip, b.cpu.cpl]).toEqual([0x8000, 0]);
  });
  it('a conforming handler runs at the interrupted CPL', () => {
    const b = protectedBench();
    setGate(b, 0x30, gate(CONFORMING, 0x8000, 0xee));
    toUser(b);
    softInterrupt(b.cpu, 0x30, 0x5002, 0);
    expect([b.cpu.cpl, b.cpu.segSelector(CS), b.cpu.reg(ESP)]).toEqual([3, CONFORMING | 3, USTACK - 12]);
  });
  it('goes to level 1 through its stack of the TSS', () => {
    const b = protectedBench();
    setGate(b, 0x30, gate(R1CODE, 0x8000, 0xee));
    toUser(b);
    softInterrupt(b.cpu, 0x30, 0x5002, 0);
    expect([b.cpu.cpl, b.cpu.segSelector(SS), b.cpu.reg(ESP)]).toEqual([1, R1DATA, KSTACK - 0x800 - 20]);
  });
});

describe('virtual-8086 mode', () => {
  function vm86(iopl: number): Bench {
    const b = protectedBench();
    const { cpu } = b;
    setGate(b, 0x30, gate(KCODE, 0x8000, 0xee));
    cpu.setReg(ESP, KSTACK);
    const frame = [0x111, 0x222, 2 | FLAG_VM | FLAG_IF | (iopl << 12), 0x800, 0x500, 0x600, 0x700, 0x800, 0x900];
    frame.forEach((v, i) => b.w32(KSTACK - 36 + 4 * i, v));
    cpu.setReg(ESP, KSTACK - 36);
    iret(cpu, 4, 0);
    return b;
  }
  it('is entered by IRET from level 0 and left by an interrupt', () => {
    const b = vm86(3);
    const { cpu } = b;
    expect(cpu.hflags & HF_VM).toBe(HF_VM);
    expect(segments(b)).toEqual([
      0x600, 0x6000, 0x222, 0x2220, 0x500, 0x5000, 0x700, 0x7000, 0x800, 0x8000, 0x900, 0x9000,
    ]);
    expect([cpu.eip, cpu.reg(ESP), cpu.cpl]).toEqual([0x111, 0x800, 3]);
    softInterrupt(cpu, 0x30, 0x113, 0);
    expect([cpu.cpl, cpu.reg(ESP), cpu.hflags & HF_VM, cpu.segSelector(CS)]).toEqual([0, KSTACK - 36, 0, KCODE]);
    expect(stack(b, 9)).toEqual([
      0x113,
      0x222,
      2 | FLAG_VM | FLAG_IF | FLAG_IOPL,
      0x800,
      0x500,
      0x600,
      0x700,
      0x800,
      0x900,
    ]);
    expect([DS, ES, FS, GS].map((s) => cpu.segFlags(s))).toEqual([0, 0, 0, 0]);
  });
  it('INT n with IOPL < 3 is #GP(0), INT3 is not', () => {
    const b = vm86(0);
    expect(b.try(() => softInterrupt(b.cpu, 0x30, 0x113, 0))).toEqual({ vector: 13, error: 0 });
    expect(b.try(() => softInterrupt(b.cpu, 0x30, 0x113, 1))).toBeNull();
  });
  it('needs a level-0 nonconforming handler', () => {
    const b = vm86(3);
    setGate(b, 0x31, gate(R1CODE, 0x8000, 0xee));
    expect(b.try(() => softInterrupt(b.cpu, 0x31, 0x113, 0))).toEqual({ vector: 13, error: R1CODE & ~3 });
    setGate(b, 0x31, gate(CONFORMING, 0x8000, 0xee));
    expect(b.try(() => softInterrupt(b.cpu, 0x31, 0x113, 0))).toEqual({ vector: 13, error: CONFORMING });
  });
  it('CR4.VME with a clear redirection bit goes to the 8086 vector, with VIF for IF', () => {
    const b = vm86(0);
    const { cpu } = b;
    cpu.setCrRaw(4, 1);
    b.w16(TSS + 0x66, 0x68 + 32);
    b.w32(0x30 * 4, 0x03330444);
    eflags(b, FLAG_VM | FLAG_IF | FLAG_VIF);
    softInterrupt(cpu, 0x30, 0x113, 0);
    expect([cpu.eip, cpu.segBase(CS), cpu.reg(ESP)]).toEqual([0x444, 0x3330, 0x7fa]);
    expect([b.r16(0x57fa), b.r16(0x57fc), b.r16(0x57fe)]).toEqual([0x113, 0x222, 2 | FLAG_IF | FLAG_IOPL]);
    expect(cpu.eflags() & (FLAG_VIF | FLAG_IF)).toBe(FLAG_IF);
    iret(cpu, 2, 0);
    expect([cpu.eip, cpu.reg(ESP), cpu.eflags() & (FLAG_VIF | FLAG_IOPL | FLAG_IF)]).toEqual([
      0x113,
      0x800,
      FLAG_VIF | FLAG_IF,
    ]);
    b.host.ram.setUint8(TSS + 0x68 + 6, 1); // bit 30H of the redirection map
    expect(b.try(() => softInterrupt(cpu, 0x30, 0x113, 0))).toEqual({ vector: 13, error: 0 });
  });
  it('IRET stays in VM86 with IOPL 3 and keeps IOPL', () => {
    const b = vm86(3);
    b.w16(0x5800, 0x777);
    b.w16(0x5802, 0x888);
    b.w16(0x5804, 0x0040);
    iret(b.cpu, 2, 0);
    expect([b.cpu.eip, b.cpu.segBase(CS), b.cpu.reg(ESP), b.cpu.eflags()]).toEqual([
      0x777,
      0x8880,
      0x806,
      2 | FLAG_VM | FLAG_IOPL | 0x40,
    ]);
    b.cpu.ei32[ENV.EFLAGS >> 2] &= ~FLAG_IOPL;
    expect(b.try(() => iret(b.cpu, 2, 0))).toEqual({ vector: 13, error: 0 });
  });
});

describe('IRET in protected mode', () => {
  const frame = (b: Bench, ...v: number[]): void => {
    v.forEach((x, i) => b.w32(KSTACK - 64 + 4 * i, x));
    b.cpu.setReg(ESP, KSTACK - 64);
  };
  // SDM Vol. 2A "IRET": [what, frame, vector, error]
  const rows: [string, number[], number, number][] = [
    ['null CS', [0x100, 0, 2], 13, 0],
    ['CS beyond the GDT', [0x100, 0x200, 2], 13, 0x200],
    ['CS is data', [0x100, KDATA, 2], 13, KDATA],
    ['DPL != RPL', [0x100, KCODE | 3, 2, 0, 0], 13, KCODE],
    ['null SS', [0x100, UCODE, 2, 0x100, 0], 13, 0],
    ['SS RPL', [0x100, UCODE, 2, 0x100, KDATA], 13, KDATA],
    ['SS is code', [0x100, UCODE, 2, 0x100, UCODE], 13, UCODE & ~3],
    ['EIP beyond the limit', [0x10000, KCODE16, 2], 13, 0],
  ];
  it.each(rows)('%s', (_, words, vector, error) => {
    const b = protectedBench();
    frame(b, ...words);
    expect(b.try(() => iret(b.cpu, 4, 0))).toEqual({ vector, error });
    expect(b.cpu.reg(ESP)).toBe(KSTACK - 64);
  });
  it('cannot raise IOPL or IF from user level', () => {
    const b = protectedBench();
    toUser(b);
    frame(b, 0x100, UCODE, FLAG_IOPL | FLAG_IF | FLAG_AC | 0x41);
    iret(b.cpu, 4, 0);
    expect(b.cpu.eflags()).toBe(2 | FLAG_AC | 0x41);
  });
  it('a 16-bit stack receives SP only', () => {
    const b = protectedBench();
    b.descriptor(GDT + FREE_SEL, descriptor(0, 0xffff, 0xf2, 0));
    frame(b, 0x100, UCODE, 2, 0x11112222, FREE_SEL | 3);
    iret(b.cpu, 4, 0);
    expect(b.cpu.reg(ESP)).toBe(0x2222); // upper half of the inner ESP, 0 here
  });
});
