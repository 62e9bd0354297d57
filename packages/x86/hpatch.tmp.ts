import { X86Target } from '/work/main/packages/x86/src/target.ts';
import { HELPER_NAMES } from '/work/main/packages/x86/src/helpers.ts';
const n = new Float64Array(HELPER_NAMES.length), t = new Float64Array(HELPER_NAMES.length);
const old = X86Target.prototype.callHelper;
X86Target.prototype.callHelper = function (id, a, b, c, d) { n[id]++; const t0 = performance.now(); try { return old.call(this, id, a, b, c, d); } finally { t[id] += performance.now() - t0; } };
process.on('exit', () => { const rows = HELPER_NAMES.map((h, k) => [h, n[k], t[k]] as const).filter(r => r[1] > 0).sort((x, y) => y[1] - x[1]); process.stderr.write(rows.slice(0, 30).map(r => `${r[0].padEnd(24)} ${String(r[1]).padStart(10)} ${r[2].toFixed(0).padStart(8)} ms`).join('\n') + '\n'); });
