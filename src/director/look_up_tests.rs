use crate::{Config, Director, Flow};

const RULES: &str = "
    -A -t 10.0.0.1:80 -s rr --vsched-name web
    -a -t 10.0.0.1:80 -r 10.0.1.1
    -a -t 10.0.0.1:80 -r 10.0.1.2 -w 0
";

fn running(rules: &str) -> (Config, Director) {
    let config: Config = rules.parse().expect("valid rules");
    let director = Director::new(&config).expect("a valid config");
    (config, director)
}

/// A thread that takes a lock which it holds would wait for ever.
#[test]
fn look_ups_do_not_wait_for_the_directors_lock() {
    let (config, director) = running(RULES);
    let key = config.services[0].key;
    let flow = Flow::tcp(([10, 9, 9, 9], 4000).into(), ([10, 0, 0, 1], 80).into());
    let control = director.inner.control.lock();
    let service = director.service_by_key(&key).expect("it runs");
    assert_eq!(director.service("web"), Ok(service));
    assert_eq!(director.service("tcp 10.0.0.1:80"), Ok(service));
    assert_eq!(director.service_for(&flow), Some(service));
    let pick = director.pick_server(service, &flow).expect("one is up");
    for server in &config.services[0].servers {
        let found = director.server_by_address(service, server.address).expect("it runs");
        assert_eq!(found == pick.server(), server.weight > 0);
        assert_eq!(director.counts(found), Some(Default::default()));
    }
    assert_eq!(director.server_by_address(service, ([10, 0, 1, 9], 80).into()), None);
    drop(control);
}
