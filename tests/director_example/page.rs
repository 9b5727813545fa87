//! The example's status page in a real browser.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::backend::{Backend, page, wait_for_state};
use crate::browser::Browser;
use crate::process::Process;
use crate::servers::{File, ask};
use crate::service;

const TAB: &str = "\u{E004}";

/// Requests to a service, one after the other, until it is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(service: SocketAddr, pause: impl Fn(u64) -> Duration + Send + 'static) -> Self {
        Load::repeat(move |number| {
            ask(service);
            thread::sleep(pause(number));
        })
    }

    /// A client that keeps its connection for these seconds, and then opens another one.
    fn hold(service: SocketAddr, seconds: u64) -> Self {
        Load::repeat(move |_| {
            let connection = TcpStream::connect(service);
            thread::sleep(Duration::from_secs(seconds));
            drop(connection);
        })
    }

    fn repeat(act: impl Fn(u64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            (0..).take_while(|_| !stopped.load(Ordering::SeqCst)).for_each(act);
        });
        Load { stop, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A script that looks at a server's row.
fn in_row(server: SocketAddr, script: &str) -> String {
    format!(
        "const row = document.querySelector('tr[data-server=\"{server}\"]'); \
         if (!row) return false; {script}"
    )
}

const RULES: &str =
    "-s wrr --vsched-ejection failures=3,base-time=4 --vsched-slow-start duration=60";

fn start(name: &str, service: SocketAddr, servers: &[(SocketAddr, u32)]) -> (File, Process) {
    let rule = |(server, weight): &(SocketAddr, u32)| {
        format!("-a -t {service} -r {server} -m -w {weight}\n")
    };
    let rules = servers.iter().map(rule).collect::<String>();
    let file = File::new(name, &format!("-A -t {service} {RULES}\n{rules}"));
    let process = Process::serving(&[
        "--rules",
        file.path(),
        "--status",
        "127.0.0.1:0",
        "--health",
        "tcp",
        "--health-interval",
        "0.5",
        "--fall",
        "4",
    ]);
    (file, process)
}

/// A server dies under load and comes back: the page says what becomes of it.
#[test]
fn the_page_shows_a_server_go_and_come_back() {
    let Some(browser) = Browser::start("page") else { return };
    let service = service();
    let (good, mut bad) = (Backend::start([127, 0, 0, 11]), Backend::start([127, 0, 0, 12]));
    let (file, process) = start("page", service, &[(good.address, 1), (bad.address, 1)]);
    let load = Load::start(service, |_| Duration::from_millis(10));
    browser.resize(1200, 900);
    browser.open(&format!("http://{}/", page(&process)));
    browser
        .wait_for("the page to live", "return document.getElementById('live').innerText == 'live'");
    for server in [good.address, bad.address] {
        let up = "return row.className == 'up' && /\\bup\\b/.test(row.innerText) && \
                  !row.querySelector('progress').checkVisibility()";
        browser.wait_for("a server that is up", &in_row(server, up));
    }
    let traffic = "return /[1-9]/.test(row.querySelector('.share').innerText) && \
                   row.querySelector('.line').getAttribute('d').includes('L')";
    browser.wait_for("shares and a history", &in_row(bad.address, traffic));

    bad.stop();
    let ejected = "return row.classList.contains('ejected') && row.innerText";
    let text = browser.wait_for("the ejection", &in_row(bad.address, ejected));
    let text = text.as_str().expect("a text");
    assert!(text.contains("ejected"), "{text}");
    let reason = "return row.innerText.includes('3 failures in a row; ejection 1')";
    browser.wait_for("the reason", &in_row(bad.address, reason));
    browser.wait_for("the title", "return document.title.startsWith('(1 down) ')");
    let event =
        format!("return document.getElementById('events').innerText.includes('{}')", bad.address);
    browser.wait_for("the event", &event);
    // The health checker notices as well, and keeps it down when the ejection is over.
    let down = "return row.classList.contains('down') && /▼ down/.test(row.innerText) && \
                row.innerText.includes('health-checker: Connection refused')";
    browser.wait_for("it to be down", &in_row(bad.address, down));
    let color = "return getComputedStyle(row.querySelector('.badge')).color";
    assert_ne!(
        browser.run(&in_row(bad.address, color)),
        browser.run(&in_row(good.address, color)),
        "its color differs, too"
    );

    bad.start_again();
    let slow = "return row.classList.contains('up') && /slow start \\d+ %/.test(row.innerText) && \
                row.querySelector('progress').checkVisibility() && row.querySelector('progress').value";
    let first = browser.wait_for("slow start", &in_row(bad.address, slow));
    let first = first.as_f64().expect("a number");
    assert!(first < 100.0, "{first}");
    let later = format!("const now = row.querySelector('progress').value; return now > {first}");
    browser.wait_for("its progress", &in_row(bad.address, &later));
    browser.wait_for("the title", "return document.title == 'vsched director'");

    // A server that is added appears; removed ones disappear.
    file.write(&format!("-A -t {service} {RULES}\n-a -t {service} -r {} -m\n", good.address));
    process.signal("HUP");
    let gone = format!("return !document.querySelector('tr[data-server=\"{}\"]')", bad.address);
    browser.wait_for("the row to go", &gone);
    assert_eq!(browser.complaints(), [""; 0]);

    drop((load, process));
    let offline = "const it = document.getElementById('offline'); \
                   return !it.hidden && it.innerText.includes('cannot be reached') && \
                   document.getElementById('live').innerText == 'not reachable'";
    browser.wait_for("the page to notice the end", offline);
}

/// Luminance contrast of a text with what is behind it, after WCAG.
const CONTRAST: &str = "
    const channels = color => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = channels(getComputedStyle(element).backgroundColor);
            if (color.length == 3 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    const low = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(it => it.nodeType == 3 && it.data.trim());
        if (!own || !element.checkVisibility()) continue;
        const [a, b] = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) low.push(element.outerHTML.slice(0, 80) + ' ' + contrast);
    }
    return low.join('\\n');";

