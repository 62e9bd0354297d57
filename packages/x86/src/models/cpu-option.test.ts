import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CPU_OPTION_MAX_LENGTH,
  CpuOptionError,
  cpuHelp,
  implementedFeatureNames,
  parseCpuOption,
  resolveCpuOption,
} from './cpu-option.ts';
import { cpuidLeaf } from './cpuid-leaves.ts';
import {
  FEATURE_ALIASES,
  FEATURE_NAMES,
  FEATURE_WORD_NAMES,
  F_HYPERVISOR,
  F_MMX,
  F_OSPKE,
  F_OSXSAVE,
  F_SSE,
  F_SSE2,
  F_TSC_DEADLINE,
  IMPLEMENTED,
} from './features.ts';
import { CPU_MODELS, findCpuModel, includesFeatures } from './models.ts';

const STATE = { apicId: 0, code64: true, apicEnabled: true, cr4: 0, xcr0: 1 };
function leaf(name: string, n: number, sub = 0, state = STATE): string {
  const out = new Uint32Array(4);
  cpuidLeaf(parseCpuOption(name), n, sub, state, out);
  return [...out].map((v) => v.toString(16).padStart(8, '0')).join(' ');
}

describe('parseCpuOption', () => {
  it('switches features on and off, in all spellings', () => {
    const m = parseCpuOption('pentium3,+sse2,-mmx,sse=off');
    expect(m.features.edx1 & (F_SSE2 | F_MMX | F_SSE)).toBe(F_SSE2);
    expect(parseCpuOption('max,-sse2,sse2=on,SSE2').features.edx1 & F_SSE2).toBe(F_SSE2);
    expect(parseCpuOption('max,-hypervisor').features.ecx1 & F_HYPERVISOR).toBe(0);
  });
  it.each([
    ['', "unable to find CPU model ''"],
    ['pentium9', "unable to find CPU model 'pentium9'"],
    ['__proto__', "unable to find CPU model '__proto__'"],
    ['max,+foo', "Property 'cpu.foo' not found"],
    ['max,constructor', "Property 'cpu.constructor' not found"],
    ['max,sse=maybe', "Parameter 'sse' expects 'on' or 'off'"],
    ['max,+avx512f,enforce', "emkit doesn't support requested features: CPUID.07H:EBX.avx512f [bit 16]"],
    ['max,model=0x100', "Property 'cpu.model' is out of range (0 - 255)"],
    ['max,model=', "Parameter 'model' expects an integer"],
    ['max,vendor=me', "Property 'cpu.vendor' doesn't take value 'me'"],
    ['host', "CPU model 'host' needs the host's processor, not an emulator; max has the most"],
    ['x86-64', "unable to find CPU model 'x86-64'"],
  ])('refuses %s', (text, message) => {
    expect(() => parseCpuOption(text)).toThrow(new CpuOptionError(message));
  });
  it('leaves out what is not implemented, and says so', () => {
    const { model, warnings } = resolveCpuOption('max,+avx512f,+tbm');
    expect(warnings).toEqual([
      "emkit doesn't support requested feature: CPUID.07H:EBX.avx512f [bit 16]",
      "emkit doesn't support requested feature: CPUID.80000001H:ECX.tbm [bit 21]",
    ]);
    expect(model.features).toEqual(parseCpuOption('max').features);
    expect(resolveCpuOption('max,+avx512f,check=off').warnings).toEqual([]);
    expect(resolveCpuOption('Haswell,hle=off,rtm=off').warnings.join()).not.toContain('hle');
  });
  it('takes properties besides features', () => {
    const m = parseCpuOption(
      'qemu32,family=23,model=0x31,stepping=2,vendor=AuthenticAMD,model-id=A chip,level=1,xlevel=0',
    );
    expect([m.signature, m.vendor, m.brand, m.maxLeaf, m.maxExtendedLeaf]).toEqual([
      0x830f12,
      'AuthenticAMD',
      'A chip',
      1,
      0,
    ]);
    expect(parseCpuOption('EPYC,stepping=3').signature).toBe(0x800f13);
  });
  it('knows versions and their other names', () => {
    expect(parseCpuOption('Haswell-v2').signature).toBe(parseCpuOption('Haswell-noTSX').signature);
    expect(parseCpuOption('Haswell-v1').signature).toBe(parseCpuOption('Haswell').signature);
    expect(() => parseCpuOption('Haswell-v9')).toThrow(CpuOptionError);
    expect(cpuHelp()).toContain('x86 Haswell-noTSX ');
    expect(cpuHelp()).not.toContain('Haswell-v2');
  });
  it('has the levels of the psABI, each in the next', () => {
    const [v1, v2, v3] = ['x86-64-v1', 'x86-64-v2', 'x86-64-v3'].map((n) => findCpuModel(n)!.features);
    expect([includesFeatures(v2, v1), includesFeatures(v3, v2), includesFeatures(v1, v2)]).toEqual([true, true, false]);
    expect(includesFeatures(findCpuModel('Haswell')!.features, v3)).toBe(true);
    expect(includesFeatures(findCpuModel('Nehalem')!.features, v2)).toBe(true);
  });
  it('has a length limit', () => {
    const fill = (n: number): string => `max${','.repeat(n - 3)}`;
    expect(parseCpuOption(fill(CPU_OPTION_MAX_LENGTH)).name).toBe('max');
    expect(() => parseCpuOption(fill(CPU_OPTION_MAX_LENGTH + 1))).toThrow(CpuOptionError);
  });
  it('throws only its own error for any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.constantFrom('max', '486', ',', '+', '-', '=', 'on', 'sse', 'x')).map((a) => a.join('')),
        ),
        (text) => {
          try {
            parseCpuOption(text);
          } catch (e) {
            expect(e).toBeInstanceOf(CpuOptionError);
          }
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });
  it('lists models and features', () => {
    const help = cpuHelp();
    for (const m of CPU_MODELS) expect(help).toContain(`x86 ${m.name} `);
    expect(implementedFeatureNames()).toEqual(expect.arrayContaining(['fpu', 'sse2', 'nx', 'hypervisor']));
    expect(Math.max(...help.split('\n').map((l) => l.length))).toBeLessThan(80);
  });
});

