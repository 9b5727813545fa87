//! `make bench-director`: the example director beside nginx and HAProxy, as TCP proxies of the same servers.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, ensure};

use crate::packages;
use crate::project::Project;

const WORKERS: usize = 2;
const CONNECTIONS: usize = 64;
const LAUNCHES: usize = 3;
const ROUNDS: usize = 3;
/// Of one run.
const SECONDS: usize = 2;
const LARGE: usize = 1 << 20;
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const BACKENDS: [&str; 2] = ["127.0.0.11:18080", "127.0.0.12:18080"];
/// By which the kernel counts processor time.
const TICKS_PER_SECOND: f64 = 100.0;

const CASES: [(&str, &str, &[&str]); 3] = [
    ("keep-alive, 100 bytes", "/", &[]),
    ("a connection per request, 100 bytes", "/", &["-H", "Connection: close"]),
    ("keep-alive, 1 MiB", "/large", &[]),
];
const SUBJECTS: [(&str, &str); 3] = [
    ("director", "127.0.0.1:18081"),
    ("nginx stream", "127.0.0.1:18082"),
    ("haproxy mode tcp", "127.0.0.1:18083"),
];

/// One run: requests per second, and the proxy's processor time per request in microseconds.
#[derive(Clone, Copy, Default)]
struct Run {
    rate: f64,
    time: f64,
}

pub(crate) fn run(project: &Project) -> Result<()> {
    packages::install(project)?;
    packages::install_stream_module(project)?;
    let program = project.build_program("build --release --example director")?;
    let folder = project.path("target/bench-director");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("large"), vec![b'x'; LARGE])?;
    let backend = backend(&folder)?;
    let mut runs = Vec::new();
    for launch in 0..LAUNCHES {
        let proxies = [director(&program, &folder)?, nginx(&folder)?, haproxy(&folder)?];
        for round in 0..ROUNDS {
            for (case, (_, path, options)) in CASES.iter().enumerate() {
                let mut row = [Run::default(); SUBJECTS.len()];
                // Each one is first as often as the others.
                for turn in 0..SUBJECTS.len() {
                    let subject = (launch + round + turn) % SUBJECTS.len();
                    row[subject] = measure(&proxies[subject], SUBJECTS[subject].1, path, options)?;
                }
                runs.push((case, row));
            }
        }
    }
    drop(backend);
    print!("{}", table(&runs));
    Ok(())
}

fn measure(proxy: &Running, address: &str, path: &str, options: &[&str]) -> Result<Run> {
    let before = proxy.ticks();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s")])
        .args(options)
        .arg(format!("http://{address}{path}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    ensure!(field("Non-2xx").is_none(), "{address}: {text}");
    let rate = field("Requests/sec:").context("wrk printed no rate")?.trim().parse()?;
    let requests = text.lines().find_map(|line| line.split_once(" requests in "));
    let requests: f64 = requests.context("wrk printed no count")?.0.trim().parse()?;
    let ticks = proxy.ticks() - before;
    Ok(Run { rate, time: ticks / TICKS_PER_SECOND * 1e6 / requests })
}

fn table(runs: &[(usize, [Run; SUBJECTS.len()])]) -> String {
    let mut table = String::from(
        "| case | proxy | requests/s | director ÷ this, median (min to max) | processor time per request, µs |\n\
         | --- | --- | ---: | ---: | ---: |\n",
    );
    for (case, (name, ..)) in CASES.iter().enumerate() {
        let rows = || runs.iter().filter(|(of, _)| *of == case).map(|(_, row)| row);
        for (subject, (proxy, _)) in SUBJECTS.iter().enumerate() {
            let rate = median(rows().map(|row| row[subject].rate));
            let time = median(rows().map(|row| row[subject].time));
            let ratios = || rows().map(|row| row[0].rate / row[subject].rate);
            let ratio = match subject {
                0 => String::new(),
                _ => format!(
                    "{:.2} ({:.2} to {:.2})",
                    median(ratios()),
                    ratios().fold(f64::INFINITY, f64::min),
                    ratios().fold(0.0, f64::max)
                ),
            };
            let _ = writeln!(table, "| {name} | {proxy} | {rate:.0} | {ratio} | {time:.1} |");
        }
    }
    table
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A program that ends with this value.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, address: &str) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running(command.spawn().context(name.clone())?);
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(running.0.try_wait()?.is_none(), "{name} ended");
            ensure!(
                begin.elapsed() < Duration::from_secs(20),
                "{name} does not listen on {address}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Processor time of the process and its children.
    fn ticks(&self) -> f64 {
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let ids = children.split_whitespace().filter_map(|id| id.parse().ok()).chain([id]);
        ids.map(ticks).sum()
    }
}

fn ticks(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name, which may contain anything: user and system time are the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not SIGKILL: nginx's workers would survive that.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn backend(folder: &Path) -> Result<Running> {
    let listen: String =
        BACKENDS.iter().map(|address| format!("listen {address} backlog=4096;\n")).collect();
    let body = "x".repeat(100);
    let config = format!(
        "worker_processes 1;
         http {{
             access_log off; keepalive_requests 100000000; sendfile on;
             client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d;
             scgi_temp_path e;
             server {{
                 {listen} root {};
                 location = / {{ default_type text/plain; return 200 {body}; }}
             }}
         }}",
        folder.display()
    );
    start_nginx(folder, "backend", &config, BACKENDS[0])
}

fn nginx(folder: &Path) -> Result<Running> {
    let module = if Path::new(STREAM_MODULE).exists() {
        format!("load_module {STREAM_MODULE};\n")
    } else {
        String::new()
    };
    let servers: String = BACKENDS.iter().map(|server| format!("server {server};")).collect();
    let address = SUBJECTS[1].1;
    let config = format!(
        "{module}worker_processes {WORKERS};
         stream {{ upstream all {{ {servers} }} server {{ listen {address}; proxy_pass all; }} }}"
    );
    start_nginx(folder, "nginx", &config, address)
}

fn start_nginx(folder: &Path, name: &str, config: &str, address: &str) -> Result<Running> {
    let common = "daemon off; error_log /dev/null; events { worker_connections 4096; }\n";
    let file = write(folder, name, &format!("{config}\n{common}pid {name}.pid;\n"))?;
    Running::start(Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(file), address)
}

fn haproxy(folder: &Path) -> Result<Running> {
    let address = SUBJECTS[2].1;
    let server = |(number, server): (usize, &&str)| format!("    server s{number} {server}\n");
    let servers: String = BACKENDS.iter().enumerate().map(server).collect();
    let config = format!(
        "global
    nbthread {WORKERS}
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen all
    bind {address}
    balance roundrobin
{servers}"
    );
    let file = write(folder, "haproxy", &config)?;
    Running::start(Command::new("haproxy").arg("-db").arg("-f").arg(file), address)
}

fn director(program: &Path, folder: &Path) -> Result<Running> {
    let address = SUBJECTS[0].1;
    let server = |server: &&str| format!("-a -t {address} -r {server} -m\n");
    let servers: String = BACKENDS.iter().map(server).collect();
    let file = write(folder, "director", &format!("-A -t {address} -s rr\n{servers}"))?;
    let mut director = Command::new(program);
    director.args(["--workers", &WORKERS.to_string(), "--rules"]).arg(file);
    Running::start(&mut director, address)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = folder.join(format!("{name}.conf"));
    fs::write(&file, text)?;
    Ok(file)
}
