"""Real servers on loopback, and directors as processes, for the tests beside this file."""

import hashlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

PATIENCE = 30
FOLDER = tempfile.mkdtemp(prefix="vsched-examples-")


def until(what, good):
    """Waits for what must come; the limit is there so that a test ends."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = good()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")
        time.sleep(0.01)


def bound():
    """A socket on a free port that the system does not take for outgoing connections."""
    while True:
        new = socket.socket()
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            new.bind(("127.0.0.1", random.randrange(12000, 32000)))
            return new
        except OSError:
            new.close()


def free_address():
    with bound() as probe:
        return "127.0.0.1:%d" % probe.getsockname()[1]


class Server:
    """Runs `serve` on each connection; without it nothing listens at the address."""

    all = []  # So that none gives its port away.

    def __init__(self, serve=None):
        Server.all.append(self)
        self.serve = serve
        self.taken = 0
        self.socket = bound()
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        if serve:
            self.socket.listen(1024)
            threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            self.taken += 1
            threading.Thread(target=self.attend, args=(client,), daemon=True).start()

    def attend(self, client):
        with client:
            try:
                self.serve(client)
            except OSError:
                pass


class Silent:
    """A server whose queue is full, so that nobody answers a SYN."""

    def __init__(self):
        self.socket = bound()
        self.socket.listen(0)
        self.waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.socket.getsockname())
            self.waiting.append(client)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        Server.all.append(self)


def web(text, gate=None, delay=0):
    """Answers a request with a text, after a delay, once the gate is open."""

    def serve(client):
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            if not part:
                return
            head += part
        time.sleep(delay)
        if gate:
            gate.wait(PATIENCE)
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(text), text.encode()))

    return Server(serve)


def resetting():
    def serve(client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return Server(serve)


def read_all(stream):
    parts = []
    while True:
        part = stream.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def connect(address, source=None):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), PATIENCE, source and (source, 0))


def ask(address, source=None):
    """The answer's body; "" if the connection ends without one."""
    try:
        with connect(address, source) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return read_all(client).partition(b"\r\n\r\n")[2].decode()
    except ConnectionError:
        return ""


def wrk(address, seconds):
    return subprocess.Popen(
        ["wrk", "-t2", "-c50", f"-d{seconds}", "-H", "Connection: close", f"http://{address}/"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Rules:
    def __init__(self, *lines):
        handle, self.path = tempfile.mkstemp(dir=FOLDER)
        os.close(handle)
        self.write(*lines)

    def write(self, *lines):
        with open(self.path, "w") as file:
            file.write("\n".join(lines) + "\n")


def service(address, scheduler, *servers):
    """The commands of a service; a server is an address, or one with a weight."""
    lines = [f"-A -t {address} -s {scheduler}"]
    for server in servers:
        name, weight = server if isinstance(server, tuple) else (server, 1)
        lines.append(f"-a -t {address} -r {name} -m -w {weight}")
    return lines


class Report:
    """What the C director prints: rows by server, totals."""

    def __init__(self, text):
        self.text = text
        plain, statistics = text.split("IP Virtual Server version")[1:3]
        row = r"-> ([\d.:]+) +(\w+) +(\d+) +(\d+) +(\d+)"
        self.weight, self.active, self.inactive = {}, {}, {}
        for name, _, weight, active, inactive in re.findall(row, plain):
            self.weight[name] = int(weight)
            self.active[name] = int(active)
            self.inactive[name] = int(inactive)
        self.picked = {name: int(n) for name, n in
                       re.findall(r"-> ([\d.:]+) +(\d+) ", statistics)}
        totals = re.search(r"Connections: (\d+) opened, (\d+) closed, (\d+) tries failed, "
                           r"(\d+) unanswered", text)
        self.opened, self.closed, self.failed, self.unanswered = map(int, totals.groups())

    def at_rest(self):
        counts = [*self.active.values(), *self.inactive.values()]
        return self.opened == self.closed and not any(counts)


class Director:
    """A director as a process. `before` are words before its own, such as valgrind's."""

    def __init__(self, command, *, before=(), limit=None):
        self.stdout = tempfile.NamedTemporaryFile("w+", dir=FOLDER)
        self.stderr = tempfile.NamedTemporaryFile("w+", dir=FOLDER)
        self.process = subprocess.Popen([*before, *command], stdout=self.stdout,
                                        stderr=self.stderr)
        self.pid = self.process.pid

    def printed(self):
        with open(self.stdout.name) as file:
            return file.read()

    def noted(self):
        with open(self.stderr.name) as file:
            return file.read()

    def serving(self):
        until("it serves", lambda: "serving " in self.printed() or self.process.poll() is not None)
        return self

    def send(self, number):
        self.process.send_signal(number)

    def reports(self):
        return [text for text in re.split(r"(?<=unanswered)\n", self.printed())
                if text.endswith("unanswered")]

    def report(self, number=signal.SIGUSR1):
        """The report that follows a signal."""
        before = len(self.reports())
        self.send(number)
        return Report(until("a report", lambda: self.reports()[before:])[0])

    def rest(self):
        """Waits until nothing is open, and answers the report of that moment."""
        def resting():
            report = self.report()
            return report if report.at_rest() else None
        return until("no connections", resting)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def end(self):
        """Waits for its end: exit code, last report if there is one."""
        code = self.process.wait(PATIENCE)
        reports = self.reports()
        return code, Report(reports[-1]) if reports else None

    def stop(self):
        self.send(signal.SIGTERM)
        return self.end()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.stdout.close()
        self.stderr.close()


def clean():
    shutil.rmtree(FOLDER, ignore_errors=True)
