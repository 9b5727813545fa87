"""examples/c/director.c as its users run it: real servers, bursts, aborts, reloads, signals.

test_director.py C_DIRECTOR RUST_DIRECTOR"""

import os
import re
import resource
import signal
import socket
import struct
import sys
import threading
import time
import unittest

import lab
from lab import (Director, Rules, Server, Silent, ask, connect, digest, free_address, read_all,
                 resetting, service, until, web)

C, RUST = "", ""


class Case(unittest.TestCase):
    def start(self, rules, threads=2, grace=20, **keywords):
        command = [C, "-r", rules.path, "-t", str(threads), "-g", str(grace)]
        director = Director(command, **keywords)
        self.addCleanup(director.kill)
        return director.serving()

    def rust(self, rules):
        director = Director([RUST, "--rules", rules.path, "--workers", "1"])
        self.addCleanup(director.kill)
        return director.serving()

    def wrk(self, address, seconds):
        process = lab.wrk(address, seconds)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process


    def assert_rests(self, director):
        """A loop that does nothing would take all of a processor."""
        def used():
            with open(f"/proc/{director.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = used()
        time.sleep(0.5)
        self.assertLess(used() - before, 0.2)


class Likeness(Case):
    """The same rules file, the same requests: the same servers as the Rust director."""

    def sequence(self, rules, address, start):
        director = start(rules)
        answers = [ask(address, f"127.0.0.{1 + n % 13}") for n in range(40)]
        director.send(signal.SIGTERM)
        self.assertEqual(director.process.wait(lab.PATIENCE), 0)
        return answers

    def compare(self, scheduler, weights, different, refusing=False):
        servers = [(web(f"s{n}").address, weight) for n, weight in enumerate(weights)]
        if refusing:
            servers.insert(1, (Server().address, 1))
        address = free_address()
        rules = Rules("# as typed", *service(address, scheduler, *servers), "")
        ours = self.sequence(rules, address, lambda rules: self.start(rules, threads=1))
        theirs = self.sequence(rules, address, self.rust)
        self.assertEqual(ours, theirs)
        self.assertNotIn("", ours)
        self.assertEqual(len(set(ours)), different)

    def test_rr(self):
        self.compare("rr", [1, 1, 1], 3)

    def test_rr_with_a_server_that_refuses(self):
        self.compare("rr", [1, 1, 1], 3, refusing=True)

    def test_wrr(self):
        self.compare("wrr", [3, 1, 2], 3)

    def test_sh(self):
        self.compare("sh", [1, 1, 1, 1], 4)

    def test_all_quiesced(self):
        address = free_address()
        rules = Rules(*service(address, "wrr", (web("s").address, 0)))
        for start in (self.start, self.rust):
            director = start(rules)
            self.assertEqual(ask(address), "")
            director.send(signal.SIGTERM)
            self.assertEqual(director.process.wait(lab.PATIENCE), 0)


class Bursts(Case):
    def test_even_spread_and_nothing_left(self):
        servers = [web("s") for _ in range(3)]
        address = free_address()
        rules = Rules(*service(address, "rr", *(server.address for server in servers)))
        director = self.start(rules)
        descriptors = director.descriptors()
        burst = self.wrk(address, 3).communicate()[0]
        self.assertNotRegex(burst, "Socket errors|Non-2xx")
        answered = int(re.search(r"(\d+) requests in", burst)[1])
        report = director.rest()
        self.assertGreaterEqual(report.opened, answered)
        self.assertGreater(answered, 100)
        self.assertEqual((report.failed, report.unanswered), (0, 0))
        picked = report.picked.values()
        self.assertEqual(sum(picked), report.opened)
        self.assertLessEqual(max(picked) - min(picked), 2, report.text)
        # Seen from outside: the servers themselves have counted the same.
        self.assertEqual({server.address: server.taken for server in servers}, report.picked)
        self.assertEqual(director.descriptors(), descriptors)

    def test_bad_servers(self):
        names = [web("good").address, Server().address, resetting().address,
                 web("slow", delay=0.1).address]
        address = free_address()
        director = self.start(Rules(*service(address, "wlc", *names)))
        self.wrk(address, 3).communicate()
        report = director.rest()
        self.assertGreater(report.failed, 0)
        self.assertGreater(min(report.picked.values()), 0, report.text)
        self.assertIn(f"service tcp {address}: server {names[1]}: Connection refused",
                      director.noted())

    def test_failures_that_go_on_are_told_again(self):
        refusing, address = Server().address, free_address()
        began = time.monotonic()
        director = self.start(Rules(*service(address, "rr", refusing)), threads=1)
        line = f"service tcp {address}: server {refusing}: Connection refused"

        def told(times):
            self.assertEqual(ask(address), "")
            return director.noted().count(line) >= times

        until("the first failure told", lambda: told(1))
        until("a later one told", lambda: told(2))
        self.assertGreater(time.monotonic() - began, 0.9)

    def test_clients_killed(self):
        gate = threading.Event()
        names = [web("good").address, web("slow", gate).address]
        address = free_address()
        director = self.start(Rules(*service(address, "wrr", *names)))
        descriptors = director.descriptors()
        for burst in range(3):
            before = director.report().opened
            client = self.wrk(address, 30)
            until("connections", lambda: director.report().opened >= before + 60)
            client.kill()
            client.wait()
        # The slow server has not answered: its connections are still open, but closing.
        waiting = until("all clients gone", lambda: (lambda report: report if not any(
            report.active.values()) else None)(director.report()))
        self.assertGreater(waiting.inactive[names[1]], 0, waiting.text)
        gate.set()
        report = director.rest()
        self.assertEqual(report.unanswered, 0)
        self.assertEqual(director.descriptors(), descriptors)

    def test_no_descriptors(self):
        gate = threading.Event()
        address = free_address()
        director = self.start(Rules(*service(address, "rr", web("s", gate).address)), threads=1)
        _, hard = resource.prlimit(director.pid, resource.RLIMIT_NOFILE)
        usual = resource.prlimit(director.pid, resource.RLIMIT_NOFILE)
        # Room for one client, but not for its server; then for nobody.
        limit = director.descriptors() + 1
        resource.prlimit(director.pid, resource.RLIMIT_NOFILE, (limit, hard))
        self.assertEqual(ask(address), "")
        resource.prlimit(director.pid, resource.RLIMIT_NOFILE, (limit - 1, hard))
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(ask(address)))
                   for _ in range(10)]
        for client in clients:
            client.start()
        self.assert_rests(director)
        self.assertEqual(answers, [])
        resource.prlimit(director.pid, resource.RLIMIT_NOFILE, usual)
        gate.set()
        for client in clients:
            client.join(lab.PATIENCE)
        self.assertEqual(answers, ["s"] * 10)
        self.assertEqual(director.rest().unanswered, 1)


