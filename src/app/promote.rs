//! `modelsd promote`.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::ask::ask;
use crate::config::{AdminConfig, PromoteArgs};

/// Has the version at a gate served.
///
/// # Errors
/// When the server cannot be reached, or refuses one of the versions.
pub(super) fn run(config: &AdminConfig, args: &PromoteArgs) -> anyhow::Result<()> {
    let path = ["api", "routes", &args.route, "promote"];
    let answer = ask(config, Method::POST, &path, Some(&json!({ "force": args.force })))?;
    let promoted = answer.get("promoted").and_then(Json::as_array);
    for slot in promoted.into_iter().flatten() {
        let text = |name: &str| slot.get(name).and_then(Json::as_str).unwrap_or("none");
        let (name, version) = (text("slot"), text("version"));
        match slot.get("serves").and_then(Json::as_bool) {
            Some(true) => println!("`{name}` serves version {version}"),
            _ => println!("`{name}` loads version {version}, and serves it then"),
        }
    }
    let refused = answer.get("refused").and_then(Json::as_array);
    let refused: Vec<String> = refused
        .into_iter()
        .flatten()
        .map(|slot| {
            let text = |name: &str| slot.get(name).and_then(Json::as_str).unwrap_or("none");
            format!("`{}`: {}", text("slot"), text("message"))
        })
        .collect();
    anyhow::ensure!(refused.is_empty(), "refused: {}", refused.join("; "));
    Ok(())
}
