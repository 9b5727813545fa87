//! Probes the kernel with requests that it must refuse.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;

use crate::config::SchedulerKind;
use crate::config::{
    Family, KernelRules, Netmask, Persistence, RealServer, ServiceKey, VirtualService,
};
use crate::netlink::socket::leave_network_namespace;
use crate::netlink::{Cause, Error, Kernel, Request};

/// Whether the kernel has a module.
pub(super) enum Probed {
    There,
    Missing,
    Untold,
}

/// Firewall marks that are hardly ever used; each one is tried if the previous one is taken.
const MARKS: [u32; 3] = [0xffff_ff5e, 0x7fff_ff5d, 0x5a5a_5a5b];

/// The kernel checks the scheduler, then the engine, then the prefix.
pub(super) fn module(
    kernel: &mut Kernel,
    scheduler: Option<SchedulerKind>,
    engine: Option<&str>,
) -> Result<Probed, Error> {
    let netmask = Some(Netmask::Inet6(129));
    for mark in MARKS {
        let key = ServiceKey::fwmark(mark, Family::Inet6);
        let service = VirtualService {
            scheduler,
            persistence_engine: engine.map(str::to_owned),
            persistence: Some(Persistence { netmask, ..Persistence::default() }),
            ..VirtualService::new(key)
        };
        let cause = match kernel.execute_one(&Request::add_service(&service)) {
            Err(Error::Refused(refused)) => refused.cause(),
            Err(error) => return Err(error),
            // No known kernel accepts the prefix. If one does, the service now exists, without servers.
            Ok(()) => {
                kernel.execute_one(&Request::delete_service(&key))?;
                return Ok(Probed::There);
            }
        };
        match cause {
            Cause::NoScheduler => return Ok(Probed::Missing),
            Cause::Invalid => return Ok(Probed::There),
            Cause::Exists => {}
            _ => return Ok(Probed::Untold),
        }
    }
    Ok(Probed::Untold)
}

pub(super) fn generation(kernel: &mut Kernel) -> Result<Option<KernelRules>, Error> {
    for service in kernel.read_services_once()?.observed.services {
        // `None`: the service is gone meanwhile.
        if let Some(generation) = by_threshold(kernel, &service.settings.key)? {
            return Ok(Some(generation));
        }
    }
    let isolated = thread::Builder::new().name("preflight".into()).spawn(|| {
        leave_network_namespace().map_err(Error::system("making a network namespace"))?;
        let mut kernel = Kernel::open()?;
        let key = ServiceKey::fwmark(1, Family::Inet);
        kernel.execute_one(&Request::add_service(&VirtualService::new(key)))?;
        by_threshold(&mut kernel, &key)
    });
    let answer = isolated.ok().and_then(|thread| thread.join().ok());
    // Without permission for a namespace, the answer stays unknown.
    Ok(answer.and_then(Result::ok).flatten())
}

fn by_threshold(kernel: &mut Kernel, key: &ServiceKey) -> Result<Option<KernelRules>, Error> {
    let nowhere = match key.family() {
        Family::Inet => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        Family::Inet6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let server = RealServer::new(nowhere).with_thresholds(1 << 31, 0);
    match kernel.execute_one(&Request::edit_server(key, &server)) {
        Err(Error::Refused(refused)) => Ok(match refused.cause() {
            Cause::NoServer => Some(KernelRules::A),
            Cause::Invalid => Some(KernelRules::B),
            _ => None,
        }),
        Err(error) => Err(error),
        Ok(()) => Ok(None),
    }
}
