/* hostgen.c - runs single vector and bit instructions on the CPU it is on, and writes what they did.
 *
 *   hostgen MODE GROUP SEED COUNT > file      MODE 32 or 64; exit code 3: the CPU lacks the group's feature, 4: no 32-bit code
 *                                             runs here (a kernel without it)
 *
 * Output: NVEC records (native-vectors/README.md) with one addition: in the byte `fx`, 2 says that behind each fx delta
 * there is a mask of 32 bits and the changed upper halves of YMM0-15, 16 bytes each.
 * State is put in place and read back through the frame of a signal (XSAVE area, standard format). Every record is run
 * twice and kept when both runs agree. Linux on x86-64 only. Forms: forms.h.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "forms.h"

typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;

#define CODE 0x10000000u
#define START (CODE + 0x800)
#define DATA 0x20000000u
#define DATA_SIZE 0x2000u
#define STACK 0x30000000u
#define NOWHERE 0x40000000u
#define ARITH 0x8d5u

typedef struct { u64 r[16], ip; u32 flags, mxcsr; u8 v[16][32]; } State;
typedef struct {
  State in, out;
  u8 code[32]; int n;
  u32 window, window_size; u8 memory[DATA_SIZE], after[DATA_SIZE];
  int exc; u32 err; u64 cr2; u32 undef; int tol;
} Test;
typedef struct {
  char group[8], form[6]; int pp, map, legacy, op, ext, w, l, kind, size, scaled; u32 undef;
  char opt[12];
} Form;

static int mode;
/* What AMD's CPUs do otherwise is not asked of them: they do not check the alignment of SHA's operands, take either W where Intel's take one, leave
 * the mask alone when a gather faults, and MXCSR when the store of a VCVTPS2PH does, and of several NaNs DPPS keeps another. The emulated CPU is Intel's there. */
