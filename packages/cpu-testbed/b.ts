/// <reference types="node" />
import fs from 'node:fs';
import { CpuBench } from '@emkit/cpu-testbed';
import { loadKernel, createGuestRam } from '@emkit/loader';
import { buildMemoryMap } from '@emkit/firmware-tables';
import { ENV } from '@emkit/x86';
const [,, tier, cmd] = process.argv;
let line = ''; let t0 = 0; let done = false;
const b = new CpuBench({ ramBytes: 256<<20, tier: tier as 'auto',
  portIn: (p) => p === 0x3fd ? 0x60 : 0xff,
  portOut: (p, s, v) => { if (p === 0x3f8) { const c = String.fromCharCode(v&255); if (c === '\n') { const w=line.trim().split(' '); if (w[0]==='START') t0=performance.now(); else if (w[0]==='END') console.log(w[1], w[2], (performance.now()-t0).toFixed(0)+' ms'); else console.log(line); line=''; } else line += c; } else if (p===0x604||p===0x501) done = true; } });
b.cpu.reset();
const plan = loadKernel({ kernel: { name: 'bench', bytes: fs.readFileSync('/work/shared/bench/bench32.elf') }, modules: [], commandLine: cmd, memoryMap: buildMemoryMap(256<<20) }, createGuestRam(b.ram));
const e = plan.entry, cpu = b.cpu;
const segs = {cs:1,ds:3,es:0,fs:4,gs:5,ss:2};
for (const [n,k] of Object.entries(segs)) { const s=e.segments[n]; cpu.setSeg(k, s.selector, s.base, s.limit, ((s.attributes&0xff)<<8)|((s.attributes&0xf000)<<8)); }
cpu.setEnv32(ENV.GDT_BASE,e.gdt.base); cpu.setEnv32(ENV.GDT_LIMIT,e.gdt.limit);
cpu.setCrRaw(0,e.cr0); const r=e.registers; [r.eax,r.ecx,r.edx,r.ebx,r.esp,r.ebp,r.esi,r.edi].forEach((v,n)=>cpu.setReg(n,v)); cpu.eip=e.eip; cpu.cpl=0; cpu.updateHflags();

let n=0; const T=performance.now();
while(!done && performance.now()-T < 60000) { const x=b.run(400000); n++; if (x!==0) { console.log('exit',x, cpu.eip.toString(16)); break; } }
console.log(b.tcg.blocks.stats, b.tcg.hot.stats, 'insns', b.tcg.retired, 'MIPS', (b.tcg.retired/ (performance.now()-T)/1000).toFixed(0));
