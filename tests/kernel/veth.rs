//! Clients keep being served while the config changes, over virtual wires: client, director and
//! real servers are hosts of a laboratory.

use vsched::Config;
use vsched::netlink::plan::Policy;
use vsched::netlink::{Ipvs, Options, Progress, Request, Rollout, Status};

use crate::clients::{Clients, Fared, Held, PORT, Server};
use crate::guest::note;
use crate::labs::{Built, DR, Lab, NAT};
use crate::sync::{config, immediate};
use crate::traffic::{PATIENCE, draining, end, hashed_policy};

/// A laboratory whose real servers serve one more service.
struct Site<'b> {
    built: &'b Built<'b>,
    method: &'static str,
    ipvs: Ipvs,
}

fn traffic(lab: &Lab, method: &'static str, change: impl FnOnce(&mut Site<'_>)) {
    let built = Built::new(lab);
    // Every client is to be told that it is refused.
    built.director.shell("sysctl -w net.ipv4.icmp_ratelimit=0");
    let server = |number: u8| Server::start(built.server(&number.to_string()), number);
    let _servers = [11, 12].map(server);
    // One change a system call, for clients to get in between.
    let options = Options::default().with_batch(1).with_namespace(built.director.namespace());
    let ipvs = Ipvs::with_options(&options).expect("IPVS");
    let mut site = Site { built: &built, method, ipvs };
    change(&mut site);
}

pub(crate) fn nat() {
    // Names of namespaces are the whole kernel's.
    traffic(&Lab { name: "vn", ..NAT }, "-m", |site| {
        site.live_connection();
        site.swaps();
        site.hashed_drains();
    });
}

pub(crate) fn dr() {
    traffic(&Lab { name: "vd", ..DR }, "-g", |site| {
        site.live_connection();
        site.swaps();
    });
}

impl Site<'_> {
    fn wanted(&self, scheduler: &str, servers: &[(u8, u32)]) -> Config {
        let service = format!("{}:{PORT}", self.built.lab.address);
        let mut rules = format!("-A -t {service} -s {scheduler}\n");
        for (number, weight) in servers {
            let server = format!("192.168.5.{number}:{PORT} {} -w {weight}", self.method);
            rules += &format!("-a -t {service} -r {server}\n");
        }
        config(&rules)
    }

    fn sync(&mut self, wanted: &Config, policy: &Policy) {
        let report = self.ipvs.sync(wanted.clone(), policy).expect("in sync");
        assert!(report.is_complete(), "{report}");
    }

    /// How clients fare until `change` is through.
    fn under_traffic(&mut self, what: &str, change: impl FnOnce(&mut Self, &mut Clients)) -> Fared {
        let mut clients = Clients::start(&self.built.client, self.built.lab.address);
        clients.wait(20);
        change(self, &mut clients);
        clients.wait(50);
        let fared = clients.fared();
        let Fared { clients, refused, cut } = fared;
        let lab = self.built.lab.name;
        note(format!("{lab}: {what}: {refused} of {clients} clients refused, {cut} cut off"));
        fared
    }

    /// A drain disturbs neither the connection that it waits for nor any other.
    fn live_connection(&mut self) {
        let (both, one) = (self.wanted("rr", &[(11, 1), (12, 1)]), self.wanted("rr", &[(12, 1)]));
        self.sync(&both, &Policy::default());
        let (client, address) = (&self.built.client, self.built.lab.address);
        let mut held = [(); 2].map(|()| Held::connect(client, address)).into_iter();
        let mut held = held.find_map(|mut held| (held.ask() == "11").then_some(held));
        let fared = self.under_traffic("a drain", |site, clients| {
            let plan = site.ipvs.plan(one, &draining(PATIENCE)).expect("a plan");
            let mut rollout = Rollout::new(plan);
            for _ in 0..5 {
                let Progress::Wait(_) = rollout.poll(&mut site.ipvs) else { panic!("no wait") };
                assert_eq!(held.as_mut().expect("a connection to it").ask(), "11");
                clients.wait(10);
            }
            held = None;
            end(&mut rollout, &mut site.ipvs);
            let report = rollout.into_report();
            let drained = report.outcomes().iter().any(|o| o.status == Status::Drained);
            assert!(drained && report.is_complete(), "{report}");
        });
        assert_eq!((fared.refused, fared.cut), (0, 0));
    }

    /// Servers, weights and schedulers change, and no client is refused.
    fn swaps(&mut self) {
        let configs = [
            self.wanted("rr", &[(11, 1)]),
            self.wanted("rr", &[(12, 1)]),
            self.wanted("wrr", &[(11, 5)]),
            self.wanted("wlc", &[(11, 3), (12, 0)]),
            self.wanted("sh", &[(12, 2)]),
            self.wanted("mh", &[(11, 1), (12, 2)]),
            self.wanted("lc", &[(11, 1)]),
        ];
        for policy in [&draining(PATIENCE), &immediate()] {
            self.sync(&configs[0], policy);
            let fared = self.under_traffic("swaps", |site, clients| {
                for wanted in configs.iter().cycle().skip(1).take(3 * configs.len()) {
                    site.sync(wanted, policy);
                    clients.wait(3);
                }
            });
            assert_eq!(fared.refused, 0);
            assert!(fared.cut == 0 || *policy == immediate(), "{fared:?}");
        }
        // Deleted first and added afterwards, as others do it: for this test to be able to fail.
        let fared = self.under_traffic("deleted first", |site, clients| {
            let service = &configs[0].services[0];
            for request in [
                Request::delete_server(&service.key, service.servers[0].address),
                Request::add_server(&service.key, &service.servers[0]),
            ] {
                site.ipvs.kernel().execute_one(&request).expect("carried out");
                clients.wait(3);
            }
        });
        assert!(fared.refused > 0, "nobody was refused");
    }

    /// Schedulers that hash clients to servers refuse those of a quiesced one, unless they fall back.
    fn hashed_drains(&mut self) {
        for scheduler in ["sh -b sh-port", "mh -b mh-port"] {
            let both = self.wanted(scheduler, &[(11, 1), (12, 1)]);
            let one = self.wanted(scheduler, &[(12, 1)]);
            self.sync(&both, &immediate());
            // By hand, for these tests to be able to fail.
            let service = &both.services[0];
            let quiesced = service.servers[0].clone().with_weight(0);
            let by_hand = self.under_traffic("quiesced by hand", |site, _| {
                let edit = Request::edit_server(&service.key, &quiesced);
                site.ipvs.kernel().execute_one(&edit).expect("edited");
            });
            assert!(by_hand.refused > 0, "nobody was refused by hand");
            self.sync(&both, &immediate());
            let fared = self.under_traffic(scheduler, |site, clients| {
                let plan = site.ipvs.plan(one.clone(), &hashed_policy()).expect("a plan");
                let mut rollout = Rollout::new(plan);
                let Progress::Wait(_) = rollout.poll(&mut site.ipvs) else { panic!("no wait") };
                clients.wait(50);
                end(&mut rollout, &mut site.ipvs);
                assert!(rollout.into_report().is_complete());
            });
            assert_eq!((fared.refused, fared.cut), (0, 0));
            assert!(self.ipvs.plan(one.clone(), &Policy::default()).expect("a plan").is_empty());
        }
    }
}
