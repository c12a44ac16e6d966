//! How the program is linked.

#![allow(clippy::disallowed_methods)] // why: cargo tells build scripts everything by the environment

use std::process::Command;

/// Linux's C library that first reads packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // Code that hardly ever runs goes apart from the rest, which then fills fewer pages: 1 MB of a small server.
    link("keep-text-section-prefix");
    // The loader reads the list of addresses to adjust from end to end; packed it has 20 kB, not 2 MB. Like any program,
    // this one wants the C library of the system it is built on, or a later one.
    if std::env::var("HOST") == std::env::var("TARGET") && glibc().is_some_and(|here| here >= PACKED_SINCE) {
        link("pack-relative-relocs");
    }
}

fn link(option: &str) {
    println!("cargo::rustc-link-arg-bins=-Wl,-z,{option}");
}

/// The version of the C library of this system: `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = answer.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
