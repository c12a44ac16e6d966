//! Which requests are traced, and where their spans go: the variables of OpenTelemetry.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

use super::Check;
use crate::client::ClientError;
use crate::client::collector::{self, Collector};
use crate::model::sampler::{Sampler, Share};
use crate::predlog::OtlpConfig;

/// Where a collector is, when it is asked for and not named.
const DEFAULT: &str = "http://localhost:4318";
/// What may say that there are traces.
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// The samplers that there are.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// How many spans wait at most, and how long.
const MAX_SPANS: usize = 1 << 20;
const MAX_MILLIS: u64 = 3_600_000;
/// Pairs of a list.
const MAX_PAIRS: usize = 128;

/// Flags of traces.
#[derive(Debug, Clone, Args)]
pub struct TracesArgs {
    /// Collector of OpenTelemetry that gets a trace of each request over HTTP, such as http://127.0.0.1:4318 [also
    /// OTEL_EXPORTER_OTLP_ENDPOINT and the other variables of OpenTelemetry; without, nothing is traced]
    #[arg(
        long,
        env = "MODELSD_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub otlp_endpoint: Option<String>,
}

/// Which requests are traced.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// Which.
    pub sampler: Sampler,
    /// Where their spans go.
    pub otlp: OtlpConfig,
}

