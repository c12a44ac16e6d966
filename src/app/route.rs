//! `modelsd route` and `modelsd config`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Map, Value as Json};

use super::ask::ask;
use crate::config::{AdminConfig, ConfigCommand, Problems, RouteCommand, read_config};
use crate::routing::spec::RouteSpec;

/// Shows routes, or sets weights.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub(super) fn run(config: &AdminConfig, command: &RouteCommand) -> anyhow::Result<()> {
    let routes = match command {
        RouteCommand::Show { route: None } => {
            let answer = ask(config, Method::GET, &["api", "routes"], None)?;
            answer
                .get("routes")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default()
        }
        RouteCommand::Show { route: Some(route) } => {
            vec![ask(config, Method::GET, &["api", "routes", route], None)?]
        }
        RouteCommand::Set { route, weights } => {
            let members = weights
                .iter()
                .map(|weight| (weight.variant.clone(), weight.weight.into()));
            let body = Json::Object(members.collect::<Map<_, _>>());
            vec![ask(
                config,
                Method::PUT,
                &["api", "routes", route, "weights"],
                Some(&body),
            )?]
        }
    };
    let mut out = std::io::stdout().lock();
    if routes.is_empty() {
        writeln!(out, "no routes: start the server with --route or --config")?;
    }
    routes
        .iter()
        .try_for_each(|route| show(&mut out, route))
        .context("cannot write the answer")
}

fn show(out: &mut impl Write, route: &Json) -> std::io::Result<()> {
    let text = |json: &Json, name: &str| match json.get(name) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    writeln!(out, "{} (by {})", text(route, "name"), text(route, "header"))?;
    writeln!(
        out,
        "  {:<20} {:>8} {:>7}  {:<12} serves",
        "variant", "weight", "share", "version"
    )?;
    for variant in route
        .get("variants")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        let share = variant.get("share").and_then(Json::as_f64).unwrap_or_default();
        writeln!(
            out,
            "  {:<20} {:>8} {:>6.1}%  {:<12} {}",
            text(variant, "name"),
            text(variant, "weight"),
            share * 100.0,
            text(variant, "version"),
            text(variant, "uri"),
        )?;
    }
    Ok(())
}

/// Checks a configuration file.
///
/// # Errors
/// [`Problems`] with every mistake in it.
pub(super) fn config(command: &ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check { file } = command;
    let routes = read_config(file).map_err(Problems)?;
    println!("{}", summary(file, &routes));
    Ok(())
}

fn summary(file: &Path, routes: &[RouteSpec]) -> String {
    let mut text = format!("`{}` is good: {} routes", file.display(), routes.len());
    for route in routes {
        text.push_str(&format!("\n  {}", route.name));
        for variant in &route.variants {
            text.push_str(&format!(
                "\n    {}*{}: {}",
                variant.name, variant.weight, variant.uri
            ));
        }
    }
    text
}
