//! `modelsd token`.

use anyhow::Context;
use std::io::Write;

use crate::config::NewToken;
use crate::http::access::tokens;

/// Makes a token, and prints it with its line.
///
/// # Errors
/// When the system has no random numbers, or nobody reads.
pub(super) fn run(wanted: &NewToken) -> anyhow::Result<()> {
    let (token, line) = tokens::mint(wanted.role, &wanted.name, wanted.limit)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "token: {token}\nline:  {line}").context("cannot write the token")?;
    eprintln!(
        "The token is shown once. Append the line to the file that `modelsd serve --token-file` names."
    );
    Ok(())
}
