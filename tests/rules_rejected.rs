//! Malformed rules are rejected with the whole expected message, line and column included.

use vsched::SchedulerKind;
use vsched::config::{Config, rules::Rules};

/// Lines and their messages; `{schedulers}` stands for the names in the registry.
#[rustfmt::skip]
const REJECTED: &[(&str, &str)] = &[
    ("-A", "line 1, column 1: `-A`: -A needs a service: -t, -u, --sctp-service or -f"),
    ("-a -t 10.0.0.1:80", "line 1, column 1: `-a`: -a needs -r"),
    ("-e -t 10.0.0.1:80 -m", "line 1, column 1: `-e`: -e needs -r"),
    ("-d -t 10.0.0.1:80", "line 1, column 1: `-d`: -d needs -r"),
    ("-D", "line 1, column 1: `-D`: -D needs a service: -t, -u, --sctp-service or -f"),
    ("-d -r 10.0.1.1", "line 1, column 1: `-d`: -d needs a service: -t, -u, --sctp-service or -f"),
    ("ipvsadm -a -r 10.0.1.1 -m", "line 1, column 9: `-a`: -a needs a service: -t, -u, --sctp-service or -f"),
    ("-L -n", "line 1, column 1: `-L`: command --list is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-l", "line 1, column 1: `-l`: command --list is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("--list", "line 1, column 1: `--list`: command --list is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-Z", "line 1, column 1: `-Z`: command --zero is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-S", "line 1, column 1: `-S`: command --save is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-R", "line 1, column 1: `-R`: command --restore is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("--set 900 120", "line 1, column 1: `--set`: --set needs three timeouts in seconds, TCP, TCP after a FIN and UDP; 0 leaves one as it is"),
    ("--set 900 120 300 60", "line 1, column 19: `60`: unexpected argument: it belongs to no option"),
    ("--set 900 120 2678401", "line 1, column 15: `2678401`: illegal timeout: expected a number from 0 to 2678400"),
    ("--set 900 -w 120 300", "line 1, column 11: `-w`: option --weight does not go with --set, which takes three timeouts"),
    ("--start-daemon", "line 1, column 1: `--start-daemon`: a value must follow"),
    ("--start-daemon both", "line 1, column 16: `both`: illegal role of a daemon: expected master or backup"),
    ("--start-daemon master eth0", "line 1, column 23: `eth0`: unexpected argument: it belongs to no option"),
    ("--start-daemon master --mcast-interface 0123456789abcdef", "line 1, column 41: `0123456789abcdef`: illegal interface: expected a name of at most 15 bytes"),
    ("--start-daemon master --syncid 256", "line 1, column 32: `256`: illegal syncid: expected a number from 0 to 255"),
    ("--start-daemon master --sync-maxlen 65508", "line 1, column 37: `65508`: illegal length: expected a number from 1 to 65507"),
    ("--start-daemon master --mcast-group 10.0.0.1", "line 1, column 37: `10.0.0.1`: illegal group: expected a multicast address such as 224.0.0.81"),
    ("--start-daemon master --mcast-port 0", "line 1, column 36: `0`: illegal port: expected a number from 1 to 65535"),
    ("--start-daemon master --mcast-ttl 0", "line 1, column 35: `0`: illegal ttl: expected a number from 1 to 255"),
    ("--start-daemon master --syncid 1 --syncid 1", "line 1, column 34: `--syncid`: duplicate: `--syncid` in column 23 has said that already"),
    ("--start-daemon master -s rr", "line 1, column 23: `-s`: option --scheduler does not go with --start-daemon, which takes --mcast-interface --syncid --sync-maxlen --mcast-group --mcast-port --mcast-ttl"),
    ("--start-daemon master --set", "line 1, column 23: `--set`: option --set does not go with --start-daemon, which takes --mcast-interface --syncid --sync-maxlen --mcast-group --mcast-port --mcast-ttl"),
    ("--stop-daemon backup --mcast-ttl 1", "line 1, column 22: `--mcast-ttl`: option --mcast-ttl does not go with --stop-daemon, which takes nothing else"),
    ("--stop-daemon backup --syncid 256", "line 1, column 31: `256`: illegal syncid: expected a number from 0 to 255"),
    ("--vsched-kernel-rules C", "line 1, column 23: `C`: illegal kernel rules: expected A or B"),
    ("--vsched-seed -1", "line 1, column 15: `-1`: illegal seed: expected a number from 0 to 18446744073709551615"),
    ("--vsched-seed 7 8", "line 1, column 17: `8`: unexpected argument: it belongs to no option"),
    ("--vsched-expire-quiescent-template yes", "line 1, column 36: `yes`: illegal expire_quiescent_template: expected a number from 0 to 1"),
    ("-A -f 7 --set 1 2 3", "line 1, column 9: `--set`: second command --set: -A is the command of this line"),
    ("-A -f 7 --vsched-seed 1", "line 1, column 9: `--vsched-seed`: second command --vsched-seed: -A is the command of this line"),
    ("-A -f 7 --vsched-sharing all", "line 1, column 26: `all`: illegal sharing: expected exact, per-worker or chunks-1 to chunks-64"),
    ("-A -f 7 --vsched-sharing chunks-65", "line 1, column 26: `chunks-65`: illegal sharing: expected exact, per-worker or chunks-1 to chunks-64"),
    ("-A -f 7 -s mh --vsched-mh-table-index 18", "line 1, column 39: `18`: illegal mh table index: expected a number from 8 to 17"),
    ("-A -f 7 --vsched-affinity-capacity 0", "line 1, column 36: `0`: illegal affinity capacity: expected a number from 1 to 16777216"),
    ("-A -f 7 --vsched-affinity-expiration 2678401", "line 1, column 38: `2678401`: illegal affinity expiration: expected a number from 1 to 2678400"),
    ("-A -f 7 --vsched-ejection failures", "line 1, column 27: `failures`: illegal ejection: expected KEY=VALUE, KEY of failures, interval, base-time, max-time, max-share, trials, outliers, factor, least-outcomes, least-servers"),
    ("-A -f 7 --vsched-ejection=", "line 1, column 27: ``: illegal ejection: expected KEY=VALUE, KEY of failures, interval, base-time, max-time, max-share, trials, outliers, factor, least-outcomes, least-servers"),
    ("-A -f 7 --vsched-ejection trials=1,", "line 1, column 36: ``: illegal ejection: expected KEY=VALUE, KEY of failures, interval, base-time, max-time, max-share, trials, outliers, factor, least-outcomes, least-servers"),
    ("-A -f 7 --vsched-ejection trials=1,time=3", "line 1, column 36: `time=3`: unknown key of ejection: expected failures, interval, base-time, max-time, max-share, trials, outliers, factor, least-outcomes, least-servers"),
    ("-A -f 7 --vsched-ejection base_time=3", "line 1, column 27: `base_time=3`: unknown key of ejection: expected failures, interval, base-time, max-time, max-share, trials, outliers, factor, least-outcomes, least-servers"),
    ("-A -f 7 --vsched-ejection trials=1,trials=2", "line 1, column 36: `trials=2`: duplicate: `trials=1` in column 27 has said that already"),
    ("-A -f 7 --vsched-ejection failures=", "line 1, column 36: ``: illegal ejection failures: expected a number from 0 to 65535"),
    ("-A -f 7 --vsched-ejection failures=65536", "line 1, column 36: `65536`: illegal ejection failures: expected a number from 0 to 65535"),
    ("-A -f 7 --vsched-ejection failures=5=6", "line 1, column 36: `5=6`: illegal ejection failures: expected a number from 0 to 65535"),
    ("-A -f 7 --vsched-ejection interval=0", "line 1, column 36: `0`: illegal ejection interval: expected a number from 1 to 2678400"),
    ("-A -f 7 --vsched-ejection base-time=2678401", "line 1, column 37: `2678401`: illegal ejection base-time: expected a number from 1 to 2678400"),
    ("-A -f 7 --vsched-ejection max-time=0", "line 1, column 36: `0`: illegal ejection max-time: expected a number from 1 to 2678400"),
    ("-A -f 7 --vsched-ejection max-share=101", "line 1, column 37: `101`: illegal ejection max-share: expected a number from 0 to 100"),
    ("-A -f 7 --vsched-ejection max-share=256", "line 1, column 37: `256`: illegal ejection max-share: expected a number from 0 to 100"),
    ("-A -f 7 --vsched-ejection trials=65536", "line 1, column 34: `65536`: illegal ejection trials: expected a number from 1 to 65535"),
    ("-A -f 7 --vsched-ejection outliers=mode", "line 1, column 36: `mode`: illegal ejection outliers: expected mean or median"),
    ("-A -f 7 --vsched-ejection outliers=mean,factor=0", "line 1, column 48: `0`: illegal ejection factor: expected a number from 1 to 1000000"),
    ("-A -f 7 --vsched-ejection outliers=mean,least-outcomes=0", "line 1, column 56: `0`: illegal ejection least-outcomes: expected a number from 1 to 4294967295"),
    ("-A -f 7 --vsched-ejection least-servers=1,outliers=mean", "line 1, column 41: `1`: illegal ejection least-servers: expected a number from 2 to 1048576"),
    ("-A -f 7 --vsched-ejection failures=3,factor=2000", "line 1, column 38: `factor=2000`: needs outliers=mean or outliers=median"),
    ("-A -f 7 --vsched-slow-start 60", "line 1, column 29: `60`: illegal slow start: expected KEY=VALUE, KEY of duration, aggression, least"),
    ("-A -f 7 --vsched-slow-start failures=3", "line 1, column 29: `failures=3`: unknown key of slow start: expected duration, aggression, least"),
    ("-A -f 7 --vsched-slow-start duration=0", "line 1, column 38: `0`: illegal slow start duration: expected a number from 1 to 2678400"),
    ("-A -f 7 --vsched-slow-start aggression=10001", "line 1, column 40: `10001`: illegal slow start aggression: expected a number from 1 to 10000"),
    ("-A -f 7 --vsched-slow-start duration=5,least=0", "line 1, column 46: `0`: illegal slow start least: expected a number from 1 to 100"),
    ("-A -f 7 --vsched-ties newest", "line 1, column 23: `newest`: illegal ties: expected kernel or rotate"),
    ("-A -f 7 --vsched-spill-over 99", "line 1, column 29: `99`: illegal spill-over: expected a number from 100 to 1000"),
    ("-A -f 7 --vsched-spill-over 1001", "line 1, column 29: `1001`: illegal spill-over: expected a number from 100 to 1000"),
    ("-A -f 7 --vsched-panic-threshold 101", "line 1, column 34: `101`: illegal panic threshold: expected a number from 0 to 100"),
    ("-a -f 7 -r 10.0.1.1 --vsched-priority 256", "line 1, column 39: `256`: illegal priority: expected a number from 0 to 255"),
    ("-A -f 7 --vsched-priority 1", "line 1, column 9: `--vsched-priority`: option --vsched-priority does not go with -A, which takes a service (-t -u --sctp-service -f -6) and -s -p -M -o -b --pe"),
    ("-A -f 7 --vsched-local", "line 1, column 9: `--vsched-local`: option --vsched-local does not go with -A, which takes a service (-t -u --sctp-service -f -6) and -s -p -M -o -b --pe"),
    ("-a -f 7 -r 10.0.1.1 -m --vsched-local", "line 1, column 24: `--vsched-local`: duplicate: `-m` in column 21 has said that already"),
    ("-a -f 7 -r 10.0.1.1 -x 1 --vsched-upper-threshold 1", "line 1, column 26: `--vsched-upper-threshold`: duplicate: `-x` in column 21 has said that already"),
    ("-a -f 7 -r 10.0.1.1 --vsched-upper-threshold 4294967296", "line 1, column 46: `4294967296`: illegal upper threshold: expected a number from 0 to 4294967295"),
    ("-a -f 7 -r 10.0.1.1 --vsched-lower-threshold 1", "line 1, column 46: `1`: illegal lower threshold: expected at most the upper one, which is 0"),
    ("-a -f 7 -r 10.0.1.1 --vsched-keep-port=1", "line 1, column 21: `--vsched-keep-port=1`: `--vsched-keep-port` takes no value"),
    ("-a -f 7 -r 10.0.1.1 --vsched-kept-port", "line 1, column 21: `--vsched-kept-port`: unknown option"),
    ("-h", "line 1, column 1: `-h`: command --help is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("--version", "line 1, column 1: `--version`: command --version is no configuration: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("add-service -t 10.0.0.1:80", "line 1, column 1: `add-service`: not a command: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-t 10.0.0.1:80 -A", "line 1, column 1: `-t`: the command must come first: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("--tcp-service 10.0.0.1:80", "line 1, column 1: `--tcp-service`: the command must come first: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("--", "line 1, column 1: `--`: not a command: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-", "line 1, column 1: `-`: not a command: expected -A, -E, -D, -C, -a, -e, -d, --set, --start-daemon, --stop-daemon or --vsched-SETTING"),
    ("-A -D -t 10.0.0.1:80", "line 1, column 4: `-D`: second command --delete-service: -A is the command of this line"),
    ("-AE -t 10.0.0.1:80", "line 1, column 1: `-AE`: second command --edit-service: -A is the command of this line"),
    ("-A -t 10.0.0.1:80 --list", "line 1, column 19: `--list`: second command --list: -A is the command of this line"),
    ("-C -C", "line 1, column 4: `-C`: second command --clear: -C is the command of this line"),
    ("-C -t 10.0.0.1:80", "line 1, column 4: `-t`: option --tcp-service does not go with -C, which takes nothing"),
    ("-C extra", "line 1, column 4: `extra`: unexpected argument: it belongs to no option"),
    ("-j", "line 1, column 1: `-j`: unknown option"),
    ("--add -t 10.0.0.1:80", "line 1, column 1: `--add`: unknown option"),
    ("-A -t 10.0.0.1:80 --sched rr", "line 1, column 19: `--sched`: unknown option"),
    ("-A -t 10.0.0.1:80 -k", "line 1, column 19: `-k`: unknown option"),
    ("-Ak -t 10.0.0.1:80", "line 1, column 1: `-Ak`: unknown option `-k` in this word"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -m5", "line 1, column 31: `-m5`: unknown option `-5` in this word"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -m=5", "line 1, column 31: `-m=5`: `-m` takes no value"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 --masquerading=5", "line 1, column 31: `--masquerading=5`: `--masquerading` takes no value"),
    ("-A -t", "line 1, column 4: `-t`: a value must follow"),
    ("-A -t 10.0.0.1:80 --scheduler", "line 1, column 19: `--scheduler`: a value must follow"),
    ("-A -t 10.0.0.1:80 stray", "line 1, column 19: `stray`: unexpected argument: it belongs to no option"),
    ("-A -t 10.0.0.1:80 -- -p", "line 1, column 22: `-p`: unexpected argument: it belongs to no option"),
    ("-A -t 10.0.0.1:80 -w 5", "line 1, column 19: `-w`: option --weight does not go with -A, which takes a service (-t -u --sctp-service -f -6) and -s -p -M -o -b --pe"),
    ("-D -t 10.0.0.1:80 -s rr", "line 1, column 19: `-s`: option --scheduler does not go with -D, which takes a service (-t -u --sctp-service -f -6)"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -s rr", "line 1, column 31: `-s`: option --scheduler does not go with -a, which takes a service (-t -u --sctp-service -f -6), -r and -m -g -i -w -x -y --tun-type --tun-port --tun-nocsum --tun-csum --tun-remcsum"),
    ("-d -t 10.0.0.1:80 -r 10.0.1.1 -m", "line 1, column 31: `-m`: option --masquerading does not go with -d, which takes a service (-t -u --sctp-service -f -6) and -r"),
    ("-A -t 10.0.0.1:80 -n", "line 1, column 19: `-n`: option --numeric does not go with -A, which takes a service (-t -u --sctp-service -f -6) and -s -p -M -o -b --pe"),
    ("-A -t 10.0.0.1:80 -u 10.0.0.1:80", "line 1, column 19: `-u`: duplicate: `-t` in column 4 has said that already"),
    ("-A -t 10.0.0.1:80 -s rr --scheduler=rr", "line 1, column 25: `--scheduler=rr`: duplicate: `-s` in column 19 has said that already"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -m -g", "line 1, column 34: `-g`: duplicate: `-m` in column 31 has said that already"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -w 1 -w2", "line 1, column 36: `-w2`: duplicate: `-w` in column 31 has said that already"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gue --tun-port 5 --tun-csum --tun-remcsum", "line 1, column 73: `--tun-remcsum`: conflict: `--tun-csum` in column 62 asks for another checksum"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gue --tun-port 5 --tun-csum --tun-csum", "line 1, column 73: `--tun-csum`: duplicate: `--tun-csum` in column 62 has said that already"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gre --tun-csum --tun-nocsum", "line 1, column 49: `--tun-csum`: conflict: `--tun-nocsum` in column 60 asks for another checksum"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-csum --tun-nocsum", "line 1, column 45: `--tun-nocsum`: an ipip tunnel has no checksum"),
    // What ipvsadm tells first.
    ("-A -t 10.0.0.1 -o -b sh-port", "line 1, column 22: `sh-port`: `sh-port` is no flag of scheduler wlc: expected flag-1, flag-2, flag-3"),
    ("-a -f 1 -6 -r 10.0.1.1 -g --tun-csum", "line 1, column 15: `10.0.1.1`: a server of the other address family than its service needs tunneling (-i) or, in a proxy, masquerading (-m)"),
    ("-A -t 80", "line 1, column 7: `80`: illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT"),
    ("-A -t localhost:80", "line 1, column 7: `localhost:80`: host names are not looked up: `localhost` must be a numeric address"),
    ("-A -t www.example.org:80", "line 1, column 7: `www.example.org:80`: host names are not looked up: `www.example.org` must be a numeric address"),
    ("-A -t 10.0.0.1:http", "line 1, column 7: `10.0.0.1:http`: service names are not looked up: `http` must be a port from 0 to 65535"),
    ("-A -t 10.0.0.1:", "line 1, column 7: `10.0.0.1:`: illegal port ``: expected a number from 0 to 65535"),
    ("-A -t 10.0.0.1:65536", "line 1, column 7: `10.0.0.1:65536`: illegal port `65536`: expected a number from 0 to 65535"),
    ("-A -t 10.0.0.256:80", "line 1, column 7: `10.0.0.256:80`: illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT"),
    ("-A -t [::1]", "line 1, column 7: `[::1]`: illegal address: a port must follow, as in `[::1]:80`"),
    ("-A -t [::1:80", "line 1, column 7: `[::1:80`: illegal address: `]` is missing"),
    ("-A -t [::1]:x1", "line 1, column 7: `[::1]:x1`: service names are not looked up: `x1` must be a port from 0 to 65535"),
    ("-A -t [example]:80", "line 1, column 7: `[example]:80`: host names are not looked up: `example` must be a numeric address"),
    ("-A --tcp-service=", "line 1, column 18: ``: illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT"),
    ("-A -t 10.0.0.1", "line 1, column 7: `10.0.0.1`: a service without a port, or with port 0, takes every port and needs -p"),
    ("-A -t 10.0.0.1:0 -s rr", "line 1, column 7: `10.0.0.1:0`: a service without a port, or with port 0, takes every port and needs -p"),
    ("-A -t 2001:db8::1", "line 1, column 7: `2001:db8::1`: a service without a port, or with port 0, takes every port and needs -p"),
    ("-A -6 -f 1", "line 1, column 4: `-6`: -6 must follow the firewall mark that it goes with (-f MARK -6)"),
    ("-A -t [::1]:80 -6", "line 1, column 16: `-6`: -6 must follow the firewall mark that it goes with (-f MARK -6)"),
    ("-A -f 0", "line 1, column 7: `0`: illegal firewall mark: expected a number from 1 to 4294967295"),
    ("-A -f 4294967296", "line 1, column 7: `4294967296`: illegal firewall mark: expected a number from 1 to 4294967295"),
    ("-A -f -2147483649", "line 1, column 7: `-2147483649`: illegal firewall mark: expected a number from 1 to 4294967295"),
    ("-A -t 10.0.0.1:80 -s nosuch", "line 1, column 22: `nosuch`: unknown scheduler: expected {schedulers} or none"),
    ("-A -t 10.0.0.1:80 -s RR", "line 1, column 22: `RR`: unknown scheduler: expected {schedulers} or none"),
    ("-A -t 10.0.0.1:80 -p 0", "line 1, column 22: `0`: illegal timeout: expected a number from 1 to 2678400"),
    ("-A -t 10.0.0.1:80 -p 2678401", "line 1, column 22: `2678401`: illegal timeout: expected a number from 1 to 2678400"),
    ("-A -t 10.0.0.1:80 -p -5", "line 1, column 22: `-5`: unknown option"),
    ("-A -t 10.0.0.1:80 -ps rr", "line 1, column 21: `s`: illegal timeout: expected a number from 1 to 2678400"),
    ("-A -t 10.0.0.1:80 -p -M 255.255.255.256", "line 1, column 25: `255.255.255.256`: illegal netmask: expected one such as 255.255.255.0"),
    ("-A -t 10.0.0.1:80 -p -M localhost", "line 1, column 25: `localhost`: illegal netmask: expected one such as 255.255.255.0"),
    ("-A -t [::1]:80 -p -M 129", "line 1, column 22: `129`: illegal netmask: expected a prefix length from 1 to 128"),
    ("-A -t [::1]:80 -p -M 255.255.255.0", "line 1, column 22: `255.255.255.0`: illegal netmask: expected a prefix length from 1 to 128"),
    ("-A -t 10.0.0.1:80 -o", "line 1, column 19: `-o`: one-packet scheduling needs a UDP or firewall-mark service"),
    ("-A -o --sctp-service 10.0.0.1:80", "line 1, column 4: `-o`: one-packet scheduling needs a UDP or firewall-mark service"),
    ("-A -u 10.0.0.1:5060 --pe 0123456789abcdef", "line 1, column 26: `0123456789abcdef`: illegal persistence engine: expected a name of at most 15 bytes"),
    ("-A -t 10.0.0.1:80 -s rr -b flag-4", "line 1, column 28: `flag-4`: `flag-4` is no flag of scheduler rr: expected flag-1, flag-2, flag-3"),
    ("-A -t 10.0.0.1:80 -b sh-port -s rr", "line 1, column 22: `sh-port`: `sh-port` is no flag of scheduler rr: expected flag-1, flag-2, flag-3"),
    ("-A -t 10.0.0.1:80 -b ,", "line 1, column 22: `,`: a list of flags without a flag"),
    ("-A -t 10.0.0.1:80 -s none -b mh-port", "line 1, column 30: `mh-port`: `mh-port` is no flag of scheduler none: expected flag-1, flag-2, flag-3"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -w 70000x", "line 1, column 34: `70000x`: illegal weight: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -mw70000x", "line 1, column 34: `70000x`: illegal weight: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -m --weight=-1", "line 1, column 43: `-1`: illegal weight: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -w 2147483648", "line 1, column 34: `2147483648`: illegal weight: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -x 2147483648", "line 1, column 34: `2147483648`: illegal upper threshold: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -x 10 -y five", "line 1, column 40: `five`: illegal lower threshold: expected a number from 0 to 2147483647"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -y 11 -x 10", "line 1, column 34: `11`: illegal lower threshold: expected at most the upper one, which is 10"),
    ("-e -t 10.0.0.1:80 -r 10.0.1.1 -y 1", "line 1, column 34: `1`: illegal lower threshold: expected at most the upper one, which is 0"),
    ("-a -t 10.0.0.1:80 -r 10", "line 1, column 22: `10`: illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT"),
    ("-a -t 10.0.0.1:80 -r server-1", "line 1, column 22: `server-1`: host names are not looked up: `server-1` must be a numeric address"),
    ("-a -t 10.0.0.1:80 -r [2001:db8::2]:80", "line 1, column 22: `[2001:db8::2]:80`: a server of the other address family than its service needs tunneling (-i) or, in a proxy, masquerading (-m)"),
    ("-a -f 5 -6 -r 10.0.1.1 -g", "line 1, column 15: `10.0.1.1`: a server of the other address family than its service needs tunneling (-i) or, in a proxy, masquerading (-m)"),
    ("-A -t 10.0.0.1:80 --vsched-name 80", "line 1, column 33: `80`: illegal name: expected 1 to 253 ASCII letters, digits and -_./@, one of them a letter"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 --vsched-name a:b", "line 1, column 45: `a:b`: illegal name: expected 1 to 253 ASCII letters, digits and -_./@, one of them a letter"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 --vsched-user-data -1", "line 1, column 50: `-1`: illegal user data: expected a number from 0 to 18446744073709551615"),
    ("-D -t 10.0.0.1:80 --vsched-name a", "line 1, column 19: `--vsched-name`: option --vsched-name does not go with -D, which takes a service (-t -u --sctp-service -f -6)"),
    ("-a -t 10.0.0.1:80 -r 0.0.0.0", "line 1, column 22: `0.0.0.0`: illegal real server: expected a unicast address"),
    ("-a -t 10.0.0.1:80 -r 224.0.0.1 -m", "line 1, column 22: `224.0.0.1`: illegal real server: expected a unicast address"),
    ("-a -t [::1]:80 -r [ff02::1]:80", "line 1, column 19: `[ff02::1]:80`: illegal real server: expected a unicast address"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 --tun-type gre", "line 1, column 42: `gre`: tunnel options need tunneling (-i)"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -m --tun-port 5", "line 1, column 45: `5`: tunnel options need tunneling (-i)"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -g --tun-csum", "line 1, column 34: `--tun-csum`: tunnel options need tunneling (-i)"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type vxlan", "line 1, column 45: `vxlan`: illegal tunnel type: expected ipip, gue or gre"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gue", "line 1, column 45: `gue`: a gue tunnel needs --tun-port"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gue --tun-port 0", "line 1, column 60: `0`: illegal tunnel port: expected a number from 1 to 65535"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gre --tun-port 5", "line 1, column 60: `5`: a gre tunnel has no port"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-type gre --tun-remcsum", "line 1, column 49: `--tun-remcsum`: a gre tunnel has no remote checksum"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-port 5", "line 1, column 45: `5`: an ipip tunnel has no port"),
    ("-a -t 10.0.0.1:80 -r 10.0.1.1 -i --tun-nocsum", "line 1, column 34: `--tun-nocsum`: an ipip tunnel has no checksum"),
    (r#"-A -t "10.0.0.1:80""#, r#"line 1, column 7: `"10.0.0.1:80"`: illegal address: expected ADDRESS, ADDRESS:PORT or [IPV6-ADDRESS]:PORT"#),
    ("-A -t 10.0.0.1:80#x", "line 1, column 7: `10.0.0.1:80#x`: illegal port `80#x`: expected a number from 0 to 65535"),
    ("-A   -t\t10.0.0.1:80é", "line 1, column 9: `10.0.0.1:80é`: illegal port `80é`: expected a number from 0 to 65535"),
    ("-é", "line 1, column 1: `-é`: unknown option"),
    ("-Aé -t 10.0.0.1:80", "line 1, column 1: `-Aé`: unknown option `-é` in this word"),
];

fn refuse(text: &str) -> vsched::error::RulesError {
    match text.parse::<Config>() {
        Ok(config) => panic!("accepted: {text:?}: {config:?}"),
        Err(error) => error,
    }
}

/// The message of a table, with the registry filled in.
fn message(template: &str) -> String {
    let names: Vec<_> = SchedulerKind::ALL.iter().map(|kind| kind.name()).collect();
    template.replace("{schedulers}", &names.join(", "))
}

/// An error's word stands in the text where the error says.
fn assert_position(text: &str, error: &vsched::error::RulesError) {
    let line = text.split('\n').nth(error.line() - 1).expect("a line of the text");
    let rest: String = line.chars().skip(error.column() - 1).collect();
    assert!(rest.starts_with(error.word()), "{error} in {text:?}");
}

#[test]
fn wrong_lines_say_what_is_wrong_and_where() {
    assert!(REJECTED.len() >= 60);
    for (line, expected) in REJECTED {
        let error = refuse(line);
        assert_eq!(error.to_string(), message(expected), "{line:?}");
        assert_position(line, &error);
    }
}

#[test]
fn lines_count_from_the_top_of_the_text() {
    for (line, expected) in REJECTED {
        let expected = message(expected).replacen("line 1", "line 4", 1);
        let text = format!("# comment\n\n-A -f 77 # more\n{line}\n-A nonsense");
        assert_eq!(refuse(&text).to_string(), expected);
        let text = text.replace('\n', "\r\n");
        assert_eq!(refuse(&text).to_string(), expected);
    }
}

#[test]
fn accessors_are_the_parts_of_the_message() {
    let error = refuse("-C\n  -a -t 10.0.0.1:80 -w five");
    assert_eq!((error.line(), error.column(), error.word()), (2, 24, "five"));
    assert_eq!(error.message(), "illegal weight: expected a number from 0 to 2147483647");
    assert_eq!(error.refused(), None);
}

#[test]
fn commands_that_the_config_refuses_name_their_line() {
    let service = "-A -t 10.0.0.1:80\n";
    let server = "-a -t 10.0.0.1:80 -r 10.0.1.1\n";
    for (text, expected) in [
        (
            format!("{service}{service}"),
            "line 2, column 1: `-A`: service tcp 10.0.0.1:80: exists already",
        ),
        ("ipvsadm -E -f 5".to_owned(), "line 1, column 9: `-E`: service fwmark 5: no such service"),
        (
            "-D -u 10.0.0.1:53".to_owned(),
            "line 1, column 1: `-D`: service udp 10.0.0.1:53: no such service",
        ),
        (server.to_owned(), "line 1, column 1: `-a`: service tcp 10.0.0.1:80: no such service"),
        (
            format!("{service}{server}\n{server}"),
            "line 4, column 1: `-a`: service tcp 10.0.0.1:80: server 10.0.1.1:80: exists already",
        ),
        (
            format!("{service}-e -t 10.0.0.1:80 -r 10.0.1.1"),
            "line 2, column 1: `-e`: service tcp 10.0.0.1:80: server 10.0.1.1:80: no such server",
        ),
        (
            format!("{service}{server}-d -t 10.0.0.1:80 -r 10.0.1.1:81"),
            "line 3, column 1: `-d`: service tcp 10.0.0.1:80: server 10.0.1.1:81: no such server",
        ),
    ] {
        let error = refuse(&text);
        assert_eq!(error.to_string(), expected);
        assert!(error.refused().is_some_and(|refused| expected.ends_with(&refused.to_string())));
        assert_position(&text, &error);
    }
}

#[test]
fn a_text_that_cannot_be_read_is_refused_before_one_that_cannot_be_carried_out() {
    let error = refuse("-D -f 1\n-A -f x");
    assert_eq!(error.line(), 2);
}

#[test]
fn a_refused_text_leaves_the_config_as_it_was() {
    let mut config: Config = "-A -f 1\n-a -f 1 -r 10.0.1.1".parse().unwrap();
    let before = config.clone();
    let rules: Rules = "-C\n-A -f 2\n-a -f 2 -r 10.0.1.1\n-D -f 1".parse().unwrap();
    assert_eq!(rules.apply_to(&mut config).unwrap_err().line(), 4);
    assert_eq!(config, before);
}

/// Words that mean something, and pieces that break them.
const PIECES: &[&str] = &[
    "-A",
    "-E",
    "-D",
    "-C",
    "-a",
    "-e",
    "-d",
    "-t",
    "-u",
    "--sctp-service=",
    "-f",
    "-6",
    "-s",
    "rr",
    "none",
    "-p",
    "60",
    "-M",
    "255.255.255.0",
    "64",
    "-r",
    "10.0.0.1:80",
    "[2001:db8::1]:80",
    "2001:db8::1",
    "10.0.1.1",
    "-m",
    "-g",
    "-i",
    "-w",
    "-x",
    "-y",
    "5",
    "-o",
    "-b",
    "flag-1,",
    "--pe",
    "sip",
    "--tun-type",
    "gue",
    "--tun-port",
    "--tun-csum",
    "--weight",
    "-mw",
    "=",
    "--",
    "-",
    "é",
    "\u{1F600}",
    "#",
    "\0",
    "\u{b}",
    "[",
    "]",
    ":",
    "4294967296",
    "-1",
    "--set",
    "--start-daemon",
    "master",
    "--mcast-interface",
    "--vsched-seed",
    "--vsched-kernel-rules=A",
    "--vsched-sharing=per-worker",
    "--vsched-ejection=",
    "failures=3",
    ",outliers=median",
    ",max-share=100",
    "--vsched-slow-start=duration=5",
    "--vsched-ties=rotate",
    "--vsched-priority=1",
    "--vsched-mh-table-index",
    "--vsched-local",
    "--vsched-keep-port",
    "--vsched-upper-threshold=4294967295",
    "ipvsadm",
    "/ipvsadm",
    "\r",
    "\n",
    " ",
    "\t",
];

#[test]
fn no_text_panics_and_every_error_points_into_it() {
    let mut state: u64 = 1;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut text = ["-A ", "-a ", "-A -t 10.0.0.1:80 ", "-A -f 1\n-a -f 1 -r 10.0.1.1 ", ""]
            [random(5)]
        .to_owned();
        for _ in 0..random(8) {
            text.push_str(PIECES[random(PIECES.len())]);
            text.push_str(["", " ", " "][random(3)]);
        }
        match text.parse::<Config>() {
            Ok(config) => {
                accepted += 1;
                let again = config.to_rules().complete().to_string();
                // A name that ends in a carriage return, which no valid config has, loses it at the
                // end of a line.
                if !text.contains('\r') || config.validate().is_ok() {
                    assert_eq!(again.parse(), Ok(config), "{text:?}");
                }
            }
            Err(error) => {
                refused += 1;
                assert_position(&text, &error);
            }
        }
    }
    assert!(accepted > 5_000 && refused > 50_000, "{accepted} {refused}");
}