class Relay(Case):
    def serve(self, server, scheduler="rr"):
        address = free_address()
        director = self.start(Rules(*service(address, scheduler, server.address)))
        return address, director

    def test_client_half_closes(self):
        gate = threading.Event()

        def echo(client):
            data = read_all(client)
            gate.wait(lab.PATIENCE)
            client.sendall(data)

        server = Server(echo)
        address, director = self.serve(server)
        data = os.urandom(6_000_000)
        with connect(address) as client:
            client.sendall(data)
            self.assertEqual(director.report().active[server.address], 1)
            client.shutdown(socket.SHUT_WR)
            until("it is inactive", lambda: director.report().inactive[server.address] == 1)
            gate.set()
            self.assertEqual(digest(read_all(client)), digest(data))
        director.rest()

    def test_both_have_finished_and_the_client_is_slow(self):
        data = os.urandom(6_000_000)

        def answer(client):
            read_all(client)
            client.sendall(data)

        server = Server(answer)
        address, director = self.serve(server)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(lab.PATIENCE)
            host, port = address.split(":")
            client.connect((host, int(port)))
            client.shutdown(socket.SHUT_WR)
            until("it is inactive", lambda: director.report().inactive[server.address] == 1)
            self.assert_rests(director)
            self.assertEqual(digest(read_all(client)), digest(data))
        director.rest()

    def test_server_half_closes(self):
        received = []

        def finish_first(client):
            client.sendall(b"all I say")
            client.shutdown(socket.SHUT_WR)
            received.append(read_all(client))

        server = Server(finish_first)
        address, director = self.serve(server)
        data = os.urandom(5_000_000)
        with connect(address) as client:
            self.assertEqual(read_all(client), b"all I say")
            until("it is inactive", lambda: director.report().inactive[server.address] == 1)
            client.sendall(data)
        until("the rest", lambda: received)
        self.assertEqual(digest(received[0]), digest(data))
        director.rest()

    def test_both_ways_at_once(self):
        up, down = os.urandom(8_000_000), os.urandom(8_000_000)
        received = []

        def both(client):
            sender = threading.Thread(target=client.sendall, args=(down,))
            sender.start()
            received.append(read_all(client))
            sender.join()

        address, director = self.serve(Server(both))

        def send(client):
            client.sendall(up)
            client.shutdown(socket.SHUT_WR)

        with connect(address) as client:
            sender = threading.Thread(target=send, args=(client,))
            sender.start()
            self.assertEqual(digest(read_all(client)), digest(down))
            sender.join()
        until("the server has it", lambda: received)
        self.assertEqual(digest(received[0]), digest(up))
        director.rest()

    def test_back_pressure(self):
        gate = threading.Event()
        lengths = []

        def late(client):
            gate.wait(lab.PATIENCE)
            lengths.append(len(read_all(client)))

        address, director = self.serve(Server(late))
        with connect(address) as client:
            client.settimeout(0.5)
            sent = 0
            try:
                while sent < 200_000_000:
                    sent += client.send(bytes(65536))
            except TimeoutError:
                pass
            # What the system's socket buffers hold, and not what memory there is.
            self.assertLess(sent, 100_000_000)
            self.assert_rests(director)
            gate.set()
        until("the server has it", lambda: lengths)
        self.assertEqual(lengths, [sent])
        director.rest()

    def test_silent_server(self):
        silent, good, address = Silent(), web("good").address, free_address()
        director = self.start(Rules(*service(address, "rr", good, silent.address)))
        self.assertEqual([ask(address) for _ in range(3)], ["good"] * 3)
        self.assertIn(f"server {silent.address}: Connection timed out", director.noted())
        report = director.rest()
        self.assertGreater(report.failed, 0)
        self.assertEqual(report.unanswered, 0)

    def test_client_gives_up_before_a_server_has_answered(self):
        address, director = self.serve(Silent())
        client = connect(address)
        until("it is counted", lambda: director.report().opened)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        report = director.rest()
        # Not waited for until the server's time was over.
        self.assertEqual((report.failed, report.unanswered), (0, 0))

    def test_reset_of_a_client_reaches_the_server(self):
        ends = []

        def endless(client):
            try:
                while True:
                    client.sendall(bytes(65536))
            except OSError as error:
                ends.append(error)

        server = Server(endless)
        address, director = self.serve(server)
        for _ in range(10):
            with connect(address) as client:
                client.recv(10)  # and leaves the rest unread, so closing is a reset
        director.rest()
        until("the server hears of it", lambda: len(ends) == 10)