describe('feature table', () => {
  it('names each bit once and every alias resolves', () => {
    const names = FEATURE_NAMES.map(([, , n]) => n);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(FEATURE_NAMES.map(([w, m]) => `${w} ${m}`)).size).toBe(names.length);
    for (const target of Object.values(FEATURE_ALIASES)) expect(names).toContain(target);
  });
  it('has a name for every implemented bit', () => {
    for (const word of FEATURE_WORD_NAMES) {
      const named = FEATURE_NAMES.filter(([w]) => w === word).reduce((a, [, m]) => a | m, 0);
      expect(IMPLEMENTED[word] & ~named).toBe(0);
    }
  });
});

describe('CPUID', () => {
  // EAX EBX ECX EDX; read against Intel's identification note by hand. ECX bit 31: under a hypervisor.
  it.each([
    ['486', 0, '00000001 756e6547 6c65746e 49656e69'],
    ['486', 1, '00000480 00000000 80000000 0000000b'],
    ['pentium', 1, '00000543 00000000 80000000 008003bf'],
    ['pentium2', 1, '00000652 00000000 80000000 0183fbff'],
    ['pentium3', 1, '00000673 00000000 80000000 0383fbff'],
    ['pentium3', 2, '03020101 00000000 00000000 0c040843'],
    ['pentium3', 0x80000000, '00000000 00000000 00000000 00000000'],
    ['qemu32', 0, '00000004 756e6547 6c65746e 49656e69'],
    ['qemu32', 0x80000000, '80000004 00000000 00000000 00000000'],
    ['qemu32', 0x80000002, '696b6d65 69562074 61757472 5043206c'],
    ['coreduo', 4, '00000121 01c0003f 0000003f 00000000'],
    ['max', 0x40000000, '40000001 696b6d65 6b6d6574 6d657469'],
    ['coreduo', 0x80000008, '00002024 00000000 00000000 00000000'],
    ['coreduo', 0x80000006, '00000000 00000000 08006040 00000000'],
    // as QEMU's guest reads them: vendor, signature, AMD's repeated bits, topology, caches
    ['qemu64', 0, '0000000d 68747541 444d4163 69746e65'],
    ['qemu64', 0xb, '00000000 00000001 00000100 00000000'],
    ['qemu64', 0x80000000, '80000008 68747541 444d4163 69746e65'],
    ['EPYC', 0x80000006, '00000000 00000000 02006140 00408140'],
    ['EPYC', 0x8000001d, '00000121 01c0003f 0000003f 00000000'],
    ['qemu64', 0x80000005, '01ff01ff 01ff01ff 20080140 20080140'],
  ])('%s leaf %i', (name, n, expected) => {
    expect(leaf(name, n)).toBe(expected);
  });
  it('answers beyond the last basic leaf like the last one', () => {
    expect(leaf('pentium2', 0x1234)).toBe(leaf('pentium2', 2));
    expect(leaf('pentium2', 0xffffffff)).toBe(leaf('pentium2', 2));
  });
  it('hides the APIC when its base MSR disables it', () => {
    const on = leaf('max', 1).split(' ')[3];
    const off = leaf('max', 1, 0, { ...STATE, apicEnabled: false }).split(' ')[3];
    expect(Number.parseInt(on, 16) - Number.parseInt(off, 16)).toBe(0x200);
  });
  it("Intel's processors show SYSCALL to 64-bit code only", () => {
    const syscall = (name: string, code64: boolean): number =>
      Number.parseInt(leaf(name, 0x80000001, 0, { ...STATE, code64 }).split(' ')[3]!, 16) & 0x800;
    expect(['Haswell', 'EPYC'].map((name) => [syscall(name, true), syscall(name, false)])).toEqual([
      [0x800, 0],
      [0x800, 0x800],
    ]);
  });
  it('max leaves to the user what a guest is not always better with', () => {
    const bit = (name: string): number => parseCpuOption(name).features.ecx1 & F_TSC_DEADLINE;
    expect([bit('max'), bit('max,+tsc-deadline'), bit('Haswell')]).toEqual([0, F_TSC_DEADLINE, F_TSC_DEADLINE]);
  });
  it('ends the cache list', () => expect(leaf('qemu32', 4, 9)).toBe('00000000 00000000 00000000 00000000'));
  it('shows in OSXSAVE and OSPKE what CR4 says, and the save area that XCR0 asks for', () => {
    const model = { ...parseCpuOption('max'), features: findCpuModel('Skylake-Server')!.features };
    const ask = (n: number, sub: number, cr4: number, xcr0: number): number[] => {
      const out = new Uint32Array(4);
      cpuidLeaf(model, n, sub, { ...STATE, cr4, xcr0 }, out);
      return [...out];
    };
    expect(ask(1, 0, 0, 1)[2] & F_OSXSAVE).toBe(0);
    expect(ask(1, 0, 1 << 18, 1)[2] & F_OSXSAVE).toBe(F_OSXSAVE);
    expect([ask(7, 0, 0, 1)[2] & F_OSPKE, ask(7, 0, 1 << 22, 1)[2] & F_OSPKE]).toEqual([0, F_OSPKE]);
    expect(ask(0xd, 0, 0, 1)).toEqual([0x207, 576, 2696, 0]);
    expect(ask(0xd, 0, 0, 7)).toEqual([0x207, 832, 2696, 0]);
    expect(ask(0xd, 1, 0, 0x207)).toEqual([model.features.eaxD1, 840, 0, 0]);
    expect(ask(0xd, 2, 0, 1)).toEqual([256, 576, 0, 0]);
    expect(ask(0xd, 9, 0, 1)).toEqual([8, 2688, 0, 0]);
    expect(ask(0xd, 3, 0, 1)).toEqual([0, 0, 0, 0]);
  });
  it('never shows a feature that is not implemented', () => {
    for (const m of CPU_MODELS) {
      const [, , ecx, edx] = leaf(m.name, 1)
        .split(' ')
        .map((v) => Number.parseInt(v, 16));
      expect([edx & ~IMPLEMENTED.edx1, ecx & ~IMPLEMENTED.ecx1]).toEqual([0, 0]);
    }
  });
});
