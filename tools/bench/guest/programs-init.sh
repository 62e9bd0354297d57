#!/bin/sh
# First program of the guest of `bench programs`, and with "native" the same on the host in a chroot. Runs each program, ROUNDS times, and
# says what tools/bench/guest-log.ts hears: START NAME.ROUND, END NAME.ROUND and a checksum of the program's output, DONE.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
if [ "$1" = native ]; then
  set -- $2
else
  mount -t proc proc /proc
  mount -t devtmpfs dev /dev 2>/dev/null
  mount -t tmpfs tmp /tmp
  # the words between "bench:" and ":end"
  words=$(cat /proc/cmdline)
  words=${words#*bench:}
  set -- ${words%%:end*}
fi
rounds=1 scale=100 only=
for word; do
  case $word in
    rounds=*) rounds=${word#*=} ;;
    scale=*) scale=${word#*=} ;;
    only=*) only=${word#*=} ;;
  esac
done
cd /tmp || exit 1
of() { echo $(($1 * scale / 100)); }

cat /usr/lib/python3.11/[a-m]*.py | head -c "$(of 1500000)" > text
# 5,000 lines: functions of ten lines each
awk -v n="$(of 500)" 'BEGIN {
  print "#include <stdio.h>\n#include <string.h>\nstruct item { int key, count; char name[24]; struct item *next; };"
  for (i = 0; i < n; i++) {
    printf "static int f%d(struct item *list, int limit) {\n  int sum = %d, depth = 0;\n", i, i
    printf "  for (struct item *p = list; p != NULL; p = p->next) {\n    if (p->key %% %d == 0 && depth < limit)\n", i % 13 + 2
    printf "      sum += p->count * %d - (p->key >> %d);\n    else if (strcmp(p->name, \"n%d\") == 0)\n      depth++;\n", i % 7 + 1, i % 5, i
    printf "    switch (sum & 7) { case 1: sum ^= %d; break; case 3: sum -= p->key; break; default: sum++; }\n  }\n  return sum ^ depth;\n}\n", i * 31 + 7
  }
  print "int main(void) {\n  struct item a = {1, 2, \"a\", NULL}, b = {3, 4, \"n7\", &a};\n  int sum = 0;"
  for (i = 0; i < n; i++) printf "  sum += f%d(&b, %d);\n", i, i % 9
  print "  printf(\"%d\\n\", sum);\n  return 0;\n}"
}' > big.c

p_gzip() { gzip -n -9 -c text; }
p_xz() { xz -T1 -3 -c text; }
p_sha256() { head -c "$(of 12000000)" /dev/zero | openssl dgst -sha256; }
p_aes() { head -c "$(of 6000000)" /dev/zero | openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 00112233445566778899aabbccddeeff; }
p_python3() { python3 /root/pystone-like.py "$(of 12000)"; }
p_gcc() { gcc -O0 -c -o big.o big.c && cat big.o; }
p_sqlite() {
  rm -f db
  { echo 'PRAGMA journal_mode=OFF; CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT); CREATE INDEX u ON t(b); BEGIN;'
    awk -v n="$(of 12000)" 'BEGIN { for (i = 0; i < n; i++) printf "INSERT INTO t VALUES(%d,%d,\x27name %d\x27);\n", i, (i * 7919) % 10007, i * i }'
    echo 'COMMIT; SELECT count(*), sum(b), max(length(c)) FROM t WHERE b BETWEEN 100 AND 5000;'; } | sqlite3 db
}

round=1
while [ "$round" -le "$rounds" ]; do
  for name in ${only:-gzip xz sha256 aes python3 gcc sqlite}; do
    [ -n "$only" ] && name=$(echo "$name" | tr , ' ')
    for one in $name; do
      echo "START $one.$round"
      p_"$one" > out
      echo "END $one.$round $(sha256sum < out | cut -c1-8)"
    done
  done
  round=$((round + 1))
done
echo DONE
[ -w /proc/sysrq-trigger ] && [ $$ = 1 ] && echo o > /proc/sysrq-trigger && sleep 30
