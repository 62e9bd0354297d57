/*
 * First and only program of the guest of `bench growth`: the same amount of work over a growing working set, over a growing amount of hot code,
 * and passed around by a growing number of processes. Says what tools/bench/guest-log.ts hears: START NAME, END NAME and a checksum, DONE.
 * Linux x86-64, static.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static unsigned long scale = 100;

static void start(const char *what, unsigned long size) { printf("START %s.%lu\n", what, size), fflush(stdout); }
static void end(const char *what, unsigned long size, uint64_t sum) {
  printf("END %s.%lu %08x\n", what, size, (uint32_t)(sum ^ sum >> 32)), fflush(stdout);
}

static uint64_t next(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

/* A walk through all pages of the working set in random order, one word of each: no access can begin before the last has ended. */
static void working_set(unsigned long kib) {
  size_t pages = kib / 4;
  char *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  uint32_t *order = malloc(pages * sizeof *order);
  uint64_t state = 1;
  if (area == MAP_FAILED || order == NULL) return (void)printf("no memory for ws.%lu\n", kib);
  for (size_t i = 0; i < pages; i++) order[i] = i;
  for (size_t i = pages - 1; i > 0; i--) {
    size_t k = next(&state) % (i + 1);
    uint32_t t = order[i];
    order[i] = order[k], order[k] = t;
  }
  /* another line of each page, so that the caches see a working set and not one column */
#define AT(page) (area + (size_t)(page) * PAGE + ((page) * 7 % 64) * 64)
  for (size_t i = 0; i < pages; i++) *(char **)AT(order[i]) = AT(order[(i + 1) % pages]);
  unsigned long steps = 15000 * scale;
  char *p = AT(order[0]);
  uint64_t sum = 0;
  for (size_t i = 0; i < pages; i++) p = *(char **)p;
  start("ws", kib);
  for (unsigned long i = 0; i < steps; i++) {
    p = *(char **)p;
    sum += (p - area) >> 12;
  }
  end("ws", kib, sum);
  munmap(area, pages * PAGE);
  free(order);
}

#define ROUNDS 64
#define CODE_BYTES 256
/* edi: start value. mov $64, %ecx; mov %edi, %eax; 1: add $imm, %eax; rol $5, %eax; xor $imm, %eax; dec %ecx; jnz 1b; ret */
static void make_function(unsigned char *at, uint32_t number) {
  static const unsigned char code[] = {0xb9, ROUNDS, 0, 0, 0, 0x89, 0xf8, 0x05, 0, 0, 0, 0,    0xc1, 0xc0,
                                       5,    0x35,   0, 0, 0, 0,    0xff, 0xc9, 0x75, 0xef, 0xc3};
  uint32_t add = number * 2654435761u, flip = number * 40503u + 7;
  memcpy(at, code, sizeof code);
  memcpy(at + 8, &add, 4);
  memcpy(at + 16, &flip, 4);
}

/* The same number of calls over more and more different functions, each with a loop of its own. */
static void hot_code(unsigned long count) {
  unsigned char *code = mmap(NULL, count * CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return (void)printf("no memory for code.%lu\n", count);
  for (unsigned long i = 0; i < count; i++) make_function(code + i * CODE_BYTES, i);
  unsigned long passes = 7864 * scale / count;
  uint32_t value = 1;
  start("code", count);
  for (unsigned long pass = 0; pass < passes; pass++)
    for (unsigned long i = 0; i < count; i++) value = ((uint32_t(*)(uint32_t))(void *)(code + i * CODE_BYTES))(value);
  end("code", count, value);
  munmap(code, count * CODE_BYTES);
}

#define TOUCHED 8
/* A token goes around a ring of processes, each of which looks at a few pages of its own: a switch of address spaces for each step. */
static void processes(unsigned long count) {
  static unsigned char pages[TOUCHED * PAGE];
  unsigned long steps = 150 * scale / count * count;
  int first[2], in, out;
  uint32_t token = 1;
  if (pipe(first) != 0) return (void)printf("no pipe\n");
  in = first[0];
  for (unsigned long i = 1; i < count; i++) {
    int link[2];
    if (pipe(link) != 0) return (void)printf("no pipe\n");
    pid_t child = fork();
    if (child < 0) return (void)printf("no process for procs.%lu\n", count);
    if (child == 0) {
      close(first[1]);
      close(link[0]);
      memset(pages, (int)i, sizeof pages);
      while (read(in, &token, 4) == 4 && token != 0) {
        for (int k = 0; k < TOUCHED; k++) token = token * 31 + ++pages[k * PAGE];
        token |= 1;
        if (write(link[1], &token, 4) != 4) break;
      }
      token = 0;
      if (write(link[1], &token, 4) != 4) _exit(1);
      _exit(0);
    }
    close(link[1]);
    if (i > 1) close(in);
    in = link[0];
  }
  out = first[1];
  for (unsigned long step = 0; step < count; step += count)
    if (write(out, &token, 4) != 4 || read(in, &token, 4) != 4) printf("the token is lost\n");
  start("procs", count);
  for (unsigned long step = 0; step < steps; step += count)
    if (write(out, &token, 4) != 4 || read(in, &token, 4) != 4) printf("the token is lost\n");
  end("procs", count, token);
  token = 0;
  if (write(out, &token, 4) != 4 || read(in, &token, 4) != 4) printf("the token is lost\n");
  close(out);
  close(in);
  close(first[0]);
  while (wait(NULL) > 0) continue;
}

/* Words between "bench:" and ":end": scale=N, then what to do, "ws=64,256", "code=...", "procs=...". */
int main(void) {
  char line[4096] = "", *save;
  if (getpid() != 1) return (void)fputs("only as the first program of a virtual machine\n", stderr), 1;
  mkdir("/proc", 0755);
  mount("proc", "/proc", "proc", 0, NULL);
  int fd = open("/proc/cmdline", O_RDONLY);
  if (fd < 0 || read(fd, line, sizeof line - 1) <= 0) printf("no command line\n");
  char *words = strstr(line, "bench:");
  if (words != NULL) {
    char *stop = strstr(words, ":end");
    if (stop != NULL) *stop = 0;
    for (char *word = strtok_r(words + 6, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
      char *value = strchr(word, '='), *inner;
      if (value == NULL) continue;
      *value++ = 0;
      if (strcmp(word, "scale") == 0) scale = strtoul(value, NULL, 10);
      else
        for (char *n = strtok_r(value, ",", &inner); n != NULL; n = strtok_r(NULL, ",", &inner)) {
          unsigned long size = strtoul(n, NULL, 10);
          if (strcmp(word, "ws") == 0) working_set(size);
          else if (strcmp(word, "code") == 0) hot_code(size);
          else if (strcmp(word, "procs") == 0) processes(size);
        }
    }
  }
  printf("DONE\n"), fflush(stdout);
  sync();
  reboot(RB_POWER_OFF);
  return 0;
}
