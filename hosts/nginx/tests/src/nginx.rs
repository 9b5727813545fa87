//! An nginx with our modules, in a folder of its own.

use std::cell::RefCell;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use crate::backend::{Backend, Log, Mode};
use crate::{Outcome, check, client, status, wait_until};

/// Ports below those that the system gives to clients.
static PORT: AtomicU16 = AtomicU16::new(0);

/// What a case may use; its folder goes with it.
pub(crate) struct Setup {
    modules: String,
    pub(crate) folder: PathBuf,
    pub(crate) log: Log,
}

impl Setup {
    pub(crate) fn new(modules: &str) -> Result<Self, String> {
        let name = format!("vsched-nginx-{}-{}", std::process::id(), PORT.fetch_add(1, SeqCst));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        Ok(Setup { modules: modules.to_owned(), folder, log: Log::default() })
    }

    pub(crate) fn listener(&self) -> TcpListener {
        loop {
            let port = 20000 + PORT.fetch_add(1, SeqCst) % 12000;
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                return listener;
            }
        }
    }

    /// A port that refuses connections, or that nginx may listen on.
    pub(crate) fn port(&self) -> u16 {
        self.listener().local_addr().expect("an address").port()
    }

    pub(crate) fn backends(&self, modes: &[Mode]) -> Vec<Backend> {
        let backend = |(number, mode): (usize, &Mode)| {
            Backend::new(self.listener(), number, *mode, &self.log)
        };
        modes.iter().enumerate().map(backend).collect()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn take_log(&self) -> Vec<usize> {
        std::mem::take(&mut self.log.lock().expect("the log"))
    }

    /// Writes a file; returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a file in the folder");
        path.display().to_string()
    }

    pub(crate) fn error_log(&self) -> String {
        fs::read_to_string(self.folder.join("error.log")).unwrap_or_default()
    }

    /// The log has no line of these levels.
    pub(crate) fn check_log(&self) -> Outcome {
        let log = self.error_log();
        let is_bad =
            |line: &&str| ["[alert]", "[emerg]", "[crit]"].iter().any(|at| line.contains(at));
        let bad: Vec<&str> = log.lines().filter(is_bad).collect();
        check(bad.is_empty(), || bad.join("\n"))
    }

    pub(crate) fn end_of_log(&self) -> String {
        let log = self.error_log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What an nginx is to do.
pub(crate) struct Config {
    pub(crate) workers: usize,
    /// Spread connections over the workers by the system; a reload loses those that wait.
    pub(crate) spread: bool,
    /// In the background, which an upgrade needs.
    pub(crate) daemon: bool,
    pub(crate) upstreams: String,
    pub(crate) stream: String,
    pub(crate) more: String,
}

impl Config {
    pub(crate) fn new(workers: usize, upstreams: String) -> Self {
        let (stream, more) = (String::new(), String::new());
        Config { workers, spread: true, daemon: false, upstreams, stream, more }
    }

    fn text(&self, setup: &Setup, port: u16, name: &str) -> String {
        let folder = setup.folder.display();
        let modules = &setup.modules;
        let listen = if self.spread { "reuseport" } else { "backlog=511" };
        let daemon = if self.daemon { "on" } else { "off" };
        let Config { workers, upstreams, stream, more, .. } = self;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {folder}/{name}-{kind};\n"))
            .collect();
        format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
            load_module {modules}/ngx_vsched_module.so;
            load_module {modules}/ngx_http_vsched_module.so;
            load_module {modules}/ngx_stream_vsched_module.so;
            worker_processes {workers};
            daemon {daemon};
            pid {folder}/{name}.pid;
            error_log {folder}/error.log notice;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                {temporary}
                add_header X-Worker $pid always;
                proxy_next_upstream error timeout http_503;
                {upstreams}
                server {{
                    listen 127.0.0.1:{port} {listen};
                    location / {{ proxy_pass http://u; }}
                    location /status {{ vsched_status; }}
                    location /set {{ allow 127.0.0.1; deny all; vsched_set; }}
                    {more}
                }}
            }}
            {stream}\n"
        )
    }
}

pub(crate) struct Nginx<'s> {
    setup: &'s Setup,
    name: String,
    pub(crate) port: u16,
    master: u32,
    /// The master, unless it runs in the background.
    child: Option<Child>,
    /// Workers that were seen; they outlive a master that crashes.
    seen: RefCell<Vec<u32>>,
}

/// With its whole path, as an upgrade needs it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("nginx"));
    programs.find(|program| program.is_file()).unwrap_or_else(|| "nginx".into())
}

fn command(setup: &Setup, path: &str) -> Command {
    let mut command = Command::new(program());
    // What nginx says before it has opened its log goes to stderr, too.
    command.arg("-p").arg(&setup.folder).args(["-e", "error.log", "-c", path]);
    command
}

/// Sends a signal to a process that this program has started, or a worker of it.
pub(crate) fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {name} {process}");
}

