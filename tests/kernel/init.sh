#!/bin/sh
# Process 1 of the kernel that tests/kernel boots: loads IPVS and runs the test program in it.
# The kernel hands over what it does not know on its command line as variables: vsched_program,
# vsched_modules, vsched_only, vsched_root. The root is the host's: write to /tmp and /run only.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/host
mount --bind / /run/host
mount -t tmpfs tmpfs /tmp
cd /tmp || exit
# A project that lies in /tmp itself is to be seen.
for seen in "$vsched_root" "${vsched_program%/deps/*}"; do
    case $seen in
    /tmp/*)
        mkdir -p "$seen"
        mount --bind "/run/host$seen" "$seen"
        ;;
    esac
done
# So that a failure is seen before anything is loaded, and after.
"$vsched_program" --in-kernel before "$vsched_only"
mkdir -p /run/m/lib
ln -s "$vsched_modules" /run/m/lib/modules
# Kernels have these as modules, built in, or not at all; what a test needs and misses, it tells.
for module in ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sed ip_vs_nq ip_vs_fo ip_vs_ovf \
    ip_vs_sh ip_vs_dh ip_vs_mh ip_vs_lblc ip_vs_lblcr ip_vs_pe_sip ipv6 dummy veth bridge ipip ip_gre fou tun; do
    modprobe -q -d /run/m "$module"
done
"$vsched_program" --in-kernel after "$vsched_only"
echo '@end'
# Without `-f` it would ask a process 1 that is not there.
busybox halt -f
