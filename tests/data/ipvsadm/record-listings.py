"""Runs inside the guest of record-listings.sh: builds states, lists them, prints one JSON line each.

The configs and figures come from the kernel by netlink, not from ipvsadm, so that the listings are
compared with an independent reading of the same state.
"""

import itertools, json, os, random, socket, struct, subprocess, threading, time

# ---------------------------------------------------------------- generic netlink, as little as needed

def attribute(kind, payload):
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)

def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3fff] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found

class Netlink:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.family = 16
        reply = self.ask(3, 1, attribute(2, b"IPVS\0"))[0]
        self.family = struct.unpack("=H", reply[1])[0]

    def ask(self, command, flags, payload=b""):
        message = struct.pack("=BBH", command, 1, 0) + payload
        header = struct.pack("=IHHII", 16 + len(message), self.family, flags | 1, 1, 0)
        self.socket.send(header + message)
        answers = []
        while True:
            data = self.socket.recv(1 << 20)
            while data:
                length, kind, reply_flags = struct.unpack_from("=IHH", data)
                body, data = data[16:length], data[(length + 3) & ~3:]
                if kind == 2:
                    error = -struct.unpack_from("=i", body)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return answers
                if kind == 3:
                    return answers
                answers.append(attributes(body[4:]))
                if not reply_flags & 2:
                    return answers

NETLINK = Netlink()
u16 = lambda data: struct.unpack("=H", data)[0]
u32 = lambda data: struct.unpack("=I", data)[0]
be16 = lambda data: struct.unpack(">H", data)[0]
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
CHECKSUMS = ["none", "full", "remote"]

def address(family, data, port):
    if family == 2:
        return "%s:%d" % (socket.inet_ntop(socket.AF_INET, data[:4]), port)
    return "[%s]:%d" % (socket.inet_ntop(socket.AF_INET6, data), port)

def figures(nest):
    found = attributes(nest)
    numbers = [struct.unpack("=Q", found[kind])[0] for kind in range(1, 11)]
    return numbers[:5], numbers[5:]

def service_key(service):
    kinds = [1, 5] if 5 in service else [1, 2, 3, 4]
    return b"".join(attribute(kind, service[kind]) for kind in kinds)

def read_kernel():
    """The services in dump order in our serde form, servers oldest first, and their figures."""
    services, numbers = [], []
    for message in NETLINK.ask(4, 0x300):
        service = attributes(message[1])
        family = u16(service[1])
        if 5 in service:
            key = "fwmark %d" % u32(service[5]) + (" inet6" if family == 10 else "")
        else:
            key = PROTOCOLS[u16(service[2])] + " " + address(family, service[3], be16(service[4]))
        text = {"key": key, "scheduler": service[6].rstrip(b"\0").decode()}
        bits = u32(service[7][:4])
        names = {"sh": ["sh-fallback", "sh-port", "flag-3"], "mh": ["mh-fallback", "mh-port", "flag-3"]}
        names = names.get(text["scheduler"], ["flag-1", "flag-2", "flag-3"])
        flags = [name for index, name in enumerate(names) if bits & (8 << index)]
        if flags:
            text["flags"] = flags
        if bits & 1:
            text["persistence"] = {"timeout": u32(service[8])}
            if family == 2 and service[9] != b"\xff\xff\xff\xff":
                text["persistence"]["netmask"] = socket.inet_ntop(socket.AF_INET, service[9])
            if family == 10 and u32(service[9]) != 128:
                text["persistence"]["netmask"] = u32(service[9])
        if service.get(11, b"\0").rstrip(b"\0"):
            text["persistence_engine"] = service[11].rstrip(b"\0").decode()
        if bits & 4:
            text["one_packet"] = True
        statistics, rates = figures(service[12])
        servers = []
        for message in reversed(NETLINK.ask(8, 0x300, attribute(1, service_key(service)))):
            servers.append(read_server(attributes(message[2])))
        text["servers"] = [server for server, _ in servers]
        services.append(text)
        numbers.append({"statistics": statistics, "rates": rates, "servers": [n for _, n in servers]})
    return services, numbers

