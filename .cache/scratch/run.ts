/// <reference types="node" />
import fs from 'node:fs';
import { createPc } from '@emkit/pc';
const [,, kernel, initrd, append, cpu='qemu32', mem='256'] = process.argv;
const t0 = performance.now();
let first = 0; let acc = '';
const pc = await createPc({ memorySize: +mem << 20, cpu: cpu, kernel: { name: kernel, bytes: fs.readFileSync(kernel) }, modules: initrd && initrd!=='-' ? [{ bytes: fs.readFileSync(initrd), commandLine: '' }] : [], append,
  serial: [{ write: (b) => { if (!first) first = performance.now()-t0; process.stdout.write(b); if (process.env.STOP) { acc += String.fromCharCode(...b); if (acc.includes(process.env.STOP)) pc.quit(); acc = acc.slice(-40); } }, read: () => new Uint8Array(0), onReadable: undefined, onBreak: undefined }], tier: (process.env.TIER ?? 'auto') as 'auto', warn: (t)=>console.error(t) });
setTimeout(() => pc.quit(), +(process.env.LIMIT ?? 30) * 1000);
const e = await pc.run();
const u = process.cpuUsage(); console.error('cpu', ((u.user+u.system)/1e3).toFixed(0), 'ms'); console.error(e, 'first', first.toFixed(0), 'total', (performance.now()-t0).toFixed(0), pc.board.tcg.blocks.stats, pc.board.tcg.hot.stats, 'irqs', pc.board.tcg.interrupts, 'retired', pc.board.tcg.retired, 'eip', pc.board.cpu.eip.toString(16));
process.exit(0);
