//! How the program is linked.

#![allow(clippy::disallowed_methods)] // why: cargo tells build scripts everything by the environment

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Linux's C library that first reads packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

/// What is laid side by side: scripts/link_order.py writes it.
const ORDER: &str = "scripts/link-order.txt";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // Code that hardly ever runs goes apart from the rest, which then fills fewer pages: 1 MB of a small server.
    link("-z,keep-text-section-prefix");
    // The loader reads the list of addresses to adjust from end to end; packed it has 20 kB, not 2 MB. Like any program,
    // this one wants the C library of the system it is built on, or a later one.
    if std::env::var("HOST") == std::env::var("TARGET") && glibc().is_some_and(|here| here >= PACKED_SINCE) {
        link("-z,pack-relative-relocs");
    }
    // A program for tests is linked often, and its memory is nobody's concern.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
        && let Err(error) = lay_out()
    {
        println!("cargo::warning={ORDER}: {error}: the program will take more memory");
    }
}

fn link(option: &str) {
    println!("cargo::rustc-link-arg-bins=-Wl,{option}");
}

/// The functions that a server of a small model runs are 3 MB of 36. Anywhere among the others they make the kernel, which
/// maps 64 kB of a file at once, keep 12 MB; side by side 6, and more of them are at hand: a few in a hundred more requests
/// a second.
fn lay_out() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={ORDER}");
    let mut script = String::from("SECTIONS { .text : {\n");
    let order = std::fs::read_to_string(ORDER)?;
    for function in order.lines().filter(|line| !line.starts_with('#')) {
        let _ = writeln!(script, "*(.text.{function})");
    }
    script.push_str("} }\nINSERT BEFORE .init;\n");
    let path = Path::new(&std::env::var("OUT_DIR").unwrap_or_default()).join("order.ld");
    std::fs::write(&path, script)?;
    // Its own argument: the path may have a comma.
    println!("cargo::rustc-link-arg-bins=-T");
    println!("cargo::rustc-link-arg-bins={}", path.display());
    Ok(())
}

/// The version of the C library of this system: `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = answer.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
