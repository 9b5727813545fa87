#!/bin/sh
# Records what the real ipvsadm and a real kernel make of every line of cases.txt.
#
# Usage: ./record.sh >commands.jsonl          (as root; see README.md for the packages)
#
# The script starts `linux.uml` from PATH and is process 1 in that guest, where it loads IPVS, runs
# the cases and prints one JSON object a case. The guest sees the host's files but writes only to
# tmpfs. UML_MODULES names the directory of the guest's modules.
set -f
here=$(cd "$(dirname "$0")" && pwd)

if [ $$ -ne 1 ]; then
    # The console ends lines with CR LF and shows boot messages: keep JSON only.
    linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ rw quiet \
        init="$here/record.sh" con=null con0=null,fd:1 \
        uml_modules="${UML_MODULES:-/usr/lib/uml/modules}" </dev/null 2>/dev/null |
        tr -d '\r' | grep '^{'
    exit
fi

PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
modules=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^uml_modules=//p')
mkdir -p /run/m/lib
ln -s "$modules" /run/m/lib/modules
# Absent ones (twos before Linux 6.15 or so) are recorded as the errors they give.
for module in ip_vs ip_vs_pe_sip; do modprobe -d /run/m $module; done
for name in rr wrr lc wlc sed nq fo ovf twos sh dh mh lblc lblcr; do
    modprobe -d /run/m ip_vs_$name 2>/dev/null
done
# Without any address every real server is "not unicast".
ip link set lo up

raw=/run/raw

# lines TAG FILE: the lines of FILE, each behind TAG.
lines() {
    while IFS= read -r line || [ -n "$line" ]; do printf '%s %s\n' "$1" "$line"; done <"$2"
}

run() { # one command line, split at blanks and tabs
    # shellcheck disable=SC2086
    ipvsadm $1 >/dev/null 2>/run/err </dev/null
    printf 'X %s\n' $?
    lines E /run/err
}

one_case() {
    ipvsadm -C
    case $1 in
    'restore: '*)
        printf '%s\n' "${1#restore: }" | sed 's/ ; /\n/g' >/run/in
        lines I /run/in
        ipvsadm -R </run/in >/dev/null 2>/run/err
        printf 'X %s\n' $?
        lines E /run/err
        ;;
    *)
        rest=$1
        while :; do
            command=${rest%% ; *}
            printf 'C %s\n' "$command"
            run "$command"
            [ "$command" = "$rest" ] && break
            rest=${rest#* ; }
        done
        ;;
    esac
    ipvsadm -S -n >/run/out
    lines R /run/out
    ipvsadm -L -n --thresholds >/run/out
    lines T /run/out
    echo .
}

IFS=' 	
'
printf '{"kernel":"%s","ipvsadm":"%s"}\n' "$(uname -r)" "$(ipvsadm --version 2>&1)"
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    one_case "$line"
done <"$here/cases.txt" >$raw

awk '
function inner(text) { # as the inside of a JSON string
    gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); gsub(/\t/, "\\t", text)
    gsub(/\f/, "\\f", text); gsub(/\v/, "\\u000b", text)
    return text
}
function list(items, item) { return items (items == "" ? "" : ",") item }
{ tag = $1; text = inner(substr($0, 3)) }
tag == "C" { commands = list(commands, "\"" text "\"") }
tag == "I" { restore = restore text "\\n" }
tag == "X" { exits = list(exits, text); errors = errors (runs++ ? "\",\"" : "") }
tag == "E" { errors = errors text "\\n" }
tag == "R" { rules = rules text "\\n" }
# A thresholds listing is kept if it shows any threshold but 0.
tag == "T" { listing = listing text "\\n"; if ($2 == "->" && ($4 > 0 || $5 > 0)) limited = 1 }
tag == "." {
    if (restore == "") printf "{\"commands\":[%s]", commands
    else printf "{\"restore\":\"%s\"", restore
    printf ",\"exits\":[%s],\"stderr\":[\"%s\"],\"rules\":\"%s\"", exits, errors, rules
    if (limited) printf ",\"thresholds\":\"%s\"", listing
    print "}"
    commands = restore = exits = errors = rules = listing = ""; runs = limited = 0
}' $raw
halt -f
