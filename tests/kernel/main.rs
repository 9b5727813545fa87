//! Tests in a real kernel that runs as a process (user-mode Linux).
//!
//! The program boots `linux.uml` and runs itself in it, each scenario in its own process and
//! network namespace. Without `linux.uml` it prints SKIPPED; with `VSCHED_KERNEL=required` in the
//! environment that is a failure. `cargo test --test kernel -- WORD…` runs the scenarios whose
//! names contain a word. Measurements and soaks run only if the word begins with `measure_` or
//! `soak_`.
#![cfg(target_os = "linux")]

mod batches;
mod clients;
mod dumps;
mod faults;
mod guest;
mod interference;
mod machine;
mod measures;
mod namespaces;
mod objects;
mod preflight;
mod refusals;
mod seccomp;
mod side;
mod signals;
mod sync;
mod traffic;
mod verify;
mod veth;

#[path = "../common/mod.rs"]
mod common;
// The command line of ipvsadm: what its test compares with, and what its laboratories are typed in.
mod compat;
#[path = "../../examples/ipvsadm/program/mod.rs"]
mod ipvsadm;
mod labs;

use std::process::ExitCode;

/// Something to be shown inside the kernel; it panics if it is not so.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    /// Before the modules of IPVS are loaded.
    pub(crate) early: bool,
    /// A program that only this one needs, which is also the name of its Debian package.
    pub(crate) needs: Option<&'static str>,
}

const fn scenario(name: &'static str, run: fn()) -> Scenario {
    Scenario { name, run, early: false, needs: None }
}

const IPVSADM: Option<&str> = Some("ipvsadm");

const SCENARIOS: &[Scenario] = &[
    Scenario { early: true, ..scenario("a_kernel_without_ipvs", refusals::without_ipvs) },
    Scenario { early: true, ..scenario("compat_without_ipvs", compat::without_ipvs) },
    scenario("info_and_timeouts", objects::info_and_timeouts),
    scenario("every_kind_is_read_back_as_configured", objects::every_kind),
    scenario("edits_change_what_they_say", objects::edits),
    scenario("statistics_count_and_are_zeroed", objects::statistics),
    scenario("daemons_start_and_stop", objects::daemons),
    scenario("refusals_are_told_in_words", refusals::matrix),
    scenario("a_user_namespace_is_not_enough", refusals::permission),
    scenario("another_kernels_words", refusals::unreadable),
    scenario("refusals_in_a_batch_have_their_places", batches::places),
    scenario("an_unwritable_request_stops_a_batch", batches::unwritable),
    scenario("ten_thousand_adds", batches::ten_thousand),
    scenario("lost_answers_are_told", batches::lost),
    scenario("another_namespace_by_path", namespaces::by_path),
    scenario("another_namespace_by_process", namespaces::by_process),
    scenario("readings_agree_beside_a_writer", interference::beside_a_writer),
    Scenario { needs: IPVSADM, ..scenario("compat_listed_command_lines", compat::listed) },
    Scenario { needs: IPVSADM, ..scenario("compat_random_command_lines", compat::random) },
    Scenario { needs: IPVSADM, ..scenario("soak_compat", compat::soak) },
    scenario("laboratory_nat", labs::nat),
    scenario("laboratory_dr", labs::dr),
    scenario("laboratory_tun", labs::tun),
    scenario("laboratories_by_sync", labs::by_sync),
    scenario("sync_to_everything_and_back", sync::rich),
    scenario("sync_repairs_drift", sync::drift),
    scenario("sync_rolls_back_what_fails", sync::rollback),
    scenario("sync_ten_thousand_servers", sync::ten_thousand),
    scenario("sync_goes_on_after_lost_answers", sync::lost_answers),
    scenario("sync_without_permission", sync::permission),
    scenario("runs_sees_every_difference", verify::differences),
    scenario("runs_looks_into_one_namespace", verify::elsewhere),
    scenario("runs_and_sync_without_socket_options", dumps::without_lists),
    scenario("traffic_a_live_connection_and_a_drain", traffic::live_connection),
    scenario("traffic_a_draining_server_is_wanted_again", traffic::wanted_again),
    scenario("traffic_drains_of_hashed_clients", traffic::hashed_drain),
    scenario("traffic_swaps_refuse_nobody", traffic::swaps),
    scenario("traffic_over_veth_nat", veth::nat),
    scenario("traffic_over_veth_dr", veth::dr),
    Scenario { early: true, ..scenario("preflight_without_ipvs", preflight::without_ipvs) },
    scenario("measure_a_thousand_servers", measures::thousand),
    scenario("measure_ten_thousand_servers", measures::ten_thousand),
    scenario("measure_fifty_thousand_servers", measures::fifty_thousand),
    scenario("preflight_finds_what_is_missing", preflight::missing),
    scenario("preflight_tells_the_generation", preflight::generation),
    scenario("preflight_reads_settings", preflight::settings),
    scenario("preflight_without_permission", preflight::permission),
    scenario("faults_a_killed_sync_is_finished_by_the_next", faults::killed),
    scenario("faults_a_sync_beside_a_writer", faults::beside_a_writer),
    scenario("signals_all_the_time", signals::all_the_time),
    scenario("side_by_side", side::usual),
    scenario("soak_side_by_side", side::soak),
];

/// Prefix of those that measure.
pub(crate) const MEASURE: &str = "measure_";
/// Prefix of those that take as long as they like.
pub(crate) const SOAK: &str = "soak_";

/// Whether a scenario is meant: by one of the words, or by there being none.
pub(crate) fn is_chosen(name: &str, words: &[&str]) -> bool {
    for prefix in [MEASURE, SOAK] {
        if name.starts_with(prefix) {
            return words.iter().any(|word| word.starts_with(prefix) && name.contains(word));
        }
    }
    words.is_empty() || words.iter().any(|word| name.contains(word))
}

/// What scenarios run in processes of their own.
const PARTS: &[(&str, fn())] = &[
    ("unprivileged", refusals::unprivileged),
    ("without_address", refusals::without_address),
    ("compat_worker", compat::worker::work),
    ("lab_check", labs::check_part),
    ("lab_ask", labs::ask_part),
    ("clients_server", clients::server_part),
    ("clients_held", clients::held_part),
    ("clients_many", clients::clients_part),
    ("unprivileged_sync", sync::unprivileged),
    ("syncing", faults::syncing),
    ("side_script", side::one_script),
    ("measure_sync", measures::sync),
    ("measure_parts", measures::parts),
    ("measure_single", measures::single),
    ("measure_batches", measures::batches),
    ("measure_ipvsadm", measures::ipvsadm),
    ("unprivileged_preflight", preflight::unprivileged),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--in-kernel", stage, only] => guest::run_all(stage == "before", only),
        ["--scenario", name] => guest::run_one(name),
        ["--part", name] => guest::run_part(name),
        ["--ipvsadm", ..] => guest::run_ipvsadm(),
        _ if arguments.contains(&"--list") => {
            SCENARIOS.iter().for_each(|scenario| println!("{}: test", scenario.name));
            ExitCode::SUCCESS
        }
        _ => {
            let words: Vec<&str> =
                arguments.into_iter().filter(|word| !word.starts_with('-')).collect();
            machine::boot(&words)
        }
    }
}
