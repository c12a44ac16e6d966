//! Routes: `--route` for the simple case, a file for the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::HeaderName;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Check, gate};
use crate::model::uri::ModelUri;
use crate::routing::route::{Allowed, VARIANT_HEADER};
use crate::routing::spec::{RouteSpec, ShadowSpec, VariantSpec, problems};
use crate::routing::weights::{MAX_WEIGHT, Weight};

/// A configuration file may be this long.
const MAX_BYTES: u64 = 1 << 20;

/// Flags of routes.
#[derive(Debug, Clone, Args)]
pub struct RouteArgs {
    /// Several variants of a model behind one name: champion and challenger, each a model URI. Requests choose one by the
    /// header x-model-variant; others go to the first, or by weight, as in
    /// iris=champion*90:models:/iris/Production,challenger*10:models:/iris/Staging. Repeat it for several routes
    #[arg(long, env = "MODELSD_ROUTE", value_name = "NAME=VARIANT:URI,…")]
    pub route: Vec<String>,
    /// TOML file with routes; read again on SIGHUP and by POST /api/config/reload. `modelsd config check FILE` checks it
    #[arg(long, env = "MODELSD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What `modelsd route` does.
#[derive(Debug, Clone, Subcommand)]
pub enum RouteCommand {
    /// Show a route, or all of them: variants, weights, and the version that each serves
    Show {
        /// The route [default: all]
        route: Option<String>,
    },
    /// Give variants other weights, from the next request on; a restart keeps them
    Set {
        /// The route
        route: String,
        /// Weights, such as champion=90 challenger=10; variants that are not named keep theirs
        #[arg(required = true, value_name = "VARIANT=WEIGHT")]
        weights: Vec<Weight>,
    },
}

/// What `modelsd config` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Read a file and show every mistake in it; nothing is loaded
    Check {
        /// The file, as for `modelsd serve --config`
        file: PathBuf,
    },
}

/// The routes, and where some of them came from.
#[derive(Debug, Clone, Default)]
pub struct RoutesConfig {
    /// The routes of the command line.
    pub typed: Vec<RouteSpec>,
    /// Those of the file.
    pub filed: Vec<RouteSpec>,
    /// The file.
    pub file: Option<PathBuf>,
}

impl RoutesConfig {
    /// All of them.
    pub fn all(&self) -> Vec<RouteSpec> {
        self.typed.iter().chain(&self.filed).cloned().collect()
    }

    /// Reads the file again; with the routes of the command line and beside slots of these names. Blocking.
    ///
    /// # Errors
    /// With every mistake, a line each.
    pub fn reread(&self, slots: &[Arc<str>]) -> Result<Vec<RouteSpec>, String> {
        let file = self.file.as_deref().ok_or("there is no file")?;
        let config = RoutesConfig {
            filed: read(file).map_err(|problems| lines(&problems))?,
            ..self.clone()
        };
        let all = config.all();
        match problems(&all, slots) {
            problems if problems.is_empty() => Ok(all),
            problems => Err(lines(&problems)),
        }
    }
}

