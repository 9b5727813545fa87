#!/bin/sh
# Records the states a real kernel shows, packet by packet: ./record-walks.sh >walks-VERSION.txt
#
# As root, with the packages user-mode-linux, kmod, iproute2, ipvsadm and python3. The script starts
# `linux.uml` from PATH and is process 1 in that guest, which sees the host's files and writes only
# to tmpfs. UML_MODULES names the directory of the guest's modules.
here=$(cd "$(dirname "$0")" && pwd)

if [ $$ -ne 1 ]; then
    # The console ends lines with CR LF and shows boot messages: keep what is marked.
    linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ rw quiet \
        init="$here/record-walks.sh" con=null con0=null,fd:1 \
        uml_modules="${UML_MODULES:-/usr/lib/uml/modules}" </dev/null 2>/dev/null |
        tr -d '\r' | sed -n 's/^> \{0,1\}//p'
    exit
fi

word() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"; }
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/m/lib
ln -s "$(word uml_modules)" /run/m/lib/modules
for module in tun ip_vs ip_vs_rr; do modprobe -d /run/m $module; done
ip link set lo up
python3 "$here/record-walks.py" 2>&1 | sed 's/^/> /'
halt -f
