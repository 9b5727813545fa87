//! Reads descriptions of services.

use std::net::Ipv4Addr;

use crate::config::{
    Affinity, Ejection, Netmask, OutlierMethod, Outliers, Persistence, SHARINGS, SchedulerFlags,
    ServiceKey, ServiceSettings, Sharing, SlowStart, Ties, VirtualService,
};
use crate::error::Quoted;
use crate::ffi::Fault;
use crate::ffi::status::VSCHED_E_ARGUMENT;
use crate::ffi::structs::{
    VSCHED_OUTLIERS_MEAN, VSCHED_OUTLIERS_MEDIAN, VSCHED_OUTLIERS_NONE, VSCHED_ZERO, bad, byte,
    key, name, or, vsched_service,
};
use crate::ffi::text::vsched_text;

/// # Safety
/// The texts are readable.
pub(super) unsafe fn read(from: vsched_service) -> Result<ServiceSettings, Fault> {
    // SAFETY: the caller's promise, here and below.
    let text = |text: vsched_text| unsafe { text.read() };
    let key: ServiceKey = key(text(from.key)?)?;
    let default = VirtualService::new(key).settings();
    let scheduler = match text(from.scheduler)? {
        "" => default.scheduler,
        "none" => None,
        name => Some(name.parse().map_err(|error| Fault::new(VSCHED_E_ARGUMENT, error))?),
    };
    let mut flags = SchedulerFlags::default();
    for name in text(from.flags)?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let flag = SchedulerFlags::named(name, scheduler);
        flags = flags
            .union(flag.ok_or_else(|| bad("flag", Quoted(name), "one that the scheduler has"))?);
    }
    let persistence = match (from.persistence_timeout, text(from.persistence_netmask)?) {
        (0, "") => None,
        (0, mask) => {
            return Err(bad("netmask", Quoted(mask), "none without a persistence timeout"));
        }
        (timeout, mask) => Some(Persistence { timeout, netmask: netmask(mask)? }),
    };
    let engine = text(from.persistence_engine)?;
    let table = or(from.mh_table_index, u32::from(default.mh_table_index));
    let sharing = match text(from.sharing)? {
        "" => Sharing::Exact,
        name => Sharing::read(name).ok_or_else(|| bad("sharing", Quoted(name), SHARINGS))?,
    };
    let ties = match text(from.ties)? {
        "" | "kernel" => Ties::Kernel,
        "rotate" => Ties::Rotate,
        name => return Err(bad("ties", Quoted(name), "kernel or rotate")),
    };
    Ok(ServiceSettings {
        sharing,
        ties,
        ejection: ejection(&from)?,
        slow_start: slow_start(&from)?,
        spill_over: (from.spill_over != 0).then_some(from.spill_over),
        panic_threshold: byte("panic_threshold", from.panic_threshold, "0 to 100")?,
        name: name(text(from.name)?)?,
        scheduler,
        flags,
        persistence,
        mh_table_index: byte("mh_table_index", table, "8 to 17")?,
        persistence_engine: (!engine.is_empty()).then(|| engine.to_owned()),
        one_packet: from.one_packet != 0,
        affinity: Affinity {
            capacity: or(from.affinity_capacity, default.affinity.capacity),
            expiration: or(from.affinity_expiration, default.affinity.expiration),
        },
        ..default
    })
}

fn netmask(text: &str) -> Result<Option<Netmask>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let inet = text.parse::<Ipv4Addr>().map(Netmask::Inet).ok();
    let mask = inet.or_else(|| text.parse().map(Netmask::Inet6).ok());
    mask.map(Some)
        .ok_or_else(|| bad("netmask", Quoted(text), "an IPv4 mask or an IPv6 prefix length"))
}

/// A number that may be 0, and is 0 for the default.
fn from_zero(value: u32, default: u32) -> u32 {
    if value == VSCHED_ZERO { 0 } else { or(value, default) }
}

fn ejection(from: &vsched_service) -> Result<Option<Ejection>, Fault> {
    let of_outliers = [from.eject_factor, from.eject_least_outcomes, from.eject_least_servers];
    let own = [
        from.eject_failures,
        from.eject_interval,
        from.eject_base_time,
        from.eject_max_time,
        from.eject_max_share,
        from.eject_trials,
        from.eject_outliers,
    ];
    if from.eject == 0 {
        let given = own.iter().chain(&of_outliers).any(|number| *number != 0);
        let refused = || bad("eject", 0, "1 where other fields of ejection are given");
        return if given { Err(refused()) } else { Ok(None) };
    }
    let method = match from.eject_outliers {
        VSCHED_OUTLIERS_NONE if of_outliers == [0; 3] => None,
        VSCHED_OUTLIERS_MEAN => Some(OutlierMethod::Mean),
        VSCHED_OUTLIERS_MEDIAN => Some(OutlierMethod::Median),
        VSCHED_OUTLIERS_NONE => {
            return Err(bad(
                "eject_outliers",
                0,
                "VSCHED_OUTLIERS_MEAN or _MEDIAN with a factor or least",
            ));
        }
        other => return Err(bad("eject_outliers", other, "VSCHED_OUTLIERS_NONE, _MEAN, _MEDIAN")),
    };
    let (usual, compared) = (Ejection::default(), Outliers::default());
    let max_share = from_zero(from.eject_max_share, usual.max_share.into());
    Ok(Some(Ejection {
        failures: from_zero(from.eject_failures, usual.failures),
        outliers: method.map(|method| Outliers {
            method,
            factor: or(from.eject_factor, compared.factor),
            least_outcomes: or(from.eject_least_outcomes, compared.least_outcomes),
            least_servers: or(from.eject_least_servers, compared.least_servers),
        }),
        interval: or(from.eject_interval, usual.interval),
        base_time: or(from.eject_base_time, usual.base_time),
        max_time: or(from.eject_max_time, usual.max_time),
        max_share: byte("eject_max_share", max_share, "0 to 100")?,
        trials: or(from.eject_trials, usual.trials),
    }))
}

fn slow_start(from: &vsched_service) -> Result<Option<SlowStart>, Fault> {
    let usual = SlowStart::default();
    match (from.slow_start, from.slow_start_aggression, from.slow_start_least) {
        (0, 0, 0) => Ok(None),
        (0, ..) => Err(bad("slow_start", 0, "seconds where its other fields are given")),
        (duration, aggression, least) => Ok(Some(SlowStart {
            duration,
            aggression: or(aggression, usual.aggression),
            least: byte("slow_start_least", or(least, usual.least.into()), "1 to 100")?,
        })),
    }
}
