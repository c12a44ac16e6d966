//! Gates: `--gate` for all models, a table of a route for its own.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;

use super::{AdminArgs, Check};
use crate::routing::gate::{GateSpec, OnTimeout};

/// The options of a gate, as they are written.
const OPTIONS: &str = "requests, max_time, min_requests, share, max_error_rate, max_disagreement, number_tolerance, \
                       max_latency_ratio, on_timeout, watch, tags";
/// Requests beyond this are a typing error: the copies of a trial are counted, not kept.
const MAX_REQUESTS: u64 = 1_000_000_000;
/// Ratios and tolerances beyond this are a typing error.
const MAX_RATIO: f64 = 1e6;
/// Longer times are a typing error.
const MAX_DAYS: u64 = 365;

/// Flags of gates.
#[derive(Debug, Clone, Args)]
pub struct GateArgs {
    /// Run a new version beside the old one first, on copies of its requests, and serve it only if it fails, disagrees and
    /// is slow no more than it may: of every model and route without a gate of its own in --config. `default`, or options
    /// such as requests=500,max_disagreement=0.1,watch=10m [default: new versions are served at once]
    #[arg(long, env = "MODELSD_GATE", value_name = "default|OPTION=VALUE,…")]
    pub gate: Option<String>,
}

/// What is typed after `modelsd promote`.
#[derive(Debug, Clone, Args)]
pub struct PromoteArgs {
    /// The route, one of its variants as ROUTE.VARIANT, or a model of -m
    pub route: String,
    /// Serve it whatever it has shown, also where the gate has held it or rolled it back
    #[arg(long)]
    pub force: bool,
    /// The server.
    #[command(flatten)]
    pub admin: AdminArgs,
}

impl Check<'_> {
    /// Checks the gate of those that have none of their own.
    pub(super) fn gate(&mut self, args: &GateArgs) -> Option<GateSpec> {
        let text = args.gate.as_deref()?;
        let parsed = typed(text).map_err(|problems| {
            let problem = |problem| self.problems.push(format!("--gate is `{text}`: {problem}"));
            problems.into_iter().for_each(problem);
        });
        parsed.ok()
    }
}

/// Parses `default`, or `option=value,option=value`.
fn typed(text: &str) -> Result<GateSpec, Vec<String>> {
    if text == "default" {
        return Ok(GateSpec::default());
    }
    let mut options = Vec::new();
    let mut found = Vec::new();
    for part in text.split(',') {
        match part.split_once('=') {
            Some((option, value)) => options.push((option.trim().to_owned(), value.trim().to_owned())),
            None => found.push(format!("`{part}` is no OPTION=VALUE; the options are {OPTIONS}")),
        }
    }
    let spec = spec(options);
    match (spec, found.is_empty()) {
        (Ok(spec), true) => Ok(spec),
        (Ok(_), false) => Err(found),
        (Err(problems), _) => Err([found, problems].concat()),
    }
}

/// The gate of a table in the configuration file.
///
/// # Errors
/// With every mistake.
pub(super) fn filed(table: BTreeMap<String, toml::Value>) -> Result<GateSpec, Vec<String>> {
    let text = |value: toml::Value| match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(truth) => truth.to_string(),
        other => other.type_str().to_owned(),
    };
    spec(table.into_iter().map(|(option, value)| (option, text(value))))
}

/// A gate with these options, and the defaults of the others.
fn spec(options: impl IntoIterator<Item = (String, String)>) -> Result<GateSpec, Vec<String>> {
    let mut spec = GateSpec::default();
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for (option, value) in options {
        if let Err(form) = set(&mut spec, &option, &value) {
            found.push(match form {
                Some(form) => format!("{option} is `{value}`: use {form}"),
                None => format!("a gate has no option `{option}`; it has {OPTIONS}"),
            });
        }
        if seen.contains(&option) {
            found.push(format!("{option} is given twice"));
        }
        seen.push(option);
    }
    if found.is_empty() && spec.min_requests > spec.requests {
        // Who asks for fewer than the default of enough means that these are enough.
        match seen.iter().any(|option| option == "min_requests") {
            true => found.push(format!(
                "min_requests is {}, more than requests, which is {}",
                spec.min_requests, spec.requests
            )),
            false => spec.min_requests = spec.requests,
        }
    }
    match found.is_empty() {
        true => Ok(spec),
        false => Err(found),
    }
}