def read_server(found):
    method = u32(found[3]) & 7
    server = {"address": address(u16(found[11]), found[1], be16(found[2]))}
    if method == 2:
        kind, checksum = found[13][0], CHECKSUMS[u16(found[15])]
        server["forwarding"] = {"tunnel": [
            {"type": "ipip"},
            {"type": "gue", "port": be16(found[14]), "checksum": checksum},
            {"type": "gre", "checksum": checksum},
        ][kind]}
    else:
        server["forwarding"] = ["masq", "local", None, "route", "bypass"][method]
    server["weight"] = u32(found[4])
    if u32(found[5]) or u32(found[6]):
        server["thresholds"] = {"upper": u32(found[5]), "lower": u32(found[6])}
    statistics, rates = figures(found[12])
    counts = [u32(found[kind]) for kind in (7, 8, 9)]
    return server, {"counts": counts, "statistics": statistics, "rates": rates}

def set_forwarding(service, server, method):
    """ipvsadm cannot ask for the methods `local` (1) and `bypass` (4); netlink can."""
    for message in NETLINK.ask(4, 0x300):
        found = attributes(message[1])
        if 5 in found or address(u16(found[1]), found[3], be16(found[4])) != service:
            continue
        key = attribute(1, service_key(found))
        for dest in NETLINK.ask(8, 0x300, key):
            known = attributes(dest[2])
            if address(u16(known[11]), known[1], be16(known[2])) == server:
                known[3] = struct.pack("=I", int(method))
                nest = b"".join(attribute(kind, known[kind]) for kind in (1, 2, 3, 4, 5, 6, 11, 13, 14, 15))
                NETLINK.ask(6, 4, key + attribute(2, nest))
                return
    raise LookupError(service + " " + server)

# ---------------------------------------------------------------- running and recording

def run(line, **more):
    return subprocess.run(["ipvsadm"] + line.split(), capture_output=True, text=True, **more)

def build(commands):
    run("-C")
    for line in commands:
        if line.startswith("set-forwarding "):
            set_forwarding(*line.split()[1:])
            continue
        done = run(line)
        if done.returncode:
            print("failed: ipvsadm", line, ":", done.stderr.strip(), flush=True)

VIEWS = ["", " --stats", " --rate", " --thresholds", " --persistent-conn", " --tun-info"]
PLAIN = ["-L -n", "-L -n --nosort"]
ALL = ["-L -n" + view for view in VIEWS]
ALL += ["-L -n --nosort", "-L -n --stats --nosort", "-L -n --stats --exact", "-L -n --rate --exact"]

def one(service):
    return ["-L -n " + service + view for view in VIEWS] + ["-L -n " + service + " --stats --exact"]

def is_idle(numbers):
    return not any(any(row["statistics"] + row["rates"]) or
                   any(any(s["counts"] + s["statistics"] + s["rates"]) for s in row["servers"])
                   for row in numbers)

def record(name, commands, listings, traffic=None):
    build(commands)
    if traffic:
        traffic()
    for _ in range(20):
        services, numbers = read_kernel()
        answers = []
        for arguments in listings:
            done = run(arguments)
            answers.append({"arguments": arguments, "stdout": done.stdout})
            if done.returncode:
                answers[-1]["exit"] = done.returncode
                answers[-1]["stderr"] = done.stderr
        if read_kernel() == (services, numbers):
            break
    else:
        print("failed: figures never stood still:", name, flush=True)
    emit(name, commands, services, numbers, answers)

def emit(name, commands, services, numbers, answers):
    line = {"name": name, "commands": commands, "config": {"services": services}}
    if not is_idle(numbers):
        line["figures"] = numbers
    line["listings"] = answers
    print("golden " + json.dumps(line, separators=(",", ":")), flush=True)

# ---------------------------------------------------------------- states

def service(key, options="", servers=()):
    return ["-A %s%s" % (key, options and " " + options)] + ["-a %s -r %s" % (key, s) for s in servers]