/// The text of what `nginx -t` says of a config.
pub(crate) fn test(setup: &Setup, config: &Config) -> (bool, String) {
    let path = setup.write("test.conf", &config.text(setup, setup.port(), "test"));
    let Output { status, stderr, .. } =
        command(setup, &path).arg("-t").output().expect("nginx in PATH");
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

impl<'s> Nginx<'s> {
    pub(crate) fn start(setup: &'s Setup, config: &Config) -> Result<Self, String> {
        let port = setup.port();
        let name = format!("nginx-{port}");
        let path = setup.write(&format!("{name}.conf"), &config.text(setup, port, &name));
        let child = command(setup, &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| format!("nginx: {error}"))?;
        let (mut master, mut kept) = (child.id(), None);
        if config.daemon {
            let started = child.wait().is_ok_and(|status| status.success());
            let file = setup.folder.join(format!("{name}.pid"));
            master = wait_for_process(&file, 0).filter(|_| started).ok_or("nginx fails")?;
        } else {
            kept = Some(child);
        }
        let nginx = Nginx { setup, name, port, master, child: kept, seen: RefCell::default() };
        let runs = wait_until(|| client::get(port, "/status").status == 200);
        check(runs, || "nginx does not start".to_owned())?;
        nginx.workers();
        Ok(nginx)
    }

    pub(crate) fn master(&self) -> u32 {
        self.master
    }

    /// The master's workers, old ones that still run included.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let master = self.master();
        let path = format!("/proc/{master}/task/{master}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        let workers: Vec<u32> =
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        self.seen.borrow_mut().extend(&workers);
        workers
    }

    /// Replaces the config and reloads; returns when new workers answer.
    pub(crate) fn reload(&self, config: &Config) -> Outcome {
        let before = self.workers();
        self.request_reload(config);
        let is_new = || {
            let now = self.workers();
            let new = now.iter().filter(|worker| !before.contains(worker)).count();
            new >= config.workers
        };
        check(wait_until(is_new), || "no new workers".to_owned())?;
        let is_over = || !before.iter().any(|worker| self.listens(*worker));
        check(wait_until(is_over), || "old workers go on to listen".to_owned())?;
        let worker = client::get(self.port, "/status").worker();
        check(worker != 0 && !before.contains(&worker), || "no new worker answers".to_owned())
    }

    /// Starts another master beside this one, as for a new nginx.
    pub(crate) fn upgrade(&self) -> Result<Upgraded, String> {
        signal("-USR2", self.master());
        let file = self.setup.folder.join(format!("{}.pid", self.name));
        let new = wait_for_process(&file, self.master()).ok_or("no new master")?;
        Ok(Upgraded(new))
    }

    /// True if this worker may still accept connections.
    pub(crate) fn listens(&self, worker: u32) -> bool {
        const LISTEN: &str = "0A";
        let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let port = format!(":{:04X}", self.port);
        let sockets: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words.len() > 9 && words[1].ends_with(&port) && words[3] == LISTEN)
            .map(|words| format!("socket:[{}]", words[9]))
            .collect();
        let Ok(files) = fs::read_dir(format!("/proc/{worker}/fd")) else { return false };
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        targets.into_iter().any(|target| sockets.iter().any(|socket| target == *Path::new(socket)))
    }

    pub(crate) fn request_reload(&self, config: &Config) {
        let text = config.text(self.setup, self.port, &self.name);
        self.setup.write(&format!("{}.conf", self.name), &text);
        signal("-HUP", self.master());
    }

    pub(crate) fn status(&self) -> status::Status {
        status::of(self.port, "u")
    }

    /// Waits until nothing is open.
    pub(crate) fn idle(&self) -> Result<status::Status, String> {
        let mut last = status::Status::default();
        let is_idle = wait_until(|| {
            last = self.status();
            last.is_idle()
        });
        check(is_idle, || format!("still open: {last:?}"))?;
        Ok(last)
    }
}

/// True if this process runs and is an nginx, with this parent.
fn runs(process: u32, parent: Option<&str>) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let words: Vec<&str> = stat.split_whitespace().skip(1).take(3).collect();
    let is_nginx = words.len() == 3 && words[0] == "(nginx)" && words[1] != "Z";
    is_nginx && parent.is_none_or(|parent| words[2] == parent)
}

impl Drop for Nginx<'_> {
    fn drop(&mut self) {
        let workers = self.workers();
        if let Some(child) = &mut self.child {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            if !wait_until(|| !matches!(child.try_wait(), Ok(None))) {
                let _ = child.kill();
                let _ = child.wait();
            }
        } else {
            end(self.master);
        }
        if workers.is_empty() {
            for worker in self.seen.borrow().iter().filter(|worker| runs(**worker, Some("1"))) {
                signal("-KILL", *worker);
            }
        }
    }
}

/// The process in a pid file, once it is there and another one than this.
fn wait_for_process(file: &Path, other: u32) -> Option<u32> {
    let mut found = None;
    wait_until(|| {
        let text = fs::read_to_string(file).unwrap_or_default();
        found = text.trim().parse().ok().filter(|process| *process != other);
        found.is_some()
    });
    found
}

/// The master that an upgrade has started.
pub(crate) struct Upgraded(u32);

impl Drop for Upgraded {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// Ends a master in the background.
fn end(master: u32) {
    if runs(master, None) {
        signal("-TERM", master);
        wait_until(|| !runs(master, None));
    }
}

/// `server` lines of these backends, each with the same parameters.
pub(crate) fn servers(backends: &[Backend], parameters: &str) -> String {
    backends
        .iter()
        .map(|backend| format!("server 127.0.0.1:{} {parameters};\n", backend.port))
        .collect()
}
