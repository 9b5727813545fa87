"""Plays clients and servers through a tun device and prints what /proc/net/ip_vs_conn shows.

Runs as part of record-walks.sh. Every walk is one connection of a service of its own.
"""

import collections
import fcntl
import os
import random
import socket
import struct
import subprocess
import time

CLIENT, VIRTUAL, SERVER = "10.8.0.7", "10.1.0.1", "10.9.0.1"
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "ACK": 16}
CHUNKS = {
    "DATA": 0, "INIT": 1, "INIT-ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT-ACK": 5, "ABORT": 6,
    "SHUTDOWN": 7, "SHUTDOWN-ACK": 8, "ERROR": 9, "COOKIE-ECHO": 10, "COOKIE-ACK": 11, "ECNE": 12,
    "CWR": 13, "SHUTDOWN-COMPLETE": 14, "AUTH": 15, "ASCONF": 193,
}


def sysctl(name, value):
    with open("/proc/sys/net/ipv4/" + name, "w") as file:
        file.write(str(value))


def sh(command):
    subprocess.run(command.split(), check=True)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol, source, destination, payload):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(source, sport, destination, dport, event):
    bits = sum(FLAGS[name] for name in event.split("+") if name != "none")
    segment = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, bits, 8192, 0, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    sum_ = checksum(addresses + struct.pack("!BBH", 0, 6, 20) + segment)
    return packet(6, source, destination, segment[:16] + struct.pack("!H", sum_) + segment[18:])


def sctp(source, sport, destination, dport, event):
    chunks = b"".join(struct.pack("!BBHI", CHUNKS[n], 0, 8, 0) for n in event.split("+"))
    return packet(132, source, destination, struct.pack("!HHII", sport, dport, 1, 0) + chunks)


def udp(source, sport, destination, dport, event):
    return packet(17, source, destination, struct.pack("!HHHH", sport, dport, 8, 0))


BUILD = {"tcp": tcp, "sctp": sctp, "udp": udp}


class World:
    def __init__(self):
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tun, 0x400454CA, struct.pack("16sH", b"t0", 0x1001))
        for device in ("all", "default"):
            for knob in ("rp_filter", "send_redirects"):
                sysctl(f"conf/{device}/{knob}", 0)
        sh("ip addr add 10.8.0.1/24 dev t0")
        sh(f"ip addr add {VIRTUAL}/32 dev lo")
        sh("ip link set t0 up")
        sh("ip route add default dev t0")
        sysctl("ip_forward", 1)
        self.port = 1000

    def service(self, protocol, option):
        """A new service with one server."""
        self.port += 1
        self.protocol = protocol
        flag = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}[protocol]
        sh(f"ipvsadm -A {flag} {VIRTUAL}:{self.port} -s rr")
        sh(f"ipvsadm -a {flag} {VIRTUAL}:{self.port} -r {SERVER}:{self.port} {option}")

    def send(self, side, event, source_port=40000):
        client, build, port = (CLIENT, source_port), BUILD[self.protocol], self.port
        if side == "C":
            data = build(*client, VIRTUAL, port, event)
        else:
            data = build(SERVER, port, *client, event)
        os.write(self.tun, data)
        time.sleep(0.002)
        while True:
            try:
                os.read(self.tun, 2048)
            except BlockingIOError:
                return

    def shown(self):
        """State, seconds left and activity of the connection, as the kernel shows them."""
        state = left = None
        with open("/proc/net/ip_vs_conn") as file:
            for line in file:
                words = line.split()
                if words[4] == f"{self.port:04X}":
                    state, left = words[7], int(words[8])
        service = found = False
        with open("/proc/net/ip_vs") as file:
            for line in file:
                if line.startswith(("TCP", "UDP", "SCTP")):
                    service = f":{self.port:04X} " in line
                elif service and "->" in line:
                    found = tuple(int(word) for word in line.split()[-2:])
        activity = {(1, 0): "active", (0, 1): "inactive"}.get(found, str(found))
        return f"{state} {activity} {left}"


TCP = ["SYN", "FIN", "ACK", "RST", "SYN+ACK", "FIN+ACK", "SYN+FIN", "SYN+RST", "none"]
CHUNKS_ASKED = [
    "DATA", "INIT", "INIT-ACK", "COOKIE-ECHO", "COOKIE-ACK", "SHUTDOWN", "SHUTDOWN-ACK",
    "SHUTDOWN-COMPLETE", "ERROR", "ABORT",
]
# Asked in a few states only: they have no columns of their own.
CHUNKS_RARE = [
    "SACK", "HEARTBEAT", "HEARTBEAT-ACK", "ECNE", "CWR", "AUTH", "ASCONF", "COOKIE-ECHO+ABORT",
    "COOKIE-ACK+ABORT", "COOKIE-ECHO+DATA", "DATA+ABORT",
]
EVENTS = {"tcp": TCP, "sctp": CHUNKS_ASKED, "udp": ["datagram"]}


class Explorer:
    """Chooses packets so that every packet is met in every state that packets can reach."""

    def __init__(self, draw, protocol, method):
        self.draw, self.rare = draw, list(CHUNKS_RARE) if protocol == "sctp" else []
        # Servers' packets pass the director with masq only.
        sides = "CS" if method == "masq" else "C"
        self.choices = [(side, event) for side in sides for event in EVENTS[protocol]]
        self.next = {}

    def possible(self, state):
        """A server's packet, a RST and an ABORT begin no connection."""
        if state is not None:
            return self.choices
        return [(s, e) for s, e in self.choices if s == "C" and "RST" not in e and e != "ABORT"]

    def choose(self, state):
        """The first step of a shortest known way to a packet not met yet; None: there is none."""
        ways, reached = collections.deque([(state, None)]), {state}
        while ways:
            here, first = ways.popleft()
            choices = self.possible(here)
            self.draw.shuffle(choices)
            for choice in choices:
                there = self.next.get((here, choice))
                if there is None:
                    return first or choice
                if there not in reached:
                    reached.add(there)
                    ways.append((there, first or choice))
        return None

    def walk(self, world, protocol, method, table):
        """One connection; False if there is nothing left to meet."""
        steps, state = [], None
        while len(steps) < 40 and (choice := self.choose(state)):
            side, event = choice
            if steps and self.rare and self.draw.random() < 0.1:
                event = self.rare.pop()
            world.send(side, event)
            shown = world.shown()
            steps.append(f"{side} {event} = {shown}")
            there = shown.split()[0]
            if event == choice[1]:
                self.next[state, choice] = there
            state = there
        if steps:
            print(f"{protocol} {method} {table}: " + "; ".join(steps), flush=True)
        return bool(steps)


def main():
    draw, world = random.Random(20), World()
    for name in ("sloppy_tcp", "sloppy_sctp"):
        sysctl("vs/" + name, 1)
    # Otherwise a SYN would be a new connection, not a step of the table.
    sysctl("vs/conn_reuse_mode", 0)
    print(f"# Linux {os.uname().release}. Written by record-walks.sh.")
    for table in ("normal", "secure"):
        sysctl("vs/secure_tcp", 3 if table == "secure" else 0)
        # The kernel looks at it every second.
        time.sleep(2.5)
        for protocol in ("tcp", "sctp", "udp") if table == "normal" else ("tcp",):
            for method, option in (("masq", "-m"), ("route", "-g"), ("tunnel", "-i")):
                explorer, more = Explorer(draw, protocol, method), True
                while more:
                    world.service(protocol, option)
                    more = explorer.walk(world, protocol, method, table)
                    # One walk shows that tunnels do as routes do.
                    more = more and method != "tunnel"


if __name__ == "__main__":
    main()