#[test]
fn the_page_is_for_keyboards_narrow_screens_and_both_schemes() {
    let Some(browser) = Browser::start("access") else { return };
    let service = service();
    let (good, dead) = (Backend::start([127, 0, 0, 11]), Backend::start([127, 0, 0, 12]));
    let (good_address, dead_address) = (good.address, dead.address);
    let (_file, process) = start("access", service, &[(good_address, 0), (dead_address, 1)]);
    let page = page(&process);
    drop(dead);
    wait_for_state(page, dead_address, "down");
    browser.open(&format!("http://{page}/"));
    browser.wait_for("the server", &in_row(dead_address, "return row.classList.contains('down')"));

    // Both color schemes are there, and readable.
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        let background = browser.run("return getComputedStyle(document.body).backgroundColor");
        backgrounds.push(background.as_str().expect("a color").to_owned());
        assert_eq!(browser.run(CONTRAST), "", "{scheme}");
    }
    assert_ne!(backgrounds[0], backgrounds[1]);

    browser.resize(1200, 900);
    // The keyboard reaches everything, in order, and one sees where it is.
    browser.run("document.activeElement.blur()");
    let mut reached = Vec::new();
    for _ in 0..9 {
        browser.press(TAB);
        let place = "const it = document.activeElement; \
                     const seen = getComputedStyle(it).outlineStyle != 'none'; \
                     return (it.id || it.className || it.tagName) + (seen ? '' : ' unseen')";
        reached.push(browser.run(place).as_str().expect("a name").to_owned());
    }
    let wanted = ["skip", "filter", "trouble", "SUMMARY", "events"];
    assert_eq!(reached[..5], wanted, "{reached:?}");
    let rows =
        "return [...document.querySelectorAll('tbody tr')].map(it => it.dataset.server).join()";
    browser.run("document.getElementById('trouble').focus()");
    browser.press(" ");
    browser.wait_for("the filter", &format!("{rows} == '{dead_address}'"));
    browser.press(" ");
    browser.wait_for("both", &format!("{rows} == '{good_address},{dead_address}'"));
    browser.run("document.getElementById('filter').focus()");
    for digit in "127.0.0.11:".chars() {
        browser.press(&digit.to_string());
    }
    browser.wait_for("the filter", &format!("{rows} == '{good_address}'"));
    browser.run("document.getElementById('filter').value = ''");
    browser.wait_for("both", &format!("{rows} == '{good_address},{dead_address}'"));

    // A usual window shows the whole table.
    browser.resize(1100, 900);
    let whole =
        "const it = document.querySelector('.table'); return it.scrollWidth <= it.clientWidth";
    assert_eq!(
        browser.run(whole),
        true,
        "{}",
        browser.run("return document.querySelector('table').scrollWidth")
    );
    // On a narrow screen nothing is cut off, and the table is still one for those who hear it.
    browser.resize(380, 800);
    let root = "const root = document.documentElement; ";
    let fits = format!("{root} return innerWidth == 380 && root.scrollWidth <= root.clientWidth");
    assert_eq!(browser.run(&fits), true);
    let roles = "return [...document.querySelectorAll('[role=table] [role=row]')] \
                 .map(row => row.querySelectorAll('[role=cell], [role=columnheader], [role=rowheader]').length).join()";
    assert_eq!(browser.run(roles), "10,10,10");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Thousands of servers: the page shows those in trouble, and the others on request.