def configurations():
    record("empty", [], ALL + ["-L -n%s --exact" % view for view in VIEWS] + ["-L -n -t 10.1.0.1:80"])

    record("methods and weights", sum([
        service("-t 10.1.0.1:80", "-s wrr", [
            "10.9.0.1:80 -m -w 0", "10.9.0.2:8080 -m -w 1", "10.9.0.3:65535 -m -w 65535",
            "10.9.0.4 -m -w 999999", "10.9.0.5 -m -w 1000000", "10.9.0.6 -m -w 2147483647",
            "10.9.0.7 -g -w 7", "10.9.0.8 -i -w 8"]),
        service("-u 10.1.0.1:53", "-s wlc", ["10.9.0.1:53 -g", "10.9.0.2:53 -g"]),
        service("--sctp-service 10.1.0.1:2905", "-s lc", ["10.9.0.1:2905 -m", "10.9.0.2:2906 -m"]),
        service("-t 255.255.255.254:65535", "-s rr", ["223.255.255.254:65535 -m"]),
        service("-t 0.0.0.0:80"),
    ], []), ALL + one("-t 10.1.0.1:80") + one("-u 10.1.0.1:53") + one("--sctp-service 10.1.0.1:2905")
        + ["-L -n -t 10.1.0.1:81", "-L -n -t 10.1.0.1:81 --stats"])

    names = "rr wrr lc wlc sed nq fo ovf sh dh mh lblc lblcr none".split()
    for name in names:
        record("scheduler " + name, service("-t 10.1.0.2:80", "-s " + name, ["10.9.0.1 -m"]), PLAIN)

    for scheduler, flags in [
        ("sh", "sh-port"), ("sh", "sh-fallback"), ("sh", "sh-fallback,sh-port"), ("sh", "sh-port,flag-3"),
        ("sh", "flag-3"), ("sh", "flag-1"),
        ("mh", "mh-port"), ("mh", "mh-fallback"), ("mh", "mh-port,mh-fallback,flag-3"),
        ("rr", "flag-1"), ("rr", "flag-2"), ("rr", "flag-3"), ("wlc", "flag-1,flag-2,flag-3"), ("wrr", "flag-1,flag-3"),
    ]:
        record("flags %s %s" % (scheduler, flags),
               service("-t 10.1.0.3:80", "-s %s -b %s" % (scheduler, flags))
               + service("-t 10.1.0.3:81", "-s %s -b %s -p 50" % (scheduler, flags)),
               ["-L -n", "-L -n --stats", "-L -n --thresholds"])

    record("persistence", sum([
        service("-t 10.1.0.4:80", "-s rr -p", ["10.9.0.1 -m"]),
        service("-t 10.1.0.4:81", "-s rr -p 1 -M 255.255.255.0", ["10.9.0.1 -m"]),
        service("-t 10.1.0.4:82", "-s rr -p 2678400 -M 255.255.255.255"),
        service("-t 10.1.0.4:83", "-s wlc -p 33 -M 0.0.0.0"),
        service("-t 10.1.0.4:84", "-s wlc -p 300 -M 255.0.255.0"),
        service("-t 10.1.0.4:0", "-s wlc -p 300", ["10.9.0.1:0 -m", "10.9.0.2:0 -m"]),
        service("-u 10.1.0.4:5060", "-s rr -p 60 -M 255.255.0.0 --pe sip"),
        service("-u 10.1.0.4:5061", "-s rr --pe sip"),
        service("-u 10.1.0.4:5062", "-s rr -o --pe sip -p 60"),
        service("-u 10.1.0.4:5063", "-s wlc -o --pe sip -p 60 -M 255.255.0.0 -b flag-1,flag-2"),
        service("-t [fd00::4]:80", "-s rr -p 100", ["[fd09::1]:80 -m"]),
        service("-t [fd00::4]:81", "-s rr -p 100 -M 64", ["[fd09::1]:80 -m"]),
        service("-t [fd00::4]:82", "-s rr -p 100 -M 128"),
        service("-t [fd00::4]:83", "-s rr -p 100 -M 1"),
        service("-u [fd00::4]:5060", "-s rr -p 100 -M 127 --pe sip"),
        service("-f 40", "-s rr -p 100 -M 255.255.255.0"),
        service("-f 40 -6", "-s rr -p 100 -M 96"),
    ], []), ALL + one("-t 10.1.0.4:81") + one("-t [fd00::4]:81") + one("-t 10.1.0.4:0") + one("-f 40 -6"))

    record("one packet", sum([
        service("-u 10.1.0.5:53", "-s rr -o", ["10.9.0.1 -m"]),
        service("-u 10.1.0.5:54", "-s rr -o -p 20", ["10.9.0.1 -m"]),
        service("-u 10.1.0.5:55", "-s rr -o -b flag-2"),
        service("-u [fd00::5]:53", "-s rr -o", ["[fd09::1]:53 -m"]),
        service("-f 50", "-s rr -o", ["10.9.0.1 -m"]),
        service("-f 51 -6", "-s rr -o -p 30", ["[fd09::1]:53 -m"]),
    ], []), ALL + one("-u 10.1.0.5:54"))

    record("firewall marks", sum([
        service("-f 7", "-s rr", ["10.9.0.1:80 -m", "10.9.0.1:0 -m", "10.9.0.2 -g"]),
        service("-f 7 -6", "-s rr", ["[fd09::1]:80 -m", "fd09::2 -g"]),
        service("-f 1", "-s rr -b flag-1"),
        service("-f 2147483647", "-s wlc"),
        service("-f 2147483648", "-s wlc"),
        service("-f 3000000000", "-s wlc -o", ["10.9.0.1 -m"]),
        service("-f 3000000000 -6", "-s wlc -p 7", ["fd09::1 -m"]),
        service("-f 4294967295", "-s wlc"),
        service("-t 10.1.0.6:80", "-s rr"),
        service("-u [fd00::6]:80", "-s rr"),
    ], []), ALL + one("-f 7") + one("-f 7 -6") + one("-f 3000000000 -6"))

    long = "2001:db8:1111:2222:3333:4444:5555:%d"
    record("long IPv6 names", sum([
        service("-t [%s]:65535" % (long % 6666), "-s rr -p 10 -M 64", [
            "[%s]:65535 -m -w 2147483647" % (long % 7777), "[fd09::1]:1 -m", "[%s]:1 -g" % (long % 7)]),
        service("-u [::1]:53", "-s rr", ["[::1]:53 -m"]),
        service("--sctp-service [::]:9", "-s rr"),
        service("-t [::ffff:1.2.3.4]:80", "-s rr"),
        service("-t [::1.2.3.4]:80", "-s rr"),
        service("-t [::1:0]:80", "-s rr"),
        service("-t [::ffff:0:0]:80", "-s rr"),
        service("-t [1:0:0:2::3]:80", "-s rr"),
        service("-t [1:0:2:3:4:5:6:7]:80", "-s rr"),
        service("-t [1::2:3:0:0:4]:80", "-s rr"),
        service("-t [fe80::1]:80", "-s rr"),
    ], []), ALL + one("-t [%s]:65535" % (long % 6666)) + one("-u [::1]:53"))

    record("IPv6 server that embeds an IPv4 address", service("-t [fd00::7]:80", "-s rr", ["[::1.2.3.4]:80 -m"]), PLAIN)

    record("tunnels", sum([
        service("-t 10.1.0.8:80", "-s rr", [
            "10.9.0.1 -i", "10.9.0.2 -i --tun-type ipip",
            "10.9.0.3 -i --tun-type gue --tun-port 6080", "10.9.0.4 -i --tun-type gue --tun-port 1 --tun-nocsum",
            "10.9.0.5 -i --tun-type gue --tun-port 65535 --tun-csum",
            "10.9.0.6 -i --tun-type gue --tun-port 65535 --tun-remcsum",
            "10.9.0.7 -i --tun-type gre", "10.9.0.8 -i --tun-type gre --tun-nocsum",
            "10.9.0.9 -i --tun-type gre --tun-csum", "10.9.0.10:80 -g", "10.9.0.11:80 -m"]),
        service("-t [fd00::8]:80", "-s rr", ["fd09::1 -i", "fd09::2 -i --tun-type gue --tun-port 6080 --tun-csum"]),
        service("-f 80", "-s rr", ["10.9.0.1 -i --tun-type gre --tun-csum"]),
    ], []), ALL + one("-t 10.1.0.8:80"))

    record("mixed families", sum([
        service("-t 10.1.0.9:80", "-s rr", [
            "10.9.0.1 -i", "fd09::1 -i", "200.9.0.2 -i", "fd09::2 -i", "10.9.0.3 -i", "9::9 -i", "9.0.0.9 -i"]),
        service("-t [fd00::9]:80", "-s rr", [
            "10.9.0.1 -i", "fd09::1 -i", "253.9.0.2 -i", "fd09::2 -i", "10.9.0.3 -i"]),
        service("-f 90", "-s rr", ["10.9.0.1:80 -i", "fd09::1 -i --tun-type gre"]),
    ], []), ALL)

    record("thresholds", service("-t 10.1.0.10:80", "-s wlc", [
        "10.9.0.1 -m -x 10", "10.9.0.2 -m -x 10 -y 10", "10.9.0.3 -m -x 2147483647 -y 2147483647",
        "10.9.0.4 -m -x 2147483647 -y 5 -w 0", "10.9.0.5 -m"])
        + service("-t [fd00::10]:80", "-s wlc", ["fd09::1 -m -x 1000000000 -y 7"]), ALL + one("-t 10.1.0.10:80"))

    record("methods of old kernels", service("-t 10.1.0.11:80", "-s rr", ["10.9.0.1 -m", "10.9.0.2 -m", "10.9.0.3 -m"])
        + ["set-forwarding 10.1.0.11:80 10.9.0.1:80 1", "set-forwarding 10.1.0.11:80 10.9.0.2:80 4"],
        ALL + one("-t 10.1.0.11:80"))