fn lines(problems: &[String]) -> String {
    let line = |problem: &String| format!("  - {problem}");
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads a configuration file. Blocking.
///
/// # Errors
/// With every mistake.
pub fn read(path: &Path) -> Result<Vec<RouteSpec>, Vec<String>> {
    let text = text(path).map_err(|problem| vec![format!("--config is `{}`: {problem}", path.display())])?;
    let parsed = parse(&text);
    parsed.map_err(|found| {
        let within = |problem| format!("`{}`: {problem}", path.display());
        found.into_iter().map(within).collect()
    })
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_BYTES => Err(format!("it is longer than {MAX_BYTES} bytes")),
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    routes: BTreeMap<String, RouteText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteText {
    header: Option<String>,
    #[serde(default)]
    allow_version: bool,
    #[serde(default)]
    allow_stage: bool,
    record: Option<f64>,
    gate: Option<BTreeMap<String, toml::Value>>,
    #[serde(default)]
    shadows: BTreeMap<String, ShadowText>,
    variants: Ordered<VariantText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantText {
    model: String,
    weight: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShadowText {
    model: String,
    share: Option<f64>,
}

/// A table in the order of the file: the first variant is the one that others are compared with.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Ordered<T>, D::Error> {
        struct Entries<T>(Vec<(String, T)>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a table of variants")
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Ordered<T>, A::Error> {
                while let Some(entry) = map.next_entry()? {
                    self.0.push(entry);
                }
                Ok(Ordered(self.0))
            }
        }
        from.deserialize_map(Entries(Vec::new()))
    }
}

/// Parses the text of a configuration file.
///
/// # Errors
/// With every mistake; one that is no TOML, or has keys that are not known, with that one.
fn parse(text: &str) -> Result<Vec<RouteSpec>, Vec<String>> {
    let file: FileText =
        toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
    let mut found = Vec::new();
    let mut routes = Vec::new();
    for (name, route) in file.routes {
        let mut mistake = |problem: String| found.push(format!("route `{name}`: {problem}"));
        if let Err(problem) = plain(&name) {
            mistake(problem);
        }
        let header = match route.header.as_deref().map(str::parse::<HeaderName>) {
            None => VARIANT_HEADER,
            Some(Ok(header)) => header,
            Some(Err(_)) => {
                mistake(format!(
                    "header is `{}`, which no header is called",
                    route.header.unwrap_or_default()
                ));
                VARIANT_HEADER
            }
        };
        if let Some(share) = route.record
            && !(0.0..=1.0).contains(&share)
        {
            mistake(format!("record is {share}: use a share from 0 to 1"));
        }
        let gate = match route.gate.map(gate::filed) {
            None => None,
            Some(Ok(gate)) => Some(gate),
            Some(Err(problems)) => {
                let within = |problem| mistake(format!("gate: {problem}"));
                problems.into_iter().for_each(within);
                None
            }
        };
        let weighted = route
            .variants
            .0
            .iter()
            .any(|(_, variant)| variant.weight.is_some());
        let mut variants = Vec::new();
        for (at, (variant, text)) in route.variants.0.into_iter().enumerate() {
            if let Err(problem) = plain(&variant) {
                mistake(format!("variant `{variant}`: {problem}"));
            }
            let weight = text.weight.unwrap_or(u32::from(!weighted && at == 0));
            if weight > MAX_WEIGHT {
                mistake(format!(
                    "variant `{variant}`: weight is {weight}, more than {MAX_WEIGHT}"
                ));
            }
            match text.model.parse::<ModelUri>() {
                Ok(uri) => variants.push(VariantSpec {
                    name: variant.into(),
                    uri,
                    weight,
                }),
                Err(problem) => mistake(format!("variant `{variant}`: {problem}")),
            }
        }
        let mut shadows = Vec::new();
        for (shadow, text) in route.shadows {
            if let Err(problem) = plain(&shadow) {
                mistake(format!("shadow `{shadow}`: {problem}"));
            }
            let share = text.share.unwrap_or(1.0);
            if !(0.0..=1.0).contains(&share) {
                mistake(format!(
                    "shadow `{shadow}`: share is {share}: use a share from 0 to 1"
                ));
            }
            match text.model.parse::<ModelUri>() {
                Ok(uri) => shadows.push(ShadowSpec {
                    name: shadow.into(),
                    uri,
                    share,
                }),
                Err(problem) => mistake(format!("shadow `{shadow}`: {problem}")),
            }
        }
        routes.push(RouteSpec {
            name: name.as_str().into(),
            header,
            allowed: Allowed {
                version: route.allow_version,
                stage: route.allow_stage,
            },
            record: route.record,
            gate,
            variants,
            shadows,
        });
    }
    // A variant that cannot be read was said to be; that its route then lacks one need not be.
    if found.is_empty() {
        found = problems(&routes, &[]);
    }
    match found.is_empty() {
        true => Ok(routes),
        false => Err(found),
    }
}

/// Names are parts of addresses, headers and labels.
fn plain(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !name.is_empty() && name.len() <= 128 && name.chars().all(fits) {
        true => Ok(()),
        false => Err("use letters, digits, `-`, `_` and `.` in its name, at most 128".into()),
    }
}

/// Parses `name=variant:uri,variant*weight:uri`.
fn typed(text: &str) -> Result<RouteSpec, String> {
    let form = "write NAME=VARIANT:URI,VARIANT:URI, such as \
                iris=champion:models:/iris/Production,challenger:models:/iris/Staging";
    let (name, rest) = text.split_once('=').ok_or(form)?;
    plain(name).map_err(|problem| format!("route `{name}`: {problem}"))?;
    let mut variants = Vec::new();
    let weighted = rest
        .split(',')
        .any(|part| part.split(':').next().is_some_and(|head| head.contains('*')));
    for (at, part) in rest.split(',').enumerate() {
        let (head, uri) = part.split_once(':').ok_or(form)?;
        let (variant, weight) = match head.split_once('*') {
            None => (head, u32::from(!weighted && at == 0)),
            Some((variant, weight)) => {
                let weight = weight.parse().ok().filter(|weight| *weight <= MAX_WEIGHT);
                let weight = weight.ok_or_else(|| {
                    format!("variant `{variant}`: use a whole number from 0 to {MAX_WEIGHT} as its weight")
                })?;
                (variant, weight)
            }
        };
        plain(variant).map_err(|problem| format!("variant `{variant}`: {problem}"))?;
        variants.push(VariantSpec {
            name: variant.into(),
            uri: uri
                .parse()
                .map_err(|problem| format!("variant `{variant}`: {problem}"))?,
            weight,
        });
    }
    Ok(RouteSpec {
        name: name.into(),
        header: VARIANT_HEADER,
        allowed: Allowed::default(),
        record: None,
        gate: None,
        variants,
        shadows: Vec::new(),
    })
}

impl Check<'_> {
    /// Checks the routes, beside slots of these names.
    pub(super) fn routes(&mut self, args: &RouteArgs, slots: &[Arc<str>]) -> RoutesConfig {
        let mut config = RoutesConfig {
            file: args.config.clone(),
            ..RoutesConfig::default()
        };
        let before = self.problems.len();
        for text in &args.route {
            match typed(text) {
                Ok(route) => config.typed.push(route),
                Err(problem) => self.problems.push(format!("--route is `{text}`: {problem}")),
            }
        }
        if let Some(file) = &args.config {
            match read(file) {
                Ok(routes) => config.filed = routes,
                Err(problems) => self.problems.extend(problems),
            }
        }
        if self.problems.len() == before {
            self.problems.extend(problems(&config.all(), slots));
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(spec: &RouteSpec) -> Vec<(&str, u32)> {
        let pair = |variant: &'_ VariantSpec| variant.weight;
        spec.variants
            .iter()
            .map(|variant| (&*variant.name, pair(variant)))
            .collect()
    }

    #[test]
    fn a_typed_route_sends_all_to_the_first_unless_weighted() {
        let route = typed("iris=champion:models:/iris/Production,challenger:models:/iris@next").unwrap();
        assert_eq!(weights(&route), [("champion", 1), ("challenger", 0)]);
        assert_eq!(route.variants[1].uri.to_string(), "models:/iris@next");
        let route = typed("iris=a*90:models:/iris/1,b*10:models:/iris/2").unwrap();
        assert_eq!(weights(&route), [("a", 90), ("b", 10)]);
        for (text, problem) in [
            ("iris", "write NAME="),
            ("iris=models", "write NAME="),
            ("i/r=a:models:/iris/1", "route `i/r`"),
            ("iris=a*x:models:/iris/1", "whole number"),
            ("iris=a:models:/iris/Nowhere", "variant `a`"),
            ("iris=a b:models:/iris/1", "variant `a b`"),
        ] {
            let found = typed(text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }

    #[test]
    fn a_file_keeps_the_order_of_its_variants() {
        let text = r#"
            [routes.iris]
            header = "X-Arm"
            allow_stage = true
            [routes.iris.variants]
            new = { model = "models:/iris/2", weight = 3 }
            a-old = { model = "models:/iris/1", weight = 7 }
        "#;
        let routes = parse(text).unwrap();
        assert_eq!(weights(&routes[0]), [("new", 3), ("a-old", 7)]);
        assert_eq!(routes[0].header, "x-arm");
        assert_eq!(
            routes[0].allowed,
            Allowed {
                version: false,
                stage: true
            }
        );
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn mistakes_in_a_file_are_shown_together_and_where_they_are() {
        let text = r#"
            [routes.iris]
            header = "x y"
            [routes.iris.variants]
            a = { model = "models:/iris/Nowhere" }
            "b c" = { model = "models:/iris/2", weight = 2000000 }
        "#;
        assert_eq!(parse(text).unwrap_err().len(), 4, "{:?}", parse(text));
        let gates = "[routes.iris]\nvariants.a.model = 'models:/iris/1'\ngate = { requests = 0, shar = 1 }";
        assert_eq!(parse(gates).unwrap_err().len(), 2, "{:?}", parse(gates));
        let unknown = parse("[routes.iris]\nheadr = \"x\"\nvariants = {}").unwrap_err();
        assert!(
            unknown[0].contains("headr") && unknown[0].contains("line 2"),
            "{unknown:?}"
        );
        for (text, problem) in [
            ("[routes.iris]\nvariants = {}", "no variants"),
            ("[routes.iris]", "missing field `variants`"),
            (
                "[routes.iris.variants.a]\nmodel = 'models:/iris/1'\nweight = 0",
                "all its weights are 0",
            ),
            (
                "[routes.iris.variants.a]\nmodel = 'models:/iris/1'\nweight = -1",
                "invalid value",
            ),
            ("[routes", "line 1"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found[0].contains(problem), "{text}: {found:?}");
        }
    }

    #[test]
    fn names_are_served_once() {
        let route = |text| typed(text).unwrap();
        let found = problems(
            &[route("iris=a:models:/iris/1"), route("b=a:models:/iris/1")],
            &["iris.a".into(), "b".into()],
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
