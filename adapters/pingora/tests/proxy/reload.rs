//! Config files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use vsched_pingora::{ConfigFile, ControlLoop};

use crate::backend::Backend;
use crate::gateway::{Gateway, request, rules};
use crate::{eventually, run};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vsched-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn toml(servers: &[(&Backend, u32)]) -> String {
    let mut text = String::from("[[services]]\nkey = \"tcp 10.9.9.9:80\"\nscheduler = \"wrr\"\n");
    for (backend, weight) in servers {
        let address = backend.address;
        text += &format!(
            "[[services.servers]]\naddress = \"{address}\"\nweight = {weight}\nforwarding = \"masq\"\n"
        );
    }
    text
}

#[test]
fn no_request_fails_while_the_config_changes() {
    run(async {
        let backends = Backend::many::<4>();
        let [a, b, c, d] = &backends;
        let (folder, configs) = (
            Folder::new("load"),
            [
                toml(&[(a, 1), (b, 1)]),
                toml(&[(a, 3), (b, 1), (c, 2)]),
                toml(&[(c, 1), (b, 1), (a, 0)]),
                toml(&[(c, 1), (b, 2), (d, 1)]),
                toml(&[(b, 5), (d, 1)]),
            ],
        );
        let path = folder.file("gateway.toml");
        fs::write(&path, &configs[0]).expect("a file");
        let file = ConfigFile::new(&path);
        let director = file.start().expect("a config");
        let work = ControlLoop::new(director.clone())
            .with_config_file(file)
            .with_poll_interval(Duration::from_millis(5));
        let gateway = Gateway::start_with(&director, |balancer| balancer, Some(work)).await;

        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = || {
            let (stop, answered, address) =
                (Arc::clone(&stop), Arc::clone(&answered), gateway.address);
            async move {
                while !stop.load(SeqCst) {
                    assert_eq!(request(address, "GET", "").await.status, 200);
                    answered.fetch_add(1, SeqCst);
                }
            }
        };
        let clients: Vec<_> = (0..4).map(|_| tokio::spawn(client())).collect();
        for number in 1..=40 {
            let text = &configs[number % configs.len()];
            // As an operator should: written beside it, then renamed.
            fs::write(folder.file("next"), text).expect("a file");
            fs::rename(folder.file("next"), &path).expect("a file");
            let wanted: vsched::Config = toml::from_str(text).expect("a config");
            let servers = |config: &vsched::Config| {
                let of = &config.services[0].servers;
                let mut of: Vec<_> = of.iter().map(|it| (it.address, it.weight)).collect();
                of.sort_unstable();
                of
            };
            let applied = || servers(&director.config()) == servers(&wanted);
            eventually("the config is applied", applied).await;
            let before = answered.load(SeqCst);
            eventually("requests go on", || answered.load(SeqCst) > before + 5).await;
        }
        stop.store(true, SeqCst);
        for client in clients {
            client.await.expect("no request fails");
        }
        assert!(backends.iter().all(|backend| backend.requests() > 0));
        gateway.assert_settled().await;
    });
}

#[test]
fn a_bad_file_changes_nothing_and_is_reported_once() {
    let backends = [Backend::dead(), Backend::dead()];
    let [a, b] = &backends;
    let folder = Folder::new("bad");
    let path = folder.file("gateway.rules");
    let good = rules("-s wlc", &[(a, ""), (b, "")]);
    fs::write(&path, &good).expect("a file");
    let file = ConfigFile::new(&path);
    let director = file.start().expect("a config");
    assert!(file.reload_if_changed(&director).expect("no change").is_none());
    let before = director.config();
    for (bad, expected) in [
        ("-A -t 10.9.9.9:80 -s nonsense", "line 1"),
        ("", "would be removed"),
        ("-A -t 10.9.9.9:80\n-a -t 10.9.9.9:80 -r 10.1.1.1 -g", "forwarding: expected masq"),
    ] {
        fs::write(&path, bad).expect("a file");
        let error = file.reload_if_changed(&director).expect_err(bad).to_string();
        assert!(error.contains(expected) && error.contains("gateway.rules"), "{error}");
        assert!(file.reload_if_changed(&director).expect("no change since").is_none());
        assert_eq!(director.config(), before);
    }
    fs::remove_file(&path).expect("a file");
    file.reload_if_changed(&director).expect_err("it is gone");
    assert!(file.reload_if_changed(&director).expect("still gone").is_none());
    fs::write(&path, good.replace("wlc", "rr")).expect("a file");
    assert!(file.reload_if_changed(&director).expect("a config").is_some());
    assert_ne!(director.config(), before);
}

#[test]
fn a_config_is_the_same_in_all_texts() {
    let backend = Backend::dead();
    let folder = Folder::new("texts");
    let rules = rules("-s wrr", &[(&backend, "-w 7")]);
    let json = serde_json::to_string(&rules.parse::<vsched::Config>().expect("rules"));
    let texts = [
        ("a.toml", toml(&[(&backend, 7)])),
        ("a.json", json.expect("JSON")),
        ("a.rules", rules.clone()),
        ("a", rules),
    ];
    let configs = texts.map(|(name, text)| {
        fs::write(folder.file(name), text).expect("a file");
        ConfigFile::new(folder.file(name)).read().expect("a config")
    });
    assert!(configs.iter().all(|config| *config == configs[0]), "{configs:?}");
    let error = ConfigFile::new(folder.file("none")).read().expect_err("no such file");
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn the_config_of_the_readme_is_one() {
    let readme = include_str!("../../README.md");
    let text = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = Folder::new("readme");
    let path = folder.file("gateway.toml");
    fs::write(&path, text.expect("a block of TOML")).expect("a file");
    let director = ConfigFile::new(&path).start().expect("a config");
    let web = director.service("web").expect("the README's service");
    assert_eq!(director.servers(web).expect("it runs").len(), 3);
}
