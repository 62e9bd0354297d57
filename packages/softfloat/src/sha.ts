/**
 * The SHA instructions: rounds and message schedule of SHA-1 and SHA-256. FIPS 180-4 §4.1, §6.1.2, §6.2.2; which word is in which
 * lane: SDM Vol. 2B under each mnemonic. Words are named as there, lane 3 being bits 127-96.
 */
import { i32, load, type Expr, type Fn, type Lib, type Var } from './emit.ts';

const word = (f: Fn, at: Expr, lane: number): Var => f.i32(load('i32_load', at, 4 * lane));
/** Lanes 3, 2, 1, 0. */
const words = (f: Fn, at: Expr): [Var, Var, Var, Var] => [
  word(f, at, 3),
  word(f, at, 2),
  word(f, at, 1),
  word(f, at, 0),
];
/** Everything has been read: `dst` may be a source. */
function store(f: Fn, dst: Expr, lane3: Expr, lane2: Expr, lane1: Expr, lane0: Expr): void {
  [lane0, lane1, lane2, lane3].forEach((v, lane) => f.store('i32_store', dst, v, 4 * lane));
  f.ret(i32(0));
}
const rotr = (v: Expr, n: number): Expr => v.rotl(32 - n);
const choose = (x: Expr, y: Expr, z: Expr): Expr => x.and(y.xor(z)).xor(z);
const majority = (x: Expr, y: Expr, z: Expr): Expr => x.and(y).or(x.or(y).and(z));
const parity = (x: Expr, y: Expr, z: Expr): Expr => x.xor(y).xor(z);
/** FIPS 180-4 §4.1.2. */
const bigSigma0 = (v: Expr): Expr => rotr(v, 2).xor(rotr(v, 13)).xor(rotr(v, 22));
const bigSigma1 = (v: Expr): Expr => rotr(v, 6).xor(rotr(v, 11)).xor(rotr(v, 25));
const sigma0 = (v: Expr): Expr => rotr(v, 7).xor(rotr(v, 18)).xor(v.shr(3));
const sigma1 = (v: Expr): Expr => rotr(v, 17).xor(rotr(v, 19)).xor(v.shr(10));
/** Functions and constants of SHA-1's four times twenty rounds. §4.1.1, §4.2.1. */
const SHA1 = [
  [choose, 0x5a827999],
  [parity, 0x6ed9eba1],
  [majority, 0x8f1bbcdc],
  [parity, 0xca62c1d6],
] as const;

function defineSha1(lib: Lib): void {
  lib.export('sha1_rnds4', 4, (f, dst, state, message, imm) => {
    const [a, b, c, d] = words(f, state!);
    const w = words(f, message!);
    const e = f.i32(0); // in the first word already (SHA1NEXTE)
    const t = f.i32();
    SHA1.forEach(([mix, constant], n) => {
      f.if(imm!.and(3).eq(n), () => {
        for (let round = 0; round < 4; round++) {
          t.set(mix(b, c, d).add(a.rotl(5)).add(w[round]!).add(e).add(i32(constant)));
          e.set(d);
          d.set(c);
          c.set(b.rotl(30));
          b.set(a);
          a.set(t);
        }
      });
    });
    store(f, dst!, a, b, c, d);
  });
  lib.export('sha1_nexte', 3, (f, dst, state, message) => {
    const e = f.i32(word(f, state!, 3).rotl(30));
    const [w0, w1, w2, w3] = words(f, message!);
    store(f, dst!, w0.add(e), w1, w2, w3);
  });
  lib.export('sha1_msg1', 3, (f, dst, x, y) => {
    const [w0, w1, w2, w3] = words(f, x!);
    const [w4, w5] = [word(f, y!, 3), word(f, y!, 2)];
    store(f, dst!, w2.xor(w0), w3.xor(w1), w4.xor(w2), w5.xor(w3));
  });
  lib.export('sha1_msg2', 3, (f, dst, x, y) => {
    const [x0, x1, x2, x3] = words(f, x!);
    const [w13, w14, w15] = [word(f, y!, 2), word(f, y!, 1), word(f, y!, 0)];
    const w16 = f.i32(x0.xor(w13).rotl(1));
    store(f, dst!, w16, x1.xor(w14).rotl(1), x2.xor(w15).rotl(1), x3.xor(w16).rotl(1));
  });
}

function defineSha256(lib: Lib): void {
  lib.export('sha256_rnds2', 4, (f, dst, x, y, wk) => {
    const [c, d, g, h] = words(f, x!);
    const [a, b, e, v] = words(f, y!); // v: the standard's f
    const t = f.i32();
    const keys = [word(f, wk!, 0), word(f, wk!, 1)];
    for (const key of keys) {
      t.set(choose(e, v, g).add(bigSigma1(e)).add(key).add(h));
      h.set(g);
      g.set(v);
      v.set(e);
      e.set(d.add(t));
      t.set(t.add(majority(a, b, c)).add(bigSigma0(a)));
      d.set(c);
      c.set(b);
      b.set(a);
      a.set(t);
    }
    store(f, dst!, a, b, e, v);
  });
  lib.export('sha256_msg1', 3, (f, dst, x, y) => {
    const [w3, w2, w1, w0] = words(f, x!);
    const w4 = word(f, y!, 0);
    store(f, dst!, w3.add(sigma0(w4)), w2.add(sigma0(w3)), w1.add(sigma0(w2)), w0.add(sigma0(w1)));
  });
  lib.export('sha256_msg2', 3, (f, dst, x, y) => {
    const [x3, x2, x1, x0] = words(f, x!);
    const w16 = f.i32(x0.add(sigma1(word(f, y!, 2))));
    const w17 = f.i32(x1.add(sigma1(word(f, y!, 3))));
    store(f, dst!, x3.add(sigma1(w17)), x2.add(sigma1(w16)), w17, w16);
  });
}

export function defineSha(lib: Lib): void {
  defineSha1(lib);
  defineSha256(lib);
}
