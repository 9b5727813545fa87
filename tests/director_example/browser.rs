//! A headless Chromium, driven by chromedriver's WebDriver protocol.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::installed;
use crate::process::PATIENCE;

/// A start of a browser on a busy machine takes longer than anything else.
const START: Duration = Duration::from_secs(120);

pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    folder: PathBuf,
}

impl Browser {
    /// `None`, with a line that says SKIPPED, where the programs are not installed; with
    /// `VSCHED_PROGRAMS=required` in the environment that is a failure.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let chromium = installed::program("chromium")?;
        let chromedriver = installed::program("chromedriver")?;
        let folder = std::env::temp_dir().join(format!("vsched-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let port = line.split("started successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse().ok()
        });
        let port = port.expect("chromedriver says its port");
        thread::spawn(move || lines.for_each(drop));
        let mut browser = Browser { driver, port, session: String::new(), folder };
        let data = format!("--user-data-dir={}", browser.folder.join("profile").display());
        let options = json!({
            "binary": chromium,
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--force-color-profile=srgb", data,
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = browser.call_within(START, "POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Runs a function body in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs it until it returns something that is neither false nor empty.
    pub(crate) fn wait_for(&self, what: &str, script: &str) -> Value {
        let end = Instant::now() + PATIENCE * 2;
        loop {
            let value = self.run(script);
            if !matches!(&value, Value::Null | Value::Bool(false)) && value != "" {
                return value;
            }
            let text = || self.run("return document.body.innerText");
            assert!(Instant::now() < end, "waited for {what} in vain: {:#}", text());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses and releases a key.
    pub(crate) fn press(&self, key: &str) {
        let stroke =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": stroke }]);
        self.post("/actions", &json!({ "actions": actions }));
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    pub(crate) fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// What the browser complained of: scripts, policies, files that were not found.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("entries").iter();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// A picture of the window, as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let text = self.call("GET", &self.path("/screenshot"), &Value::Null);
        base64(text.as_str().expect("a text"))
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    fn path(&self, command: &str) -> String {
        format!("/session/{}{command}", self.session)
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.call("POST", &self.path(command), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call_within(PATIENCE, method, path, body)
    }

    fn call_within(&self, time: Duration, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver");
        stream.set_read_timeout(Some(time)).expect("a timeout");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("chromedriver reads");
        let (status, body) = response(BufReader::new(stream)).expect("chromedriver answers");
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status.starts_with("HTTP/1.1 200"), "{method} {path}: {value:#}");
        value["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, also one whose session was never told. Not by `call`, which panics.
        for request in [format!("DELETE /session/{}", self.session), "GET /shutdown".to_owned()] {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let head = "HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.write_all(format!("{request} {head}").as_bytes());
                let _ = response(BufReader::new(stream));
            }
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Status line and body. The connection may stay open after it.
fn response(mut stream: impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, body))
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').map(value).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let word = group.iter().fold(0_u32, |word, digit| word << 6 | u32::from(*digit));
        let word = word << (6 * (4 - group.len()));
        bytes.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    bytes
}