def sorting():
    circle = ["10.0.0.1", "10.0.0.2", "100.0.0.1", "172.16.0.1", "192.168.0.1", "200.0.0.1"]
    record("circular servers", service("-t 10.1.1.1:80", "-s rr", [
        "%s:80 -m" % a for a in circle]) + service("-t 10.1.1.2:80", "-s rr", ["%s:80 -m" % a for a in reversed(circle)]), PLAIN)
    record("circular services", sum([service("-t %s:80" % a, "-s rr") for a in circle], []), PLAIN)
    record("services of one address", sum([service("%s 10.1.1.3:%d" % (kind, port), "-s rr")
        for kind in ("-u", "--sctp-service", "-t") for port in (65535, 80, 1, 32768, 32767)], [])
        + service("-f 5 -6", "-s rr") + service("-f 5", "-s rr") + service("-u [fd00::1:3]:5", "-s rr")
        + service("-t [fd00::1:3]:5", "-s rr"), PLAIN)
    chance = random.Random(1)
    v4 = lambda: "%d.%d.%d.%d" % (chance.choice([1, 10, 63, 64, 100, 126, 128, 150, 191, 192, 200, 223]),
                                  chance.randrange(256), chance.randrange(256), chance.randrange(1, 255))
    word = lambda: "%x" % chance.choice([0, 1, 0x7fff, 0x8000, 0xffff, chance.randrange(65536)])
    v6 = lambda: "2%03x:" % chance.randrange(4096) + ":".join(word() for _ in range(7))
    for count in (3, 4, 5, 7, 8, 13, 50):
        record("%d random servers" % count,
            service("-t 10.1.1.4:%d" % count, "-s rr", ["%s:%d -m" % (v4(), chance.randrange(1, 65536)) for _ in range(count)])
            + service("-t [fd00::1:4]:%d" % count, "-s rr", ["[%s]:%d -m" % (v6(), chance.randrange(1, 65536)) for _ in range(count)]),
            PLAIN)
        record("%d random services" % count, sum([service(chance.choice([
            "-t %s:%d" % (v4(), chance.choice([1, 80, 65535])), "-u %s:9" % v4(),
            "-t [%s]:%d" % (v6(), chance.choice([1, 80, 65535])), "-f %d" % chance.randrange(1, 1 << 32)]), "-s rr")
            for _ in range(count)], []), PLAIN)
    record("servers whose first words agree", service("-t [fd00::1:5]:80", "-s rr", [
        "[2000:0:%s]:80 -m" % rest for rest in (
            "7fff:ffff:0:0:0:1", "8000:0:0:0:0:1", "ffff:ffff:0:0:0:1", "0:0:ffff:ffff:0:1", "0:0:7fff:ffff:0:1",
            "0:0:8000:0:0:1", "0:0:0:0:ffff:ffff", "0:0:0:0:7fff:ffff", "0:0:0:0:8000:0", "0:0:0:0:8000:1", "0:0:0:0:0:1")]), PLAIN)

    # An IPv4 server and IPv6 servers that begin with the same 32 bits, in every order of adding.
    mixed = ["10.9.0.1:80 -i", "[a09:1::5]:80 -i", "[a09:1::]:1 -i", "[a09:1:8000::]:443 -i"]
    orders = list(itertools.permutations(mixed))
    record("families whose first words agree", sum([
        service("-f %d" % (200 + index), "-s rr", order) for index, order in enumerate(orders)], []), PLAIN)

