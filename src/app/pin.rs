//! `modelsd pin` and `modelsd unpin`.

use reqwest::Method;
use serde_json::json;

use super::ask::ask;
use crate::config::AdminConfig;

/// Pins a slot to a version, or unpins it with none.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub(super) fn run(config: &AdminConfig, slot: &str, version: Option<u64>) -> anyhow::Result<()> {
    let path = ["api", "models", slot, "pin"];
    match version {
        Some(version) => {
            let body = json!({ "version": version.to_string() });
            ask(config, Method::PUT, &path, Some(&body))?;
            println!("`{slot}` is pinned to version {version}");
        }
        None => {
            ask(config, Method::DELETE, &path, None)?;
            println!("`{slot}` follows its URI again");
        }
    }
    Ok(())
}
