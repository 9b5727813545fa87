//! The hosts of a laboratory: network namespaces connected by veth pairs and bridges, prepared by
//! the commands of `Config::requirements`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vsched::Config;
use vsched::netlink::Namespace;
use vsched::requirements::{Answer, Need, Role, Site};

use crate::guest::{part, program};

/// Programs as the kernel here needs them; the commands themselves stay as they are typed.
const SHELL: &str = "
modprobe() { command modprobe -d /run/m \"$@\"; }
sysctl() { busybox sysctl \"$@\" >/dev/null; }
ipvsadm() { \"$vsched_program\" --ipvsadm \"$@\"; }
";
pub(crate) const SERVERS: [&str; 2] = ["192.168.5.11", "192.168.5.12"];

/// A laboratory.
pub(crate) struct Lab {
    pub(crate) name: &'static str,
    /// The addresses of the wires that the client and the director are on.
    pub(crate) client: &'static str,
    pub(crate) director: &'static [&'static str],
    pub(crate) address: &'static str,
    /// The command lines of the tutorial.
    pub(crate) rules: &'static str,
}

pub(crate) const NAT: Lab = Lab {
    name: "nat",
    client: "192.168.4.100",
    director: &["192.168.4.5", "192.168.5.5"],
    address: "192.168.4.5",
    rules: "
        ipvsadm -A -t 192.168.4.5:80 -s wrr
        ipvsadm -a -t 192.168.4.5:80 -r 192.168.5.11 -w 1 -m
        ipvsadm -a -t 192.168.4.5:80 -r 192.168.5.12 -w 1 -m
    ",
};
pub(crate) const DR: Lab = Lab {
    name: "dr",
    client: "192.168.5.100",
    director: &["192.168.5.5"],
    address: "192.168.5.50",
    rules: "
        ipvsadm -C
        ipvsadm -A -t 192.168.5.50:80 -s wrr
        ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.11 -g -w 2
        ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.12 -g -w 1
        ipvsadm -Ln
    ",
};
pub(crate) const TUN: Lab = Lab {
    name: "tun",
    rules: "
        ipvsadm -A -t 192.168.5.50:80 -s wrr
        ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.11 -i -w 2
        ipvsadm -a -t 192.168.5.50:80 -r 192.168.5.12 -i -w 1
    ",
    ..DR
};

/// A host: a namespace with a name.
pub(crate) struct Host {
    name: String,
}

impl Host {
    /// With an interface on each of the wires.
    fn new(lab: &Lab, name: &str, addresses: &[&str]) -> Self {
        let host = Host { name: format!("{}-{name}", lab.name) };
        let name = &host.name;
        let mut lines = format!("ip netns add {name}\nip -n {name} link set lo up\n");
        for (index, address) in addresses.iter().enumerate() {
            let (wire, device) = (wire(address), format!("eth{index}"));
            let outer = format!("{name}-{index}");
            lines += &format!(
                "ip link add {outer} type veth peer name {device} netns {name}\n\
                 ip link set {outer} master {wire} up\n\
                 ip -n {name} address add {address}/24 dev {device}\n\
                 ip -n {name} link set {device} up\n"
            );
        }
        here(&lines);
        host
    }

    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::at(format!("/run/netns/{}", self.name))
    }

    pub(crate) fn exec(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Runs lines of shell there, which must end well; what they print.
    pub(crate) fn shell(&self, lines: &str) -> String {
        let output = self.command(lines).stderr(Stdio::inherit()).output().expect("a shell");
        assert!(output.status.success(), "{}: {lines}: {output:?}", self.name);
        String::from_utf8(output.stdout).expect("text")
    }

    fn command(&self, lines: &str) -> Command {
        let [first, rest @ ..] = self.exec();
        let mut command = Command::new(first);
        command.args(rest).args(["sh", "-e", "-c", &format!("{SHELL}{lines}")]);
        command.env("vsched_program", program());
        command
    }

    /// The answers of a web server to some requests from here.
    fn ask(&self, address: &str, requests: u32, patience: u32) -> String {
        let mut process = part(&self.exec(), "lab_ask");
        process.env("vsched_ask", format!("{address}:80 {requests} {patience}"));
        let output = process.output().expect("a client");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// What of the rules' requirements is missing here, by `check_local`.
    pub(crate) fn missing(&self, lab: &Lab, role: &str) -> Vec<String> {
        let mut process = part(&self.exec(), "lab_check")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a check");
        let mut stdin = process.stdin.take().expect("piped");
        write!(stdin, "{role}\n{}", lab.rules).expect("it reads");
        drop(stdin);
        let output = process.wait_with_output().expect("its end");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
    }
}

pub(crate) fn here(lines: &str) {
    let status = Command::new("sh").args(["-e", "-c", lines]).status().expect("a shell");
    assert!(status.success(), "{lines}");
}

/// The wire of an address, by its network.
fn wire(address: &str) -> &'static str {
    if address.starts_with("192.168.4.") { "wire4" } else { "wire5" }
}

/// A web server that answers with the last part of its address.
struct WebServer(Child);

impl WebServer {
    fn start(host: &Host, address: &str) -> Self {
        let folder = format!("/tmp/{}", host.name);
        fs::create_dir_all(&folder).expect("a folder");
        let last = address.rsplit('.').next().expect("a last part");
        fs::write(format!("{folder}/index.html"), format!("{last}\n")).expect("a page");
        let server = host.command(&format!("exec busybox httpd -f -p 80 -h {folder}")).spawn();
        WebServer(server.expect("a web server"))
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        ended.expect("the web server ends");
    }
}

/// A laboratory that is built: what is left is the rules.
pub(crate) struct Built<'l> {
    pub(crate) lab: &'l Lab,
    pub(crate) client: Host,
    pub(crate) director: Host,
    servers: Vec<(Host, WebServer)>,
}

impl<'l> Built<'l> {
    pub(crate) fn new(lab: &'l Lab) -> Self {
        for wire in ["wire4", "wire5"] {
            here(&format!("ip link add {wire} type bridge\nip link set {wire} up"));
        }
        let director = Host::new(lab, "director", lab.director);
        let client = Host::new(lab, "client", &[lab.client]);
        let server = |address: &&str| {
            let last = address.rsplit('.').next().expect("a last part");
            let host = Host::new(lab, last, &[*address]);
            // As many distributions have it.
            host.shell("sysctl -w net.ipv4.conf.all.rp_filter=1");
            let web = WebServer::start(&host, address);
            (host, web)
        };
        let servers: Vec<(Host, WebServer)> = SERVERS.iter().map(server).collect();
        let built = Built { lab, client, director, servers };
        built.check(true);
        for (host, role) in built.hosts() {
            let required = requirements(lab.rules).of(parse_role(role));
            let commands: Vec<&str> = required.commands().collect();
            assert!(!commands.is_empty());
            host.shell(&commands.join("\n"));
        }
        built.wait_for_web_servers();
        built.check(false);
        built
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&Host, &'static str)> {
        let servers = self.servers.iter().map(|(host, _)| host).zip(SERVERS);
        std::iter::once((&self.director, "director")).chain(servers)
    }

    pub(crate) fn server(&self, last: &str) -> &Host {
        let servers = self.servers.iter().map(|(host, _)| host);
        servers.into_iter().find(|host| host.name.ends_with(last)).expect("a server")
    }

    /// `check_local` on each host misses something, or nothing.
    fn check(&self, lacking: bool) {
        for (host, role) in self.hosts() {
            let missing = host.missing(self.lab, role);
            assert_eq!(!missing.is_empty(), lacking, "{}: {missing:?}", host.name);
        }
    }

    fn wait_for_web_servers(&self) {
        for ((host, _), address) in self.servers.iter().zip(SERVERS) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while host.ask(address, 1, 1) == "-" {
                assert!(Instant::now() < deadline, "{} does not serve", host.name);
            }
        }
    }

    /// The answers to some requests of the client; those without are `-`.
    pub(crate) fn ask(&self, requests: u32, patience: u32) -> String {
        self.client.ask(self.lab.address, requests, patience)
    }

    /// The hardware addresses that answer for the virtual address.
    pub(crate) fn who_has(&self) -> BTreeSet<String> {
        let text =
            self.client.shell(&format!("busybox arping -b -c 2 -I eth0 {}", self.lab.address));
        let answer = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
        text.lines().filter_map(answer).collect()
    }

    pub(crate) fn hardware_address(&self, host: &Host) -> String {
        host.shell("cat /sys/class/net/eth0/address").trim().to_owned()
    }
}