# ---------------------------------------------------------------- traffic

def serve(family, address_, port):
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address_, port))
    tcp.listen(100)
    def accept():
        kept = []
        while True:
            connection, _ = tcp.accept()
            kept.append(connection)
            connection.sendall(b"x" * 3000)
    threading.Thread(target=accept, daemon=True).start()
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((address_, port))
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    def echo():
        while True:
            data, peer = udp.recvfrom(65536)
            udp.sendto(data[:500], peer)
    threading.Thread(target=echo, daemon=True).start()

def traffic():
    shell = lambda line: subprocess.run(line.split(), check=True)
    for network in ("10.9.0.1 10.9.0.2 10.9.0.3 10.2.0.1").split():
        shell("ip addr add %s/32 dev lo" % network)
    for network in ("fd09::1 fd09::2 fd02::1").split():
        shell("ip -6 addr add %s/128 dev lo nodad" % network)
    for last in (1, 2, 3):
        serve(socket.AF_INET, "10.9.0.%d" % last, 80)
    for last in (1, 2):
        serve(socket.AF_INET6, "fd09::%d" % last, 80)
    kept = []

    def tcp(family, where, port, count, close=0, source=None):
        for number in range(count):
            client = socket.socket(family, socket.SOCK_STREAM)
            client.settimeout(3)
            if source:
                client.bind((source, 0))
            client.connect((where, port))
            client.sendall(b"y" * 100)
            client.recv(10000)
            if number < close:
                client.close()
            else:
                kept.append(client)

    def udp(where, port, count, size, sources=1, family=socket.AF_INET):
        for _ in range(sources):
            client = socket.socket(family, socket.SOCK_DGRAM)
            client.settimeout(0.05)
            for _ in range(count):
                client.sendto(b"z" * size, (where, port))
            try:
                client.recvfrom(10000)
            except OSError:
                pass
            kept.append(client)

    views = ALL + one("-t 10.2.0.1:80") + ["-L -n --rate --exact -t 10.2.0.1:81", "-L -n --stats --exact --nosort"]
    def flow():
        tcp(socket.AF_INET, "10.2.0.1", 80, 23, 5)
        tcp(socket.AF_INET, "10.2.0.1", 81, 7, 2)
        tcp(socket.AF_INET, "10.2.0.1", 81, 3, 1, "127.0.0.5")
        tcp(socket.AF_INET6, "fd02::1", 80, 12, 4)
        udp("10.2.0.1", 53, 300, 60000)
        udp("10.2.0.1", 54, 5, 100, 12)
        time.sleep(2.5)
    record("traffic", sum([
        service("-t 10.2.0.1:80", "-s wrr", ["10.9.0.1:80 -m -w 3", "10.9.0.2:80 -m -w 2 -x 8 -y 4", "10.9.0.3:80 -m -x 1"]),
        service("-t 10.2.0.1:81", "-s rr -p 100", ["10.9.0.1:80 -m", "10.9.0.2:80 -m"]),
        service("-u 10.2.0.1:53", "-s rr -o", ["10.9.0.1:80 -m", "10.9.0.2:80 -m", "10.9.0.3:80 -m"]),
        service("-u 10.2.0.1:54", "-s wlc", ["10.9.0.1:80 -m", "10.9.0.2:80 -m"]),
        service("-t [fd02::1]:80", "-s lc", ["[fd09::1]:80 -m", "[fd09::2]:80 -m"]),
        service("-f 60", "-s rr", ["10.9.0.1:80 -m"]),
    ], []), views, flow)

    def burst():
        udp("10.2.0.1", 55, 1700, 65000)
        time.sleep(2.5)
    record("hundred megabytes", service("-u 10.2.0.1:55", "-s rr -o", ["10.9.0.1:80 -m"]),
        ["-L -n --stats", "-L -n --stats --exact", "-L -n --rate", "-L -n --rate --exact"], burst)

