import { readMoo } from './moo.ts';
import { gunzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
const [f, n] = process.argv.slice(2);
for (const t of readMoo(gunzipSync(readFileSync(`/work/shared/conformance/80286/moo/${f}.MOO.gz`)))) if (t.index === Number(n)) console.log(JSON.stringify(t, (k,v)=> v instanceof Uint8Array? [...v].map(x=>x.toString(16)).join(' '): typeof v==='number'? v.toString(16):v));