pub(super) fn config(rules: &str) -> Config {
    // What a config has no words for.
    let rules = rules.lines().filter(|line| !line.contains("-Ln"));
    rules.collect::<Vec<_>>().join("\n").parse().expect("rules")
}

fn requirements(rules: &str) -> vsched::requirements::Requirements {
    let inner = NAT.director[1].parse().expect("an address");
    let site = Site::default().with_director(inner).with_interface("eth0");
    config(rules).requirements_at(&site)
}

fn parse_role(role: &str) -> Role {
    role.parse::<IpAddr>().map_or(Role::Director, Role::RealServer)
}

/// Part of this program: the first line of standard input is a role, the others are rules. Says what
/// is missing of what is required.
pub(crate) fn check_part() {
    let text = std::io::read_to_string(std::io::stdin()).expect("text");
    let (role, rules) = text.split_once('\n').expect("a role");
    for finding in requirements(rules).of(parse_role(role)).check_local() {
        if finding.requirement.need == Need::Required {
            if let Answer::Missing { found, .. } = finding.answer {
                println!("{found}");
            }
        }
    }
}

/// A part of this program that sends a web server requests, each on a new connection.
pub(crate) fn ask_part() {
    let words = std::env::var("vsched_ask").expect("what to ask");
    let words: Vec<&str> = words.split(' ').collect();
    let address: SocketAddr = words[0].parse().expect("an address");
    let [requests, patience] = [1, 2].map(|place| words[place].parse().expect("a number"));
    let answers = (0..requests).map(|_| get(address, Duration::from_secs(patience)));
    let answers: Vec<String> = answers.map(|answer| answer.unwrap_or("-".to_owned())).collect();
    println!("{}", answers.join(" "));
}

/// The last line of its answer.
fn get(address: SocketAddr, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().last().unwrap_or_default().to_owned())
}
