#!/bin/sh
# Records listings.jsonl from a real ipvsadm on a real kernel, which runs as a process.
#
#   sudo ./record-listings.sh > listings.jsonl
#
# Needs user-mode-linux (linux.uml in PATH, its modules in /usr/lib/uml/modules), ipvsadm, iproute2,
# kmod, python3 and a C compiler. The guest's root is the host's, so it writes to its tmpfs only.
set -eu

if [ $$ -ne 1 ]; then
    self=$(readlink -f "$0")
    python=$(python3 -c 'import sys; print(sys.executable)')
    linux.uml mem=512M root=/dev/root rootfstype=hostfs rootflags=/ rw quiet loglevel=0 \
        init="$self" recorder="${self%.sh}.py" python="$python" \
        con=null con0=null,fd:1 </dev/null | tr -d '\r' | sed -n 's/^golden //p; s/^failed: /&/w /dev/stderr'
    exit
fi

# Here we are process 1 of the guest. Unknown kernel arguments arrive as environment variables.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/m/lib
ln -s /usr/lib/uml/modules /run/m/lib/modules
for module in ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sed ip_vs_nq ip_vs_fo ip_vs_ovf \
    ip_vs_sh ip_vs_dh ip_vs_mh ip_vs_lblc ip_vs_lblcr ip_vs_pe_sip dummy; do
    modprobe -d /run/m "$module" || echo "failed: modprobe $module"
done
ip link set lo up
"$python" -B "$recorder" || echo "failed: $recorder"
halt -f