static int amd;
/* ------------------------------------------------------------------ random values */
static u64 seed;
static u64 rnd(void) {
  u64 z = (seed += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull; z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
static u32 below(u32 n) { return (u32)((rnd() >> 16) % n); }
static int percent(u32 p) { return below(100) < p; }
static u64 integer(void) {
  switch (below(5)) {
  case 0: { static const u64 t[] = {0, 1, ~0ull, 0x80, 0x7f, 0x8000, 0x7fff, 0x80000000ull, 0x7fffffff, 1ull << 63, ~(1ull << 63),
      0x8080808080808080ull, 0x7f7f7f7f7f7f7f7full, 0x8000800080008000ull, 0x7fff7fff7fff7fffull, 0x00ff00ff00ff00ffull};
    return t[below(sizeof t / sizeof *t)]; }
  case 1: return 1ull << below(64);
  case 2: return rnd() >> below(64);
  default: return rnd();
  }
}
/* A float of `bits` exponent and `frac` fraction bits: special, near one, anywhere. */
static u64 real(int exp_bits, int frac) {
  u64 fraction = rnd() & ((1ull << frac) - 1), top = (1ull << exp_bits) - 1, bias = top >> 1, e;
  if (percent(30)) fraction = percent(50) ? 0 : fraction & ~((1ull << (frac - below(frac))) - 1);
  switch (below(8)) {
  case 0: e = 0; break;
  case 1: e = top; if (percent(40)) fraction = 0; break;
  case 2: e = rnd() & top; break;
  case 3: e = percent(50) ? 1 + below(3) : top - 1 - below(3); break;
  default: e = bias - 6 + below(14); break;
  }
  return ((u64)below(2) << (exp_bits + frac)) | (e << frac) | fraction;
}
static void fill(u8 *to, int bytes, int kind) {
  for (int k = 0; k < bytes; k += kind == 's' ? 4 : kind == 'h' ? 2 : 8) {
    u64 v = kind == 's' ? real(8, 23) : kind == 'd' ? real(11, 52) : kind == 'h' ? real(5, 10) : integer();
    if (kind == 's' && percent(10)) { float f = (float)(int)(rnd() >> below(32)); memcpy(&v, &f, 4); }
    int n = kind == 's' ? 4 : kind == 'h' ? 2 : 8;
    memcpy(to + k, &v, bytes - k < n ? bytes - k : n);
  }
}
/* ------------------------------------------------------------------ the CPU's part */
static Test *current; static int second; static u32 ymm_at;
static gregset_t saved_regs; static u8 saved_fx[1024];
static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
  REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void on_signal(int sig, siginfo_t *info, void *context) {
  ucontext_t *uc = context; greg_t *g = uc->uc_mcontext.gregs; u8 *fx = (u8 *)uc->uc_mcontext.fpregs; u64 *bv = (u64 *)(fx + 512);
  (void)info;
  if (!second) {
    State *s = &current->in;
    memcpy(saved_regs, g, sizeof saved_regs); memcpy(saved_fx, fx, sizeof saved_fx);
    for (int n = 0; n < 16; n++) g[GREG[n]] = (greg_t)s->r[n];
    g[REG_RIP] = START; g[REG_EFL] = s->flags | 0x202;
    g[REG_CSGSFS] = (greg_t)(((u64)g[REG_CSGSFS] & 0x0000ffffffff0000ull) | (mode == 32 ? 0x23 : 0x33) | (0x2bull << 48));
    memcpy(fx + 24, &s->mxcsr, 4);
    for (int n = 0; n < 16; n++) {
      memcpy(fx + 160 + 16 * n, s->v[n], 16);
      memcpy(fx + ymm_at + 16 * n, s->v[n] + 16, 16);
    }
    *bv |= 7;
  } else {
    State *s = &current->out;
    for (int n = 0; n < 16; n++) s->r[n] = (u64)g[GREG[n]];
    s->ip = (u64)g[REG_RIP]; s->flags = (u32)g[REG_EFL];
    current->exc = (int)g[REG_TRAPNO]; current->err = (u32)g[REG_ERR]; current->cr2 = (u64)g[REG_CR2];
    if (sig == SIGTRAP) { current->exc = 255; s->ip--; }
    memcpy(&s->mxcsr, fx + 24, 4);
    memset(s->v, 0, sizeof s->v); /* a component in its initial state is not stored */
    for (int n = 0; n < 16; n++) {
      if (*bv & 2) memcpy(s->v[n], fx + 160 + 16 * n, 16);
      if (*bv & 4) memcpy(s->v[n] + 16, fx + ymm_at + 16 * n, 16);
    }
    memcpy(g, saved_regs, sizeof saved_regs); memcpy(fx, saved_fx, sizeof saved_fx);
  }
  second = !second;
}
static void run(Test *t) {
  memset((void *)(uintptr_t)CODE, 0xcc, 4096); memcpy((void *)(uintptr_t)START, t->code, t->n);
  memcpy((void *)(uintptr_t)DATA, t->memory, DATA_SIZE);
  current = t; second = 0;
  __asm__ volatile("int3" ::: "memory", "cc");
  memcpy(t->after, (void *)(uintptr_t)DATA, DATA_SIZE);
}
static void map(u32 at, u32 size, int rights) {
  if (mmap((void *)(uintptr_t)at, size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) { perror("mmap"); exit(1); }
}
static void setup(void) {
  static u8 stack[1 << 17] __attribute__((aligned(64)));
  stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}; sigaltstack(&ss, 0);
  struct sigaction sa; memset(&sa, 0, sizeof sa); sa.sa_sigaction = on_signal; sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  int signals[] = {SIGTRAP, SIGFPE, SIGSEGV, SIGILL, SIGBUS};
  for (int n = 0; n < 5; n++) sigaction(signals[n], &sa, 0);
  map(CODE, 4096, 7); map(DATA, DATA_SIZE, 3); map(STACK, 4096, 3);
  __asm__ volatile("mov %0,%%ds; mov %0,%%es" ::"r"(0x2b));
}
static int has_feature(const char *group) {
  unsigned a = 0, b = 0, c = 0, d = 0, b7 = 0, c7 = 0, c1 = 0, x = 0;
  __get_cpuid(1, &a, &b, &c1, &d);
  __get_cpuid_count(7, 0, &a, &b7, &c7, &d);
  if (c1 & (1u << 27)) __asm__ volatile("xgetbv" : "=a"(x) : "c"(0) : "edx");
  int avx = (c1 >> 28 & 1) && (x & 6) == 6;
  if (!avx) return 0; /* the records have YMM registers */
  __get_cpuid_count(13, 2, &a, &ymm_at, &c, &d);
  if (!strcmp(group, "avx2")) return b7 >> 5 & 1;
  if (!strcmp(group, "fma")) return c1 >> 12 & 1;
  if (!strcmp(group, "f16c")) return c1 >> 29 & 1;
  if (!strcmp(group, "aes")) return (c1 >> 25 & 1) && (c1 >> 1 & 1);
  if (!strcmp(group, "vaes")) return (c7 >> 9 & 1) && (c7 >> 10 & 1);
  if (!strcmp(group, "sha")) return b7 >> 29 & 1;
  if (!strcmp(group, "bmi")) return (b7 >> 3 & 1) && (b7 >> 8 & 1);
  if (!strcmp(group, "adx")) return b7 >> 19 & 1;
  return !strcmp(group, "avx") || !strcmp(group, "sse");
}
/* ------------------------------------------------------------------ making a test */
#include "encode.h"
/* ------------------------------------------------------------------ records */
static u8 out[8192]; static int out_n;
static void put_n(u64 v, int n) { memcpy(out + out_n, &v, n); out_n += n; }
static void put_reg(u64 v) { put_n(v, mode == 64 ? 8 : 4); }
static void put_registers(const State *was, const State *is, int with_ip) {
  u32 mask = with_ip ? 1u << 17 : 0; int at = out_n; out_n += 4;
  for (int n = 0; n < (mode == 64 ? 16 : 8); n++) if (was->r[n] != is->r[n]) { mask |= 1u << n; put_reg(is->r[n]); }
  if ((was->flags ^ is->flags) & 0xcd5) { mask |= 1u << 16; put_n(is->flags & 0xcd5, 4); }
  if (with_ip) put_reg(is->ip);
  memcpy(out + at, &mask, 4);
}
static void put_fx(const State *was, const State *is) {
  u32 mask = 0, high = 0; int at = out_n; out_n += 4;
  if (was->mxcsr != is->mxcsr) { mask |= 8; put_n(is->mxcsr, 4); }
  for (int half = 0; half < 2; half++) {
    int at_high = out_n; if (half) out_n += 4;
    for (int n = 0; n < 16; n++) if (memcmp(was->v[n] + 16 * half, is->v[n] + 16 * half, 16)) {
      if (half) high |= 1u << n; else mask |= 0x10000u << n;
      memcpy(out + out_n, is->v[n] + 16 * half, 16); out_n += 16;
    }
    if (half) memcpy(out + at_high, &high, 4);
  }
  memcpy(out + at, &mask, 4);
}
static void put_run(u32 offset, const u8 *bytes, u32 n) { put_n(DATA + offset, 4); put_n(n, 2); memcpy(out + out_n, bytes, n); out_n += (int)n; }
static void write_record(const Test *t) {
  State zero; memset(&zero, 0, sizeof zero); zero.mxcsr = 0x1f80;
  for (int n = 0; n < (mode == 64 ? 16 : 8); n++) zero.r[n] = (mode == 64 ? 0x0101010101010101ull : 0x01010101u) * (0x10u + n);
  zero.r[4] = STACK + 0x800;
  out_n = 2; put_n(2, 1); put_n(t->tol, 1); put_n(t->exc, 1); put_n(t->n, 1);
  memcpy(out + out_n, t->code, t->n); out_n += t->n;
  put_n(t->undef, 4);
  if (t->exc != 255) { put_n(t->err, 4); if (t->exc == 14) put_reg(t->cr2); }
  put_registers(&zero, &t->in, 0);
  put_n(t->window_size != 0, 1); if (t->window_size) put_run(t->window, t->memory + t->window, t->window_size);
  put_registers(&t->in, &t->out, 1);
  int at = out_n++, runs = 0;
  for (u32 k = 0; k < DATA_SIZE; k++) if (t->memory[k] != t->after[k]) {
    u32 end = k + 1; while (end < DATA_SIZE && t->memory[end] != t->after[end]) end++;
    put_run(k, t->after + k, end - k); k = end; runs++;
  }
  out[at] = (u8)runs;
  put_n(0, 2); put_fx(&zero, &t->in); put_fx(&t->in, &t->out);
  u16 n = (u16)out_n; memcpy(out, &n, 2); fwrite(out, 1, out_n, stdout);
}
static int same(const Test *a, const Test *b) {
  return !memcmp(&a->out, &b->out, sizeof a->out) && !memcmp(a->after, b->after, DATA_SIZE) && a->exc == b->exc && a->err == b->err
    && (a->exc != 14 || a->cr2 == b->cr2);
}
/* inc eax; in 64-bit code a prefix. */
static int runs_32_bit(void) {
  static Test t;
  t.in.r[0] = 7; t.in.r[4] = STACK + 0x800; t.in.mxcsr = 0x1f80; t.code[0] = 0x40; t.n = 1;
  run(&t);
  return t.exc == 255 && t.out.r[0] == 8;
}
/* Kernels and CPUs differ in whether they go back from a signal to such a stack pointer at all, before any instruction runs. */
static int refused(const Test *t) {
  return mode == 64 && t->exc == 13 && t->out.ip == START && (u64)((int64_t)(t->in.r[4] << 16) >> 16) != t->in.r[4];
}
static int differs(const Test *t, const Form *f) {
  return amd && (t->exc == 13 || t->exc == 14) && (strchr(f->opt, 'g') || !strcmp(f->group, "f16c"));
}
static int is_dot_product(const Form *f) { return f->map == 3 && (f->op == 0x40 || f->op == 0x41); }
static int is_amd(void) {
  unsigned a, b = 0, c, d;
  __get_cpuid(0, &a, &b, &c, &d);
  return !memcmp(&b, "Auth", 4);
}
int main(int argc, char **argv) {
  if (argc != 5 || (strcmp(argv[1], "32") && strcmp(argv[1], "64"))) { fprintf(stderr, "hostgen 32|64 GROUP SEED COUNT\n"); return 2; }
  mode = atoi(argv[1]);
  const char *group = argv[2];
  if (!has_feature(group)) return 3;
  int forms = read_forms(group); u32 count = (u32)atoi(argv[4]);
  if (!forms) { fprintf(stderr, "hostgen: no group %s\n", group); return 2; }
  amd = is_amd();
  int asked = 0;
  for (int k = 0; k < forms; k++) if (!amd || !is_dot_product(&FORM[k])) FORM[asked++] = FORM[k];
  forms = asked;
  setup();
  if (mode == 32 && !runs_32_bit()) return 4;
  u8 header[64] = "NVEC\1"; header[6] = (u8)mode; memcpy(header + 8, &count, 4); strncpy((char *)header + 24, group, 15);
  u64 first = seed = strtoull(argv[3], 0, 0); memcpy(header + 16, &first, 8); seed = seed * 1000003 + (u64)mode; for (const char *c = group; *c; c++) seed = seed * 31 + (u8)*c;
  fwrite(header, 1, 64, stdout);
  static Test t, again;
  int unstable = 0;
  for (u32 k = 0; k < count;) {
    const Form *f = &FORM[k % (u32)forms];
    make(&t, f);
    again = t; run(&t); run(&again);
    if (refused(&t) || differs(&t, f)) continue;
    if (!same(&t, &again)) { if (++unstable > 1000) { fprintf(stderr, "hostgen: results are not stable\n"); return 1; } continue; }
    write_record(&t); k++;
  }
  return 0;
}
