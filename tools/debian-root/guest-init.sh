#!/bin/sh
# First program of the guest, and, with "native", the same work on the host in a chroot: what it prints between the markers is compared.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
[ "$1" = native ] || { mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev 2>/dev/null; }
echo "@@ begin $(uname -m)"
echo "@@ python3"
python3 -c 'import math,hashlib; print(sum(i*i for i in range(100000)), math.sin(1.0), 2**200 % 999983, hashlib.sha256(b"emkit").hexdigest())'
echo "@@ perl"
perl -e 'my %h; $h{$_ % 97} += $_ for 1..50000; print join(",", map {"$_=$h{$_}"} (1,50,96)), " ", sprintf("%.12f", atan2(1,3)), "\n"'
echo "@@ gcc"
gcc -O2 -o /tmp/plain /root/programs.c -lm && /tmp/plain
echo "@@ x86-64-v3"
/root/programs-v3
echo "@@ zlib for x86-64-v3"
for level in 1 6 9; do
  /root/minigzip-v3 -$level < /usr/bin/perl > /tmp/perl.gz && sha256sum < /tmp/perl.gz
  /root/minigzip-v3 -d < /tmp/perl.gz | cmp - /usr/bin/perl && echo "level $level unpacks"
done
echo "@@ sha256sum"
sha256sum /usr/bin/python3 /usr/bin/perl /lib/x86_64-linux-gnu/libc.so.6
echo "@@ openssl"
openssl enc -aes-256-cbc -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in /usr/bin/perl | sha256sum
openssl speed -seconds 1 -bytes 1024 sha256 >/dev/null 2>&1 && echo "speed ran"
echo "@@ end"
[ "$1" = native ] || echo o > /proc/sysrq-trigger
[ "$1" = native ] || sleep 30
