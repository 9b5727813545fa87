//! What `--help` prints.

pub(crate) const HELP: &str = "\
A TCP and UDP director in user space: accepts connections on virtual services,
picks a real server for each with vsched, and copies bytes both ways (LVS-NAT,
done by a proxy).

Usage: director [OPTIONS]

Without --rules and --config it sets up a laboratory on loopback addresses: one
virtual service, scheduler wrr, and two tiny web servers of weights 2 and 1 that
answer their own address.

  --rules FILE         Run ipvsadm commands one by one, as a kernel would
  --config FILE        Run a config, .json or .toml, applied as a whole
  --check              Read the file, print its errors and warnings and what
                       each service does, and stop
  --port PORT          Port of the laboratory [default: 8080, or the next free
                       one]
  --requests N         Send N HTTP requests through the services one by one,
                       print each answer and the table, and stop
  --status [IP:]PORT   Serve a status page, /status.json, /metrics (Prometheus,
                       per service; /metrics/servers also per server) and
                       /healthz [default IP: 127.0.0.1]. There is no
                       authentication: all who reach it see all of it
  --log FORMAT         lines, or json: one object per line [default: lines]
  -V, --version        Print the version
  -h, --help           Print this

Health checks, of the servers of TCP services:
  --health CHECK       tcp: the server accepts a connection.
                       http:/PATH or http:/PATH=STATUS: GET is answered with
                       this status [default: 200]
  --health-interval S  Seconds from one check of a server to the next, give or
                       take a tenth [default: 2]
  --health-timeout S   Seconds that a check may take [default: 1]
  --fall N             Failures in a row that take a server down [default: 3]
  --rise N             Successes in a row that bring it back [default: 2]
Without them, a service with ejection (--vsched-ejection in rules) takes out
servers that refuse connections. Both can be used together.

Connections:
  --workers N          Threads that relay connections [default: one per core]
  --connect-timeout S  Seconds that a real server has to accept a connection
                       [default: 2]
  --idle-timeout S     Seconds of silence that end a connection [default: 900];
                       after a FIN of either side 120 do, unless this is less
  --udp-timeout S      Seconds of silence that end a UDP session [default: the
                       file's, or 300]; with one-packet scheduling (-o) there
                       are none, and each datagram is scheduled by itself.
                       At the end they are not waited for
  --grace S            Seconds that open connections have to finish at the end
                       [default: 5]

Signals: HUP reads the file again; connections, their counts and rotations live
         on. A file that removes more than half of the servers, or leaves a
         service that has servers with a weight above 0 without any, is
         refused: it may have been emptied or cut off.
         USR2 reads the file again and applies it, whatever it removes.
         USR1 prints the tables, and which server is next and why.
         INT and TERM stop: no new connections, open ones may finish; a second
         one cuts those short.

systemd: tells $NOTIFY_SOCKET when it is ready, reloads and stops
         (Type=notify-reload), and that it is alive (WatchdogSec=).

Exit: 0 stopped as asked, and every one of --requests was answered
      1 a request was not answered, or nothing could be served
      2 wrong command line, or a wrong file
";

/// What `--version` prints.
pub(crate) const VERSION: &str = concat!("director ", env!("CARGO_PKG_VERSION"), "\n");
pub(crate) const NUMBER: &str = env!("CARGO_PKG_VERSION");