class Control(Case):
    def test_reload_under_traffic(self):
        first, second, third = web("first"), web("second"), web("third")
        address = free_address()
        rules = Rules(*service(address, "wrr", first.address, second.address))
        director = self.start(rules)
        answers, stop = [], threading.Event()
        self.addCleanup(stop.set)

        def client():
            while not stop.is_set():
                answers.append(ask(address))

        clients = [threading.Thread(target=client, daemon=True) for _ in range(4)]
        for thread in clients:
            thread.start()
        until("answers", lambda: len(answers) > 100)
        rules.write(*service(address, "wrr", (first.address, 0), second.address, third.address))
        report = director.report(signal.SIGHUP)
        drained = report.picked[first.address]
        until("the new server", lambda: answers.count("third") > 100)
        self.assertEqual(director.report().picked[first.address], drained)
        # And away with it, for good.
        rules.write(*service(address, "wrr", second.address, third.address))
        self.assertNotIn(first.address, director.report(signal.SIGHUP).weight)
        until("all of it gone", lambda: "Removed servers" not in director.report().text)
        so_far = len(answers)
        until("more answers", lambda: len(answers) > so_far + 100)
        stop.set()
        for thread in clients:
            thread.join()
        self.assertEqual(set(answers), {"first", "second", "third"})
        self.assertEqual(director.rest().unanswered, 0)
        self.assertIn("reloaded: 0 added, 0 changed, 0 drained, 1 removed", director.noted())

    def test_services_come_and_go(self):
        stays, goes, comes = free_address(), free_address(), free_address()
        good = web("good").address
        rules = Rules(*service(stays, "rr", good), *service(goes, "rr", good))
        director = self.start(rules)
        descriptors = director.descriptors()
        self.assertEqual([ask(stays), ask(goes), ask(comes)], ["good", "good", ""])
        for _ in range(5):
            rules.write(*service(stays, "rr", good), *service(comes, "rr", good))
            director.report(signal.SIGHUP)
            until("it goes", lambda: not listens(goes))
            self.assertEqual([ask(stays), ask(comes)], ["good", "good"])
            goes, comes = comes, goes
        until("descriptors closed", lambda: director.descriptors() == descriptors)
        self.assertEqual(director.rest().unanswered, 0)

    def test_bad_reload(self):
        address, good = free_address(), web("good").address
        rules = Rules(*service(address, "rr", good))
        director = self.start(rules)
        rules.write(*service(address, "rr", good), "-a -t nonsense")
        director.send(signal.SIGHUP)
        until("the refusal", lambda: "not reloaded: " in director.noted())
        self.assertRegex(director.noted(), "not reloaded: .*: line 3, column .*nonsense")
        self.assertEqual(ask(address), "good")
        os.unlink(rules.path)
        director.send(signal.SIGHUP)
        until("the refusal", lambda: "No such file" in director.noted())
        self.assertEqual(ask(address), "good")

    def test_emptied_and_cut_off_files(self):
        address, gate = free_address(), threading.Event()
        good, late = web("good").address, web("late", gate).address
        lines = service(address, "wlc", good, late)
        rules = Rules(*lines)
        director = self.start(rules)
        client = connect(address)
        self.addCleanup(client.close)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until("the late server has it", lambda: director.report().active[late] == 1)
        refusal = "2 of 2 servers (100 %) would be removed, at most 50 % may be; "
        for remains in ([], lines[:1]):
            rules.write(*remains)
            said = len(director.noted())
            report = director.report(signal.SIGHUP)
            self.assertEqual((report.weight, report.active[late]), ({good: 1, late: 1}, 1))
            self.assertIn("not reloaded: ", director.noted()[said:])
            self.assertIn(refusal, director.noted()[said:])
            self.assertIn("signal USR2 applies it all the same\n", director.noted()[said:])
            self.assertEqual(ask(address), "good")
        # One of two servers may go. The other is quiesced: that leaves none, too.
        rules.write(*service(address, "wlc", (good, 0)))
        report = director.report(signal.SIGHUP)
        self.assertEqual(report.weight, {good: 1, late: 1})
        self.assertIn("would have none; may_close_services would allow it", director.noted())
        rules.write(*service(address, "wlc", good))
        report = director.report(signal.SIGHUP)
        self.assertIn("reloaded: 0 added, 0 changed, 0 drained, 1 removed\n", director.noted())
        self.assertIn("Removed servers with open connections: 1\n", report.text)
        rules.write()
        report = director.report(signal.SIGUSR2)
        self.assertIn("reloaded: 0 added, 0 changed, 0 drained, 2 removed\n", director.noted())
        # Of the two that are gone, one has a connection.
        self.assertIn("Removed servers with open connections: 1\n", report.text)
        self.assertFalse(listens(address))
        gate.set()
        self.assertTrue(read_all(client).endswith(b"late"))
        client.close()
        self.assertNotIn("Removed servers", director.rest().text)
        rules.write(*lines)
        director.report(signal.SIGHUP)
        self.assertIn(ask(address), ("good", "late"))

    def waiting(self, grace):
        gate = threading.Event()
        address = free_address()
        server = web("late", gate)
        director = self.start(Rules(*service(address, "rr", server.address)), grace=grace)
        client = connect(address)
        self.addCleanup(client.close)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until("the server has it", lambda: server.taken == 1)
        director.send(signal.SIGTERM)
        until("it listens no more", lambda: not listens(address))
        self.assertIsNone(director.process.poll())
        return gate, client, director

    def test_stop_lets_connections_finish(self):
        gate, client, director = self.waiting(grace=25)
        gate.set()
        self.assertTrue(read_all(client).endswith(b"late"))
        client.close()
        code, report = director.end()
        self.assertEqual(code, 0)
        self.assertTrue(report.at_rest(), report.text)
        self.assertNotIn("have been cut", director.noted())

    def test_second_signal_ends_at_once(self):
        _, client, director = self.waiting(grace=3000)
        director.send(signal.SIGINT)
        code, report = director.end()
        self.assertEqual(code, 0)
        self.assertTrue(report.at_rest(), report.text)
        # One, or two: the last to find it listening may have got in.
        self.assertRegex(director.noted(), "[12] connections were still open and have been cut")

    def test_grace_ends(self):
        _, client, director = self.waiting(grace=0.3)
        self.assertEqual(director.end()[0], 0)
        # One, or two: the last to find it listening may have got in.
        self.assertRegex(director.noted(), "[12] connections were still open and have been cut")

    def test_what_cannot_be_served(self):
        address, good = free_address(), web("good").address
        rules = Rules(*service(address, "rr", good, address, "127.0.0.1:0"), f"-A -u {address}",
                      "-A -f 7", "-A -t 127.0.0.1:0 -p 60")
        director = self.start(rules)
        self.assertEqual([ask(address) for _ in range(4)], ["good"] * 4)
        for item in (f"service udp {address}:", "service fwmark 7:", "service tcp 127.0.0.1:0:"):
            self.assertIn(f"{item} left out: ", director.noted())
        # A server that is the service itself is not called.
        self.assertIn(f"service tcp {address}: server {address}: Resource deadlock avoided",
                      director.noted())
        self.assertEqual(director.stop()[0], 0)
        for lines, code, word in ([["-A -f 7"], 1, "no service to serve"],
                                  [["-A -t nowhere"], 2, "line 1, column"]):
            director = self.start(Rules(*lines))
            self.assertEqual(director.end()[0], code)
            self.assertIn(word, director.noted())
        for command in ([C], [C, "-r", "/no/such/file"], [C, "-r", rules.path, "-t", "0"], [C, "-x"]):
            director = Director(command)
            self.addCleanup(director.kill)
            self.assertEqual(director.end()[0], 2, command)

    def test_port_taken(self):
        taken, address, good = Server(lambda client: None), free_address(), web("good").address
        rules = Rules(*service(taken.address, "rr", good), *service(address, "rr", good))
        director = self.start(rules)
        self.assertEqual(ask(address), "good")
        self.assertIn(f"service tcp {taken.address}: left out: Address already in use",
                      director.noted())


