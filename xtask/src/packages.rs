//! Installs the Debian packages that the tests need.

use std::path::Path;

use anyhow::{Result, bail};
use xshell::cmd;

use crate::project::{Project, find_program};

/// Programs, and the packages that contain them.
const PROGRAMS: &[(&str, &str)] = &[
    ("abidiff", "abigail-tools"),
    ("cargo-capi", "cargo-c"),
    ("cc", "gcc libc6-dev"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("clang++", "clang"),
    ("cmake", "cmake"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("g++", "g++"),
    ("haproxy", "haproxy"),
    ("kill", "procps"),
    ("nginx", "nginx-light"),
    ("ninja", "ninja-build"),
    ("doxygen", "doxygen"),
    ("luajit", "luajit"),
    ("openssl", "openssl"),
    ("pip3", "python3-pip"),
    ("pkg-config", "pkg-config"),
    ("promtool", "prometheus"),
    ("python3", "python3"),
    ("readelf", "binutils"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    ("wrk", "wrk"),
];
/// Modules of Python, and the packages that contain them.
const PYTHON_MODULES: &[(&str, &str)] = &[
    ("cffi", "python3-cffi"),
    ("jsonschema", "python3-jsonschema"),
    ("prometheus_client", "python3-prometheus-client"),
    ("yaml", "python3-yaml"),
];
/// Programs for the tests that boot a kernel as a process.
const KERNEL_PROGRAMS: &[(&str, &str)] = &[
    ("busybox", "busybox"),
    ("ip", "iproute2"),
    ("ipvsadm", "ipvsadm"),
    ("linux.uml", "user-mode-linux"),
    ("modprobe", "kmod"),
];

/// True if a kernel can run as a process here; then its tests must run.
pub(crate) fn has_user_mode_linux(project: &Project) -> bool {
    let architecture = cmd!(project.sh, "dpkg --print-architecture").quiet().read();
    matches!(architecture.as_deref(), Ok("amd64" | "i386"))
}

/// Makes tests with programs of others fail instead of skip: [`install`] has installed those.
pub(crate) fn require_programs(project: &Project) {
    project.sh.set_var("VSCHED_PROGRAMS", "required");
}

/// Makes kernel tests fail instead of skip where a kernel could run.
pub(crate) fn require_kernel(project: &Project) {
    if has_user_mode_linux(project) {
        project.sh.set_var("VSCHED_KERNEL", "required");
    }
}

pub(crate) fn install(project: &Project) -> Result<()> {
    let kernel: &[_] = if has_user_mode_linux(project) { KERNEL_PROGRAMS } else { &[] };
    let programs = PROGRAMS.iter().chain(kernel);
    let missing = programs.filter(|(program, _)| find_program(program).is_none());
    let packages: Vec<&str> = missing.flat_map(|(_, names)| names.split(' ')).collect();
    add(project, &packages)?;
    // Debian's modules are for Debian's Python, which need not be the first.
    let debian = "/usr/bin/python3";
    let python = if Path::new(debian).exists() { debian } else { "python3" };
    for (module, package) in PYTHON_MODULES {
        let import = format!("import {module}");
        if cmd!(project.sh, "{python} -c {import}").ignore_stderr().quiet().run().is_err() {
            add(project, &[package])?;
        }
    }
    // Only clang knows which version it needs.
    if let Some(runtime) = missing_clang_runtime(project)? {
        add(project, &[&runtime])?;
    }
    Ok(())
}

/// nginx's module for TCP, which is no program.
pub(crate) fn install_stream_module(project: &Project) -> Result<()> {
    match Path::new("/usr/lib/nginx/modules/ngx_stream_module.so").exists() {
        true => Ok(()),
        false => add(project, &["libnginx-mod-stream"]),
    }
}

/// nginx's headers and its module for TCP, to build and load modules.
pub(crate) fn install_nginx_headers(project: &Project) -> Result<()> {
    if !Path::new("/usr/share/nginx/src/conf_flags").exists() {
        add(project, &["nginx-dev", "make"])?;
    }
    install_stream_module(project)
}

fn add(project: &Project, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if find_program("apt-get").is_none() {
        bail!("missing, by the names of Debian's packages: {}", packages.join(" "));
    }
    cmd!(project.sh, "apt-get update").run()?;
    // Servers among them are not started.
    cmd!(project.sh, "apt-get install -y --no-install-recommends {packages...}")
        .env("RUNLEVEL", "1")
        .run()?;
    Ok(())
}

/// The package of clang's sanitizers, if they are missing.
fn missing_clang_runtime(project: &Project) -> Result<Option<String>> {
    let machine = std::env::consts::ARCH;
    let library = format!("libclang_rt.asan_static-{machine}.a");
    let found = cmd!(project.sh, "clang -print-file-name={library}").quiet().read()?;
    if Path::new(&found).exists() {
        return Ok(None);
    }
    let version = cmd!(project.sh, "clang -dumpversion").quiet().read()?;
    let major = version.split('.').next().unwrap_or_default();
    Ok(Some(format!("libclang-rt-{major}-dev")))
}