impl Check<'_> {
    /// Checks what is traced; `None` where nothing is.
    pub(super) fn traces(&mut self, args: &TracesArgs) -> Option<TracesConfig> {
        let disabled = self.env.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
            return None;
        }
        let exporter = self.env.get(EXPORTER);
        if exporter.as_deref().map(str::trim) == Some("none") {
            return None;
        }
        let url = self.collector(args, exporter.is_some())?;
        if let Some(other) = exporter.filter(|exporter| exporter.trim() != "otlp") {
            self.problems
                .push(format!("{EXPORTER} is `{other}`: use otlp or none"));
        }
        if let Some((name, protocol)) = self.otlp("PROTOCOL")
            && protocol.trim() != "http/protobuf"
        {
            self.problems.push(format!(
                "{name} is `{protocol}`: modelsd speaks http/protobuf, for which collectors mostly listen on port 4318"
            ));
        }
        let config = TracesConfig {
            sampler: self.sampler(),
            otlp: OtlpConfig {
                collector: self.client_of(url),
                resource: self.resource(),
                queue: self.spans("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
                batch: self.spans("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
                delay: self.millis("OTEL_BSP_SCHEDULE_DELAY", 5000),
            },
        };
        let (queue, batch) = (config.otlp.queue, config.otlp.batch);
        if batch > queue {
            self.problems.push(format!(
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is {batch}, more than the {queue} of OTEL_BSP_MAX_QUEUE_SIZE: a batch is taken \
                 from the queue"
            ));
        }
        Some(config)
    }

    /// The value of the variable for traces, else of that for all signals, with its name.
    fn otlp(&self, what: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
            format!("OTEL_EXPORTER_OTLP_{what}"),
        ];
        names
            .into_iter()
            .find_map(|name| self.env.get(&name).map(|value| (name, value)))
    }

    /// The address that spans are posted to, if there is one.
    fn collector(&mut self, args: &TracesArgs, asked_for: bool) -> Option<Url> {
        let typed = args.otlp_endpoint.as_ref().filter(|text| !text.trim().is_empty());
        let (from, text) = match typed {
            Some(text) => ("--otlp-endpoint".to_owned(), text.clone()),
            None => match self.otlp("ENDPOINT") {
                Some(found) => found,
                None if asked_for => (EXPORTER.to_owned(), DEFAULT.to_owned()),
                None => return None,
            },
        };
        match collector::address(&text) {
            // That for traces is used as it is.
            Ok(url) if from.contains("TRACES_ENDPOINT") => Some(url),
            Ok(url) => Some(collector::of_traces(&url)),
            Err(problem) => {
                self.problems.push(format!("{from}: {problem}"));
                Url::parse(DEFAULT).ok()
            }
        }
    }

    fn client_of(&mut self, url: Url) -> collector::Config {
        let mut config = collector::Config::new(url);
        if let Some((name, text)) = self.otlp("HEADERS") {
            config.headers = self.pairs(&name, &text);
            let problems = config.headers.iter();
            let problems = problems.filter_map(|(header, value)| collector::header(header, value).err());
            let problems: Vec<String> = problems.map(|problem| format!("{name}: {problem}")).collect();
            if !problems.is_empty() {
                config.headers.clear();
            }
            self.problems.extend(problems);
        }
        if let Some((name, text)) = self.otlp("TIMEOUT") {
            config.timeout = self.millis_of(&name, &text, 1);
        }
        if let Some((name, text)) = self.otlp("COMPRESSION") {
            match text.trim() {
                "gzip" => config.gzip = true,
                "none" => {}
                _ => self
                    .problems
                    .push(format!("{name} is `{text}`: use gzip or none")),
            }
        }
        config.ca_bundle = self.otlp("CERTIFICATE").map(|(_, path)| PathBuf::from(path));
        match (self.otlp("CLIENT_CERTIFICATE"), self.otlp("CLIENT_KEY")) {
            (Some((_, certificate)), Some((_, key))) => {
                config.client_certificate = Some((certificate.into(), key.into()));
            }
            (None, None) => {}
            (Some((name, _)), None) | (None, Some((name, _))) => self.problems.push(format!(
                "{name} is set alone: a client's certificate wants both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
                 OTEL_EXPORTER_OTLP_CLIENT_KEY"
            )),
        }
        match Collector::new(&config) {
            Ok(_) => {}
            Err(ClientError::File {
                path,
                setting,
                source,
            }) => self
                .problems
                .push(format!("cannot read `{}` ({setting}): {source}", path.display())),
            Err(error) => self.problems.push(error.to_string()),
        }
        config
    }

    fn sampler(&mut self) -> Sampler {
        let Some(text) = self.env.get(SAMPLER) else {
            return Sampler::default();
        };
        let (by_parent, kind) = match text.trim().strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, text.trim()),
        };
        let share = match kind {
            "always_on" => Share::All,
            "always_off" => Share::None,
            "traceidratio" => Share::Ratio(self.ratio()),
            _ => {
                self.problems.push(format!(
                    "{SAMPLER} is `{text}`: use always_on, always_off or traceidratio, or one of them after parentbased_"
                ));
                Share::All
            }
        };
        Sampler { by_parent, share }
    }

    fn ratio(&mut self) -> f64 {
        let Some(text) = self.env.get("OTEL_TRACES_SAMPLER_ARG") else {
            return 1.0;
        };
        let ratio = text.trim().parse().ok();
        ratio
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .unwrap_or_else(|| {
                self.problems.push(format!(
                    "OTEL_TRACES_SAMPLER_ARG is `{text}`: use a number from 0 to 1, such as 0.1"
                ));
                1.0
            })
    }

    /// Who we are.
    fn resource(&mut self) -> Vec<(String, String)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let given = self.env.get(NAME);
        let mut resource = given.map_or_else(Vec::new, |text| self.pairs(NAME, &text));
        if let Some(name) = self.env.get("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".into(), name));
        }
        for (key, value) in [
            ("service.name", "modelsd".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", Uuid::new_v4().to_string()),
        ] {
            if !resource.iter().any(|(known, _)| known == key) {
                resource.push((key.into(), value));
            }
        }
        resource
    }

    /// A list of `key=value` with commas between, percent-encoded. Values may be secret, so that no problem shows one.
    fn pairs(&mut self, name: &str, text: &str) -> Vec<(String, String)> {
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text.trim()).decode_utf8().ok()?;
            Some(decoded.into_owned())
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        let items = text.split(',').filter(|item| !item.trim().is_empty());
        for (number, item) in (1..).zip(items) {
            let pair = item.split_once('=');
            let pair = pair.and_then(|(key, value)| Some((decoded(key)?, decoded(value)?)));
            match pair.filter(|(key, _)| !key.is_empty() && number <= MAX_PAIRS) {
                Some((key, value)) => {
                    // The last of several counts.
                    pairs.retain(|(known, _)| *known != key);
                    pairs.push((key, value));
                }
                None => {
                    self.problems.push(format!(
                        "{name}: use KEY=VALUE,KEY=VALUE, percent-encoded, at most {MAX_PAIRS}; number {number} is none"
                    ));
                    return Vec::new();
                }
            }
        }
        pairs
    }

    /// A number of spans: at least those of one request.
    fn spans(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = self.env.get(name) else {
            return default;
        };
        let spans = text.trim().parse().ok();
        spans
            .filter(|spans| (OtlpConfig::SPANS..=MAX_SPANS).contains(spans))
            .unwrap_or_else(|| {
                self.problems.push(format!(
                    "{name} is `{text}`: use a number from {} (the spans of one request) to {MAX_SPANS}",
                    OtlpConfig::SPANS
                ));
                default
            })
    }

    fn millis(&mut self, name: &str, default: u64) -> Duration {
        match self.env.get(name) {
            Some(text) => self.millis_of(name, &text, 0),
            None => Duration::from_millis(default),
        }
    }

    fn millis_of(&mut self, name: &str, text: &str, least: u64) -> Duration {
        let millis = text.trim().parse().ok();
        let millis = millis.filter(|millis| (least..=MAX_MILLIS).contains(millis));
        Duration::from_millis(millis.unwrap_or_else(|| {
            self.problems.push(format!(
                "{name} is `{text}`: use a number of milliseconds from {least} to {MAX_MILLIS}"
            ));
            least
        }))
    }
}

#[cfg(test)]
mod tests;
