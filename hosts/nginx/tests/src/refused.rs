//! Configs that are refused: before they run, by name, and without any change.

use crate::backend::FAST;
use crate::nginx::{self, Config, Nginx, Setup, servers};
use crate::{Outcome, check, client, wait_until};

pub(crate) fn configs(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let lines = servers(&backends, "");
    let port = backends[0].port;
    let rules = setup.write(
        "vsched.rules",
        &format!(
            "-A -t 192.0.2.1:80 -s rr --vsched-sharing per-worker\n-a -t 192.0.2.1:80 -r 127.0.0.1:{port} -m\n\
             -A -t 192.0.2.2:80 -s rr\n"
        ),
    );
    let bad = setup.write("bad.rules", "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r\n");
    let json = setup.write("bad.json", "{\"services\": 1}");
    let one = setup.write(
        "one.rules",
        &format!("-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 127.0.0.1:{port} -m\n"),
    );
    let per_worker = "\"options=--vsched-sharing per-worker\"";
    let refused = [
        (
            format!("vsched scheduler=rr {per_worker}; {lines}"),
            "the state of `sharing` cannot be shared",
        ),
        (
            format!("vsched {rules} \"tcp 192.0.2.1:80\";"),
            "service tcp 192.0.2.1:80: the state of `sharing`",
        ),
        (format!("vsched {rules} \"tcp 192.0.2.2:80\";"), "\"tcp 192.0.2.2:80\" has no server"),
        (format!("vsched {one} \"tcp 192.0.2.1:80\"; {lines}"), "remove the directives \"server\""),
        (
            format!("vsched {rules} \"tcp 192.0.2.3:80\";"),
            "no virtual service \"tcp 192.0.2.3:80\"",
        ),
        (format!("vsched {rules};"), "needs the key"),
        (format!("vsched {rules} \"tcp 192.0.2.2:80\"; {lines}"), "has no server"),
        (format!("vsched {bad} \"tcp 192.0.2.1:80\";"), "line 2"),
        (format!("vsched {json} \"tcp 192.0.2.1:80\";"), "line 1"),
        ("vsched missing.rules \"tcp 192.0.2.1:80\";".to_owned(), "No such file"),
        (format!("vsched scheduler=nonsense; {lines}"), "`nonsense`: unknown scheduler"),
        (format!("vsched scheduler=rr more=1 2 3; {lines}"), "invalid parameter \"3\""),
        (format!("vsched scheduler=rr room=0; {lines}"), "invalid parameter \"room=0\""),
        (format!("vsched scheduler=rr zone=; {lines}"), "invalid parameter \"zone=\""),
        (format!("vsched scheduler=rr zone=/nonexistent/block; {lines}"), "No such file"),
        (
            format!("vsched scheduler=rr; server 127.0.0.1:{port} max_fails=3;"),
            "does not support parameter",
        ),
        ("vsched scheduler=rr; server unix:/run/x;".to_owned(), "only IP addresses"),
        (format!("vsched scheduler=rr; {lines} {lines}"), "exists"),
        (format!("vsched scheduler=rr; {lines} zone x 64k;"), "remove the directive \"zone\""),
        (format!("{lines} vsched scheduler=rr;"), "must come before \"server\""),
        (format!("least_conn; vsched scheduler=rr; {lines}"), "without another method"),
        (format!("vsched scheduler=rr; vsched scheduler=rr; {lines}"), "is duplicate"),
        (format!("vsched scheduler=rr room=1; {}", many()), "servers"),
    ];
    for (text, part) in &refused {
        let config = Config::new(2, format!("upstream u {{ {text} }}"));
        let (holds, said) = nginx::test(setup, &config);
        check(!holds && said.contains("[emerg]") && said.contains(part), || {
            format!("{text}\nwanted {part}\nfound {said}")
        })?;
    }

    // A running nginx refuses them, too, and goes on with what it has.
    let good = Config::new(2, format!("upstream u {{ vsched scheduler=wlc; {lines} }}"));
    let nginx = Nginx::start(setup, &good)?;
    let (text, part) = &refused[0];
    nginx.request_reload(&Config::new(2, format!("upstream u {{ {text} }}")));
    let logged = wait_until(|| {
        setup.error_log().lines().any(|line| line.contains("[emerg]") && line.contains(part))
    });
    check(logged, || "not in the log".to_owned())?;
    check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
    nginx.reload(&good)
}

/// More servers than a block of one has room for.
fn many() -> String {
    (1..200).map(|at| format!("server 127.0.1.{at}:80;\n")).collect()
}