# ---------------------------------------------------------------- figures that no test can reach by traffic

SHIM = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* In front of libnl: the n-th nest of 64-bit statistics that ipvsadm reads gets the n-th figure of FIGURES. */
struct nlattr;
int nla_len(const struct nlattr *);
int nla_type(const struct nlattr *);
void *nla_data(const struct nlattr *);
static uint64_t figure(const struct nlattr *attribute)
{
    static unsigned seen, nest;
    unsigned bit = 1u << nla_type(attribute);
    char *text = getenv("FIGURES");
    if (seen & bit) { seen = 0; nest++; }
    seen |= bit;
    uint64_t value = 0;
    for (unsigned i = 0; i <= nest; i++)
        value = strtoull(text, &text, 10);
    return value;
}
uint64_t nla_get_u64(const struct nlattr *attribute) { return figure(attribute); }
uint32_t nla_get_u32(const struct nlattr *attribute)
{
    uint32_t value;
    if (nla_len(attribute) == 8)
        return (uint32_t)figure(attribute);
    memcpy(&value, nla_data(attribute), 4);
    return value;
}
"""

def large_figures():
    open("/tmp/shim.c", "w").write(SHIM)
    subprocess.run("cc -shared -fPIC -w -o /tmp/shim.so /tmp/shim.c".split(), check=True)
    values = [99999999, 100000000, 100000001, 123456789, 999999999, 1000000000, 4294967295]
    values += [9999999999, 10000000000, 99999999999, 100000000000, 123456789012, 10**12 - 1, 10**12, 10**13,
               10**14 - 1, 10**14, 10**15, 10**16, 10**17, 10**18, 2**63, 2**64 - 1]
    for value in values:
        # A server's counts are cut to 32 bits by ipvsadm itself; the servers here stay below that.
        server = min(value, 2**32 - 1)
        commands = service("-t 10.1.2.1:80", "-s rr", ["10.9.0.1:80 -m", "10.9.0.2:80 -m"])
        build(commands)
        services, numbers = read_kernel()
        small = 7
        numbers[0]["statistics"] = numbers[0]["rates"] = [value] * 5
        for row, number in zip(numbers[0]["servers"], [small, server]):
            row["statistics"] = row["rates"] = [number] * 5
        answers = []
        for view in (" --stats", " --rate"):
            for exact in ("", " --exact"):
                arguments = "-L -n" + view + exact
                done = run(arguments, env=dict(os.environ, LD_PRELOAD="/tmp/shim.so", FIGURES="%d %d %d" % (value, server, small)))
                answers.append({"arguments": arguments, "stdout": done.stdout})
        emit("figure %d" % value, commands, services, numbers, answers)

configurations()
sorting()
large_figures()
traffic()
