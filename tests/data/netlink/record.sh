#!/bin/sh
# Records what ipvsadm and a kernel say to each other for every line of commands.txt.
#
#   ./record.sh >messages.jsonl
#
# Needs user-mode-linux (linux.uml in PATH), ipvsadm, strace, iproute2, kmod and python3. The script
# starts linux.uml and is process 1 in that guest; the guest sees the host's files and writes to its
# tmpfs only. UML_MODULES names the directory of the guest's modules.
set -f
here=$(cd "$(dirname "$0")" && pwd)

if [ $$ -ne 1 ]; then
    # Between the marks comes a strace with hexadecimal dumps; the Python part makes JSON of it.
    # A system call in there is a change of processes out here: four times as fast on one CPU.
    taskset -c 0 linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ rw quiet \
        init="$here/record.sh" con=null con0=null,fd:1 \
        uml_modules="${UML_MODULES:-/usr/lib/uml/modules}" </dev/null 2>/dev/null |
        python3 "$here/record.py"
    exit
fi

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
modules=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^uml_modules=//p')
mkdir -p /run/m/lib
ln -s "$modules" /run/m/lib/modules
for module in ip_vs ip_vs_pe_sip ipv6 dummy; do modprobe -d /run/m $module 2>/dev/null; done
for name in rr wrr lc wlc sed nq sh mh; do modprobe -d /run/m ip_vs_$name; done
ip link set lo up
ip link add d0 type dummy
ip link set d0 up
for last in 20 21; do ip address add 10.0.0.$last/32 dev lo; done

printf '\n@kernel %s\n@ipvsadm %s\n' "$(uname -r)" "$(ipvsadm --version 2>&1)"
grep -v '^#' "$here/commands.txt" | while IFS= read -r line; do
    case $line in !*) eval "${line#!}" >/dev/null 2>&1 </dev/null; continue ;; esac
    printf '@command %s\n' "$line"
    # shellcheck disable=SC2086
    strace -o /run/trace -e trace=sendto,sendmsg,recvfrom,recvmsg -e read=all -e write=all \
        ipvsadm $line >/run/out 2>/run/err </dev/null
    code=$?
    cat /run/trace
    sed 's/^/@stdout /' /run/out
    sed 's/^/@stderr /' /run/err
    printf '@exit %s\n' $code
done
printf '@end\n'
halt -f