def listens(address):
    try:
        connect(address).close()
        return True
    except ConnectionError:
        return False


class Memory(Case):
    def test_valgrind(self):
        address, other = free_address(), free_address()
        good, refusing = web("good").address, Server().address
        rules = Rules(*service(address, "wlc", good, refusing, resetting().address))
        director = self.start(rules, before=[
            "valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99", "--track-fds=yes"])
        clients = [threading.Thread(target=lambda: [ask(address) for _ in range(10)])
                   for _ in range(8)]
        for client in clients:
            client.start()
        rules.write(*service(address, "wlc", good, (refusing, 0)), *service(other, "rr", good))
        director.report(signal.SIGHUP)
        for client in clients:
            client.join()
        self.assertEqual([ask(address), ask(other)], ["good", "good"])
        rules.write(*service(other, "rr", good), "-A nonsense")
        director.send(signal.SIGHUP)
        until("the refusal", lambda: "not reloaded: " in director.noted())
        rules.write(*service(other, "rr", good))
        director.report(signal.SIGUSR2)
        held = connect(other)
        self.addCleanup(held.close)
        director.send(signal.SIGTERM)
        director.send(signal.SIGTERM)
        code, report = director.end()
        self.assertEqual(code, 0, director.noted())
        self.assertTrue(report.at_rest(), report.text)
        self.assertNotIn("==", director.noted())


if __name__ == "__main__":
    C, RUST = (os.path.abspath(path) for path in sys.argv[1:3])
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
    finally:
        lab.clean()
