//! The list of functions that are laid side by side.

use std::collections::HashSet;
use std::fs;

use crate::support::repository;

/// A function without the compiler's hash, as a pattern of the linker.
fn pattern(symbol: &str) -> Option<&str> {
    let end = symbol.rfind("17h")?;
    symbol.starts_with("_ZN").then(|| &symbol[..end + 3])
}

#[test]
fn most_functions_of_the_list_are_in_the_program() {
    let program = fs::read(env!("CARGO_BIN_EXE_modelsd")).unwrap();
    // Names end with a zero.
    let symbols = program
        .split(|&byte| byte == 0)
        .filter_map(|name| str::from_utf8(name).ok());
    let there: HashSet<&str> = symbols.filter_map(pattern).collect();
    let list = fs::read_to_string(repository("scripts/link-order.txt")).unwrap();
    // Those with a hash are of one build.
    let listed = list
        .lines()
        .filter_map(|line| line.strip_suffix('*'))
        .filter_map(pattern);
    let (found, lost): (Vec<&str>, Vec<&str>) = listed.partition(|name| there.contains(name));
    // A program without optimisation does without some; the list is old when it does without many.
    assert!(found.len() > 1_000, "{} functions", found.len());
    assert!(
        lost.len() < found.len() / 2,
        "{} functions of scripts/link-order.txt are gone: run scripts/link_order.py. Some of them: {:#?}",
        lost.len(),
        &lost[..20]
    );
}
