/** Binds the machine port to the workspace packages, lazily: `emkit --version` and option errors never load the machine. */
import { hearBranchHints } from '@emkit/launch-node';
import type { Pc, PcModule } from './machine-port.ts';

export async function loadMachine(): Promise<PcModule> {
  const [pc, loader] = await Promise.all([import('@emkit/pc'), import('@emkit/loader')]);
  hearBranchHints();
  return {
    cpuModels: pc.cpuModels,
    cpuFeatures: pc.cpuFeatures,
    parseSymbols: loader.parseSymbols,
    async createPc(options): Promise<Pc> {
      const machine = await pc.createPc(options);
      return {
        run: () => machine.run(),
        pause: () => machine.pause(),
        resume: () => machine.resume(),
        reset: () => machine.reset(),
        quit: () => machine.quit(),
        attachDebugger: machine.attachDebugger,
        profile: () => {
          const report = machine.profile();
          return report === undefined
            ? undefined
            : {
                report,
                text: () => pc.formatProfile(report),
                collapsed: () => pc.collapsedStacks(report),
                speedscope: () => pc.speedscope(report, 'emkit'),
              };
        },
        get status() {
          return machine.status;
        },
      };
    },
  };
}

/** Which protocol a kernel file asks for; decides whether -initrd names one file or a list. */
export async function probeKernel(kernel: Uint8Array): Promise<string | undefined> {
  const loader = await import('@emkit/loader');
  return loader.probeKernel(kernel);
}
