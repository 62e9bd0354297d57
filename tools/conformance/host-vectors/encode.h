/* Reading the forms and making a random instruction with its state. Part of hostgen.c. */
static Form FORM[800];

static int read_forms(const char *wanted) {
  int count = 0; const char *p = FORMS; char line[128];
  while (*p) {
    const char *end = strchr(p, '\n'); size_t n = (size_t)(end - p); memcpy(line, p, n); line[n] = 0; p = end + 1;
    char group[8], name[24], pp[4], mapping[4], op[8], w[4], l[4], form[6], kind[2], size[6], opt[12] = "", undef[8] = "";
    sscanf(line, "%7s %23s %3s %3s %7s %3s %3s %5s %1s %5s %11s %7s", group, name, pp, mapping, op, w, l, form, kind, size, opt, undef);
    if (opt[0] == 'u') { strcpy(undef, opt); opt[0] = 0; }
    for (int wide = 0; wide < 2; wide++) {
      int both = !strcmp(group, "avxi");
      if (!both && wide) continue;
      if (strcmp(both ? (wide ? "avx2" : "avx") : group, wanted)) continue;
      Form *f = &FORM[count++]; memset(f, 0, sizeof *f);
      strcpy(f->group, wanted); strcpy(f->form, form); strcpy(f->opt, opt);
      f->pp = !strcmp(pp, "66") ? 1 : !strcmp(pp, "F3") ? 2 : !strcmp(pp, "F2") ? 3 : 0;
      f->legacy = mapping[0] == 'l'; const char *m = mapping + f->legacy;
      f->map = !strcmp(m, "0F") ? 1 : !strcmp(m, "38") ? 2 : 3;
      f->op = (int)strtol(op, 0, 16); const char *ext = strchr(op, '/'); f->ext = ext ? ext[1] - '0' : -1;
      f->w = !strcmp(w, "W0") ? 0 : !strcmp(w, "W1") ? 1 : !strcmp(w, "W*") ? 2 : 3;
      f->l = both ? wide : !strcmp(l, "L0") ? 0 : !strcmp(l, "L1") ? 1 : !strcmp(l, "L*") ? 2 : 3;
      f->kind = kind[0]; f->size = atoi(size); f->scaled = strchr(size, '*') != 0;
      f->undef = undef[0] ? (u32)strtol(undef + 1, 0, 16) : 0;
    }
  }
  return count;
}
static int has(const Form *f, int option) { return strchr(f->opt, option) != 0; }
static int registers(void) { return mode == 64 ? 16 : 8; }
static void put(Test *t, int byte) { t->code[t->n++] = (u8)byte; }
static u64 word(u64 v) { return mode == 64 ? v : (u32)v; }

/* What the operands are, before encoding. */
typedef struct { int reg, vvvv, rm, base, index, scale, disp_size, rip, w, l; int64_t disp; u32 target; } Operands;