/// Sets one option; the error is the form that it should have, or none for one that is not known.
fn set(spec: &mut GateSpec, option: &str, value: &str) -> Result<(), Option<&'static str>> {
    match option {
        "requests" => spec.requests = requests(value)?,
        "min_requests" => spec.min_requests = requests(value)?,
        "max_time" => spec.max_time = time(value).filter(|time| !time.is_zero()).ok_or(TIME)?,
        "watch" => spec.watch = time(value).ok_or(TIME)?,
        "share" => {
            let share = number(value, 1.0).filter(|share| *share > 0.0);
            spec.share = share.ok_or("a number above 0, and 1 at most")?;
        }
        "max_error_rate" => spec.max_error_rate = number(value, 1.0).ok_or(PART)?,
        "max_disagreement" => spec.max_disagreement = number(value, 1.0).ok_or(PART)?,
        "number_tolerance" => spec.number_tolerance = number(value, MAX_RATIO).ok_or("a number from 0 on")?,
        "max_latency_ratio" => {
            let ratio = number(value, MAX_RATIO).filter(|ratio| *ratio >= 1.0);
            spec.max_latency_ratio = ratio.ok_or("a number from 1 on")?;
        }
        "on_timeout" => {
            let all = [OnTimeout::Hold, OnTimeout::Accept, OnTimeout::Wait];
            let named = all.into_iter().find(|one| one.label() == value);
            spec.on_timeout = named.ok_or("hold, accept or wait")?;
        }
        "tags" => spec.tags = value.parse().map_err(|_| "true or false")?,
        _ => return Err(None),
    }
    Ok(())
}

const TIME: &str = "a time with its unit, such as 30s, 10m, 1h or 7d";
const PART: &str = "a number from 0 to 1, such as 0.05";

fn requests(value: &str) -> Result<u64, &'static str> {
    let requests = value.parse().ok();
    requests
        .filter(|requests| (1..=MAX_REQUESTS).contains(requests))
        .ok_or("a positive whole number")
}

fn number(value: &str, most: f64) -> Option<f64> {
    value.parse().ok().filter(|number| (0.0..=most).contains(number))
}

/// A whole number and its unit; 0 needs none.
fn time(value: &str) -> Option<Duration> {
    if value == "0" {
        return Some(Duration::ZERO);
    }
    let end = value.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = value.split_at_checked(end)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = digits.parse::<u64>().ok()?.checked_mul(millis)?;
    (millis <= MAX_DAYS * 86_400_000).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_are_read_and_the_others_have_their_defaults() {
        assert_eq!(typed("default").unwrap(), GateSpec::default());
        let expected = GateSpec {
            requests: 20,
            min_requests: 20,
            max_time: Duration::from_secs(90),
            max_disagreement: 0.25,
            max_latency_ratio: 10.0,
            on_timeout: OnTimeout::Wait,
            watch: Duration::ZERO,
            tags: false,
            ..GateSpec::default()
        };
        let text = "requests=20, max_time=90s,max_disagreement=0.25,max_latency_ratio=10,on_timeout=wait,watch=0,tags=false";
        assert_eq!(typed(text).unwrap(), expected);
        let table = r#"
            requests = 20
            max_time = "90s"
            max_disagreement = 0.25
            max_latency_ratio = 10
            on_timeout = "wait"
            watch = 0
            tags = false
        "#;
        assert_eq!(filed(toml::from_str(table).unwrap()).unwrap(), expected);
    }

    #[test]
    fn mistakes_are_shown_together_with_what_helps() {
        for (text, problem) in [
            ("", "no OPTION=VALUE"),
            ("on", "no OPTION=VALUE"),
            ("request=1", "no option `request`; it has requests, max_time"),
            ("requests=0", "requests is `0`: use a positive whole number"),
            (
                "requests=5,min_requests=6",
                "min_requests is 6, more than requests",
            ),
            ("requests=5,requests=6", "given twice"),
            ("max_time=1", "use a time with its unit"),
            ("max_time=0", "use a time with its unit"),
            ("watch=999d", "use a time with its unit"),
            ("watch=99999999999999999999d", "use a time with its unit"),
            ("share=0", "above 0"),
            ("max_error_rate=1.5", "from 0 to 1"),
            ("max_error_rate=NaN", "from 0 to 1"),
            ("max_latency_ratio=0.5", "from 1 on"),
            ("number_tolerance=-1", "from 0 on"),
            ("on_timeout=go", "hold, accept or wait"),
            ("tags=yes", "true or false"),
        ] {
            let found = typed(text).unwrap_err();
            assert!(
                found.iter().any(|found| found.contains(problem)),
                "{text}: {found:?}"
            );
        }
        assert_eq!(typed("x,requests=0,tags=yes,y=1").unwrap_err().len(), 4);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "((requests|min_requests|share|watch|max_time)=[0-9.smhdé]{0,6},?){0,4}") {
            if let Ok(spec) = typed(&text) {
                prop_assert!(spec.min_requests <= spec.requests && spec.requests > 0);
                prop_assert!(spec.share > 0.0 && spec.share <= 1.0);
                prop_assert!(!spec.max_time.is_zero());
            }
        }
    }
}
