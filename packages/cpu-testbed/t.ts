import { CpuBench } from '@emkit/cpu-testbed';
const b = new CpuBench({ tier: (process.argv[2] ?? 'auto') as 'auto' });
b.protectedMode();
const code = b.map(0x10000000); b.map(0x30000000); const data=b.map(0x20000000);
// mov ecx,1000000 ; xor eax,eax ; L: add eax,ecx ; mov [0x20000000],eax; dec ecx ; jnz L ; int3
b.poke(code, [0xb9, 0x40,0x42,0x0f,0, 0x31,0xc0, 0x01,0xc8, 0xa3,0,0,0,0x20, 0x49, 0x75,0xf6, 0xcc]);
b.enterUser();
b.cpu.eip = 0x10000000; b.cpu.setReg(4, 0x30000800);
const t=performance.now();
let stop = null; while (!(stop = b.runToStop(100000))) {}
console.log(stop, b.cpu.reg(0).toString(16), b.cpu.reg(1), performance.now()-t, b.tcg.blocks.stats, b.tcg.hot.stats, b.tcg.retired);
