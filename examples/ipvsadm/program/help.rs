//! `--help` and `--version`.

pub(crate) const VERSION: &str =
    concat!("ipvsadm of vsched ", env!("CARGO_PKG_VERSION"), ", as ipvsadm v1.31 (IPVS v1.2.1)\n");

pub(crate) const HELP: &str = "\
The kernel's virtual servers. The command comes first, then its options in any order.

Services
  -A, --add-service SERVICE [-s SCHEDULER] [-b FLAGS] [-p [SECONDS]] [-M MASK] [--pe ENGINE] [-o]
  -E, --edit-service SERVICE ...        as -A; what is not given is the default again
  -D, --delete-service SERVICE
  -C, --clear                           deletes all services

Real servers of a service
  -a, --add-server SERVICE -r SERVER [-g|-m|-i] [-w WEIGHT] [-x UPPER] [-y LOWER] [TUNNEL]
  -e, --edit-server SERVICE -r SERVER ...   as -a; what is not given is the default again
  -d, --delete-server SERVICE -r SERVER

All of it
  -S, --save [-n]                       writes -A and -a lines, without thresholds
  -R, --restore                         carries out the lines of its input
  -L, -l, --list [SERVICE] [VIEW] [-n]  also without any argument
  -Z, --zero [SERVICE]                  sets statistics to zero
  --set TCP TCPFIN UDP                  timeouts in seconds; 0 leaves one as it is
  --start-daemon master|backup [--mcast-interface NAME] [--syncid N] [--sync-maxlen BYTES]
                 [--mcast-group ADDRESS] [--mcast-port PORT] [--mcast-ttl N]
  --stop-daemon master|backup
  -h, --help; -v, --version

SERVICE    -t, --tcp-service | -u, --udp-service | --sctp-service HOST[:PORT]
           -f, --fwmark-service MARK [-6, --ipv6]
SERVER     HOST[:PORT]; without a port the service's. IPv6 with a port is [ADDRESS]:PORT
SCHEDULER  rr wrr lc wlc (default) sh dh lblc lblcr sed nq fo ovf mh twos none
FLAGS      sh-fallback,sh-port or mh-fallback,mh-port or flag-1,flag-2,flag-3
-g, -m, -i direct routing (default), masquerading, tunnelling
TUNNEL     --tun-type ipip (default) | gue --tun-port PORT | gre
           --tun-nocsum (default) | --tun-csum | --tun-remcsum (gue)
VIEW       --stats | --rate [-X, --exact] | --thresholds | --persistent-conn | --tun-info
           -c, --connection | --timeout | --daemon; --nosort
-n         numbers instead of names. Addresses become names by /etc/hosts only.

Long names: --scheduler --sched-flags --persistent --netmask --ops --real-server --gatewaying
--masquerading --ipip --weight --u-threshold --l-threshold --numeric.
";