#[test]
fn the_page_copes_with_many_servers() {
    let Some(browser) = Browser::start("many") else { return };
    let (service, first) = (service(), Backend::start([127, 0, 0, 11]));
    let port = first.address.port();
    let server =
        |n: u16| format!("-a -t {service} -r 127.2.{}.{}:{port} -m -w 0\n", n >> 8, n & 255);
    let rules = (0..3000).map(server).collect::<String>();
    let file = File::new("page-many", &format!("-A -t {service}\n{rules}"));
    let process = Process::serving(&["--rules", file.path(), "--status", "127.0.0.1:0"]);
    browser.open(&format!("http://{}/", page(&process)));
    let rows = "return document.querySelectorAll('tbody tr').length";
    browser.wait_for("a hundred", &format!("{rows} == 100"));
    let label = browser.run("return document.querySelector('button').innerText");
    assert_eq!(label, "Show all 3,000 servers");
    browser.run("document.querySelector('button').click()");
    browser.wait_for("all", &format!("{rows} == 3000"));
    browser.run("document.querySelector('button').click()");
    browser.wait_for("a hundred", &format!("{rows} == 100"));
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The picture in the README, from minutes of load: `make picture`.
#[test]
#[ignore = "takes minutes, and writes docs/images"]
fn picture() {
    let browser = Browser::start("picture").expect("a browser");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    let service = SocketAddr::from(([127, 0, 0, 1], 8080));
    let mut backends: Vec<Backend> =
        (11..=15_u8).map(|n| Backend::start_at(SocketAddr::from(([127, 0, 0, n], 8080)))).collect();
    let weights = [4, 2, 2, 1, 1];
    let servers: Vec<(SocketAddr, u32)> =
        backends.iter().map(|backend| backend.address).zip(weights).collect();
    let (_file, process) = start("picture", service, &servers);
    let page = page(&process);
    let wave = |n: u64| Duration::from_micros(9_000 + 800 * (n / 97 % 7) + 3_000 * (n / 2_003 % 2));
    let _load = Load::start(service, wave);
    let _clients: Vec<Load> = (1..=9).map(|n| Load::hold(service, n)).collect();
    browser.resize(1100, 800);
    browser.open(&format!("http://{page}/"));
    let long = Duration::from_secs(1);
    thread::sleep(long * 110);
    backends[4].stop();
    thread::sleep(long * 35);
    backends[2].stop();
    wait_for_state(page, backends[2].address, "down");
    thread::sleep(long * 30);
    backends[2].start_again();
    wait_for_state(page, backends[2].address, "up");
    thread::sleep(long * 35);
    for (name, width, height) in [("status", 1100, 800), ("narrow", 380, 1400)] {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.resize(width, height);
            thread::sleep(long * 2);
            let picture = browser.picture();
            // One of them is for the README; the others are for those who change the page.
            let path = match (name, scheme) {
                ("status", "light") => folder.join("status.png"),
                _ => std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
                    .join(format!("{name}-{scheme}.png")),
            };
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &picture).expect("a file");
            println!("{}: {} bytes", path.display(), picture.len());
        }
    }
}