/* The address of a memory operand: where, and registers that say so. */
static void address(Test *t, const Form *f, Operands *o, int size) {
  u32 target = DATA + 0x400 + below(0x800);
  if (has(f, 'a') ? percent(85) : percent(30)) target &= ~(u32)(size - 1);
  if (has(f, 'g')) target = DATA + 0x800;
  else if (percent(has(f, 'k') ? 25 : 3)) target = DATA + DATA_SIZE - 1 - below((u32)size); /* reaches into the missing page */
  else if (percent(1)) target = NOWHERE + below(0x1000);
  if (amd && !strcmp(f->group, "sha")) target &= ~15u;
  o->target = target;
  u32 at = target >= DATA + DATA_SIZE ? DATA : target - (has(f, 'g') ? 0x200 : 16) , n = has(f, 'g') ? 0x400 : 64;
  if (at + n > DATA + DATA_SIZE) n = DATA + DATA_SIZE - at;
  t->window = at - DATA; t->window_size = n; fill(t->memory + t->window, (int)n, f->kind);
  if (has(f, 'c')) { u32 v = percent(80) ? rnd() & 0xffff : (u32)rnd(); memcpy(t->memory + (target < DATA + DATA_SIZE - 4 ? target - DATA : 0), &v, 4); }

  int taken_r = has(f, 'R') ? o->reg : -1, taken_v = has(f, 'V') ? o->vvvv : -1;
  int implicit = has(f, 'e');
  do o->base = (int)below((u32)registers());
  while (o->base == taken_r || o->base == taken_v || (implicit && (o->base == 0 || o->base == 2)));
  o->rip = mode == 64 && !has(f, 'g') && percent(10);
  if (o->rip) return;
  o->disp_size = (int)below(3) % 3; if (o->disp_size == 0 && (o->base & 7) == 5) o->disp_size = 1;
  o->disp = o->disp_size == 0 ? 0 : o->disp_size == 1 ? (int8_t)rnd() : (int32_t)rnd() >> below(24);
  u64 base = (u64)target - (u64)o->disp;
  if (has(f, 'g')) o->scale = (int)below(4);
  else if (percent(40)) {
    do o->index = (int)below((u32)registers());
    while (o->index == 4 || o->index == o->base || o->index == taken_r || o->index == taken_v || (implicit && (o->index == 0 || o->index == 2)));
    o->scale = (int)below(4); t->in.r[o->index] = word(rnd() >> below(64));
    base -= t->in.r[o->index] << o->scale;
  }
  if (mode == 64 && percent(1)) base ^= 1ull << 62; /* not canonical */
  t->in.r[o->base] = word(base);
}
/* Gathers: indices within the window, but now and then the last one that is wanted. */
static void indices(Test *t, const Form *f, Operands *o) {
  do o->index = (int)below((u32)registers()); while (percent(97) && (o->index == o->reg || o->index == o->vvvv));
  int wide_index = f->op & 1, element = o->w ? 8 : 4, index_size = wide_index ? 8 : 4;
  int count = (16 << o->l) / (element > index_size ? element : index_size), last = -1;
  for (int k = 0; k < count; k++) {
    int64_t v = (int64_t)below(60) - 30;
    memcpy(t->in.v[o->index] + k * index_size, &v, index_size);
    u8 *mask = t->in.v[o->vvvv] + k * element + element - 1;
    if (percent(70)) *mask |= 0x80;
    if (*mask & 0x80) last = k;
  }
  if (last >= 0 && percent(8)) t->in.v[o->index][last * index_size + 3] ^= 0x10;
}
static void emit_operand(Test *t, const Operands *o, int reg, int has_imm) {
  reg = (reg & 7) << 3;
  if (o->base < 0) { put(t, 0xc0 | reg | (o->rm & 7)); return; }
  if (o->rip) {
    put(t, reg | 5); u32 d = o->target - (START + (u32)t->n + 4 + (u32)has_imm);
    for (int k = 0; k < 4; k++) put(t, (int)(d >> (8 * k)));
    return;
  }
  int sib = o->index >= 0 || (o->base & 7) == 4;
  put(t, (o->disp_size << 6) | reg | (sib ? 4 : o->base & 7));
  if (sib) put(t, (o->scale << 6) | ((o->index < 0 ? 4 : o->index & 7) << 3) | (o->base & 7));
  for (int k = 0; k < (o->disp_size == 2 ? 4 : o->disp_size); k++) put(t, (int)(o->disp >> (8 * k)));
}
static void emit(Test *t, const Form *f, const Operands *o) {
  int reg = f->ext >= 0 ? f->ext : o->reg, imm = strchr(f->form, 'I') || strchr(f->form, 'S');
  int r = reg >> 3, x = o->base >= 0 && o->index > 7 && !o->rip, b = o->rip ? 0 : (o->base >= 0 ? o->base : o->rm) >> 3;
  static const int MANDATORY[] = {0, 0x66, 0xf3, 0xf2};
  if (f->legacy) {
    if (MANDATORY[f->pp]) put(t, MANDATORY[f->pp]);
    int rex = 0x40 | o->w << 3 | r << 2 | x << 1 | b;
    if (mode == 64 && (rex != 0x40 || percent(10))) put(t, rex);
    put(t, 0x0f); if (f->map > 1) put(t, f->map == 2 ? 0x38 : 0x3a);
  } else {
    if (percent(1)) put(t, MANDATORY[1 + below(3)]); else if (percent(1)) put(t, 0xf0); else if (mode == 64 && percent(1)) put(t, 0x40 | (int)below(16));
    else if (percent(2) && o->base >= 0) put(t, 0x3e);
    int rest = (~o->vvvv & 15) << 3 | o->l << 2 | f->pp;
    if (f->map == 1 && !x && !b && (!o->w || f->w == 3) && percent(60)) { put(t, 0xc5); put(t, !r << 7 | rest); }
    else { put(t, 0xc4); put(t, !r << 7 | !x << 6 | !b << 5 | f->map); put(t, o->w << 7 | rest); }
  }
  put(t, f->op);
  if (f->form[0] != '-') emit_operand(t, o, reg, imm != 0);
  if (strchr(f->form, 'S')) put(t, (int)(below((u32)registers()) << 4 | (percent(10) ? below(16) : 0)));
  else if (imm) put(t, (int)(percent(70) ? below(64) : rnd() & 0xff));
}
static void make(Test *t, const Form *f) {
  memset(t, 0, sizeof *t);
  State *s = &t->in; int n = registers();
  for (int k = 0; k < n; k++) s->r[k] = (mode == 64 ? 0x0101010101010101ull : 0x01010101u) * (0x10u + (unsigned)k);
  s->r[4] = STACK + 0x800;
  s->flags = (u32)rnd() & ARITH;
  s->mxcsr = percent(45) ? 0x1f80 : percent(50) ? 0x1fa0 : 0x1f80 | below(4) << 13 | (percent(20) ? 0x8000 : 0) | (percent(20) ? 0x40 : 0) | (percent(30) ? below(64) : 0);
  if (percent(8)) s->mxcsr &= ~(1u << (7 + below(6)));
  Operands o = {.base = -1, .index = -1};
  o.reg = (int)below((u32)n); o.rm = (int)below((u32)n);
  o.vvvv = strchr(f->form, 'V') ? (int)below((u32)n) : 0;
  o.w = f->w < 2 ? f->w : f->legacy && mode == 32 ? 0 : (int)below(2);
  o.l = f->l < 2 ? f->l : f->l == 2 ? (int)below(2) : percent(10);
  for (int k = 0; k < n; k++) if (k == o.reg || k == o.rm || k == o.vvvv || k == 0 || percent(15)) fill(s->v[k], 32, f->kind);
  if (percent(15)) memcpy(s->v[o.rm], s->v[o.vvvv], 32);
  if (has(f, 'z')) { /* shift counts around the width, as second operand */
    for (int k = 0; k < 32; k += 8) { u64 c = percent(80) ? below(70) : rnd(); if (percent(30)) c |= (u64)below(70) << 32; memcpy(s->v[o.rm] + k, &c, 8); }
  }
  if (has(f, 'R')) s->r[o.reg] = word(integer());
  if (has(f, 'V')) s->r[o.vvvv] = word(integer());
  if (has(f, 'e')) for (int k = 0; k < 3; k += 2) s->r[k] = word(percent(70) ? (u64)((int64_t)below(40) - 20) : integer());
  int memory = strchr(f->form, 'M') && !has(f, 'r') && (has(f, 'm') || percent(45));
  if (memory) {
    address(t, f, &o, f->scaled && o.l ? 2 * f->size : f->size);
    if (has(f, 'g')) indices(t, f, &o);
  } else if (has(f, 'M')) s->r[o.rm] = word(percent(30) ? below(80) : integer());
  if (has(f, 'x')) { s->r[7] = DATA + 0x400 + below(0x400); t->window = 0x400; t->window_size = 64; fill(t->memory + 0x400, 64, 'i'); }
  if (!f->legacy && !has(f, 'n')) { /* encodings that must be refused, or not: the CPU knows */
    if (percent(2)) o.l ^= 1;
    if (percent(2)) o.w ^= !amd;
    if (percent(2) && !strchr(f->form, 'V')) o.vvvv = (int)below((u32)n);
  }
  emit(t, f, &o);
  if (has(f, 't')) t->tol = 3;
  t->undef = f->undef;
}
