//! Tests of the variables of OpenTelemetry.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::super::{Env, Problems};
use super::*;

struct Map(HashMap<String, String>);

impl Env for Map {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

fn traces(flag: Option<&str>, env: &[(&str, &str)]) -> Result<Option<TracesConfig>, Problems> {
    let pairs = env
        .iter()
        .map(|(name, value)| (format!("OTEL_{name}"), (*value).to_owned()));
    let env = Map(pairs.collect());
    let mut check = Check {
        env: &env,
        problems: Vec::new(),
    };
    let otlp_endpoint = flag.map(str::to_owned);
    let config = check.traces(&TracesArgs { otlp_endpoint });
    check.done(config)
}

fn on(env: &[(&str, &str)]) -> TracesConfig {
    let env = [&[("EXPORTER_OTLP_ENDPOINT", "http://h:4318")], env].concat();
    traces(None, &env).unwrap().unwrap()
}

#[test]
fn nothing_is_traced_unless_it_is_asked_for() {
    let endpoint = ("EXPORTER_OTLP_ENDPOINT", "http://h:4318");
    for env in [
        &[][..],
        &[("EXPORTER_OTLP_ENDPOINT", "")],
        &[("TRACES_EXPORTER", "none"), endpoint],
        &[("SDK_DISABLED", "TRUE"), endpoint],
        // What nobody uses is not looked at.
        &[
            ("EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("TRACES_SAMPLER", "jaeger_remote"),
        ],
    ] {
        assert!(traces(None, env).unwrap().is_none(), "{env:?}");
    }
    assert!(
        traces(Some("http://h:4318"), &[("SDK_DISABLED", "true")])
            .unwrap()
            .is_none()
    );
    assert!(
        traces(Some("http://h:4318"), &[("SDK_DISABLED", "false")])
            .unwrap()
            .is_some()
    );
}

#[test]
fn the_address_is_that_of_the_signal_or_of_all() {
    let (all, own) = (
        ("EXPORTER_OTLP_ENDPOINT", "http://h:4318/all"),
        ("EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4318/own"),
    );
    for (flag, env, expected) in [
        (Some("https://typed"), &[all, own][..], "https://typed/v1/traces"),
        (None, &[all, own], "http://h:4318/own"),
        (None, &[all], "http://h:4318/all/v1/traces"),
        (
            None,
            &[("TRACES_EXPORTER", "otlp")],
            "http://localhost:4318/v1/traces",
        ),
    ] {
        let config = traces(flag, env).unwrap().unwrap();
        assert_eq!(config.otlp.collector.url.as_str(), expected, "{env:?}");
    }
}

#[test]
fn defaults_are_those_of_opentelemetry() {
    let config = on(&[]);
    assert_eq!(config.sampler, Sampler::default());
    let otlp = config.otlp;
    assert_eq!(
        (otlp.queue, otlp.batch, otlp.delay.as_millis()),
        (2048, 512, 5000)
    );
    assert_eq!(otlp.collector.timeout, Duration::from_secs(10));
    assert!(!otlp.collector.gzip && otlp.collector.headers.is_empty());
    let keys: Vec<&str> = otlp.resource.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["service.name", "service.version", "service.instance.id"]);
    assert_eq!(otlp.resource[0].1, "modelsd");
}

#[test]
fn variables_are_read() {
    let config = on(&[
        ("EXPORTER_OTLP_HEADERS", "x-all=1"),
        (
            "EXPORTER_OTLP_TRACES_HEADERS",
            "authorization=Bearer%20a%2Cb, x-team = ml ,",
        ),
        ("EXPORTER_OTLP_TIMEOUT", "1500"),
        ("EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("BSP_MAX_QUEUE_SIZE", "100"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "50"),
        ("BSP_SCHEDULE_DELAY", "0"),
        ("SERVICE_NAME", "iris"),
        (
            "RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=a%20b,service.instance.id=7",
        ),
    ]);
    let collector = config.otlp.collector;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        collector.headers,
        [pair("authorization", "Bearer a,b"), pair("x-team", "ml")]
    );
    assert!(collector.gzip && collector.timeout == Duration::from_millis(1500));
    assert_eq!((config.otlp.queue, config.otlp.batch), (100, 50));
    assert_eq!(config.otlp.delay, Duration::ZERO);
    let version = pair("service.version", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        config.otlp.resource,
        [
            pair("deployment.environment.name", "a b"),
            pair("service.instance.id", "7"),
            pair("service.name", "iris"),
            version
        ]
    );
}

#[test]
fn samplers_are_those_of_opentelemetry() {
    for (name, arg, by_parent, share) in [
        ("always_on", "", false, Share::All),
        ("always_off", "", false, Share::None),
        ("traceidratio", "0.25", false, Share::Ratio(0.25)),
        ("traceidratio", "", false, Share::Ratio(1.0)),
        ("parentbased_always_on", "7", true, Share::All),
        ("parentbased_always_off", "", true, Share::None),
        ("parentbased_traceidratio", "1e-3", true, Share::Ratio(0.001)),
    ] {
        let found = on(&[("TRACES_SAMPLER", name), ("TRACES_SAMPLER_ARG", arg)]).sampler;
        assert_eq!(found, Sampler { by_parent, share }, "{name}");
    }
}

#[test]
fn mistakes_are_told_by_name_and_without_secrets() {
    for (name, value, expected) in [
        (
            "EXPORTER_OTLP_ENDPOINT",
            "grpc://me:hidden@h",
            "OTEL_EXPORTER_OTLP_ENDPOINT: `grpc://h` is no address",
        ),
        (
            "EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`: modelsd speaks http/protobuf",
        ),
        (
            "EXPORTER_OTLP_TRACES_PROTOCOL",
            "http/json",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is `http/json`",
        ),
        (
            "TRACES_EXPORTER",
            "zipkin",
            "OTEL_TRACES_EXPORTER is `zipkin`: use otlp or none",
        ),
        (
            "EXPORTER_OTLP_HEADERS",
            "a=b,hidden",
            "OTEL_EXPORTER_OTLP_HEADERS: use KEY=VALUE",
        ),
        (
            "EXPORTER_OTLP_HEADERS",
            "a b=hidden",
            "`a b` is no name of a header",
        ),
        (
            "EXPORTER_OTLP_HEADERS",
            "a=hidden%0A",
            "the value of `a` has a character",
        ),
        ("EXPORTER_OTLP_TIMEOUT", "0", "OTEL_EXPORTER_OTLP_TIMEOUT is `0`"),
        ("EXPORTER_OTLP_COMPRESSION", "zstd", "use gzip or none"),
        (
            "EXPORTER_OTLP_CERTIFICATE",
            "/none/ca.pem",
            "cannot read `/none/ca.pem` (OTEL_EXPORTER_OTLP_CERTIFICATE)",
        ),
        ("EXPORTER_OTLP_CLIENT_KEY", "/none/key.pem", "is set alone"),
        (
            "TRACES_SAMPLER",
            "xray",
            "OTEL_TRACES_SAMPLER is `xray`: use always_on",
        ),
        ("BSP_MAX_QUEUE_SIZE", "4", "use a number from 5"),
        (
            "BSP_MAX_EXPORT_BATCH_SIZE",
            "4096",
            "more than the 2048 of OTEL_BSP_MAX_QUEUE_SIZE",
        ),
        ("BSP_SCHEDULE_DELAY", "5s", "use a number of milliseconds from 0"),
        (
            "RESOURCE_ATTRIBUTES",
            "a=%FF",
            "OTEL_RESOURCE_ATTRIBUTES: use KEY=VALUE",
        ),
    ] {
        let mut env = vec![("EXPORTER_OTLP_ENDPOINT", "http://h:4318")];
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
        let Problems(problems) = traces(None, &env).err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
        assert!(!problems[0].contains("hidden"), "{problems:?}");
    }
    let env = [
        ("EXPORTER_OTLP_ENDPOINT", "http://h:4318"),
        ("TRACES_SAMPLER", "traceidratio"),
        ("TRACES_SAMPLER_ARG", "2"),
    ];
    let Problems(problems) = traces(None, &env).err().unwrap();
    assert!(problems[0].contains("use a number from 0 to 1"), "{problems:?}");
}

/// Notes what is asked for.
struct Asked(RefCell<BTreeSet<String>>);

impl Env for Asked {
    fn get(&self, name: &str) -> Option<String> {
        self.0.borrow_mut().insert(name.to_owned());
        // So that what goes with it is asked for too.
        (name == "OTEL_TRACES_SAMPLER").then(|| "traceidratio".into())
    }
}

#[test]
fn the_reference_names_every_variable_and_no_other() {
    let env = Asked(RefCell::default());
    let mut check = Check {
        env: &env,
        problems: Vec::new(),
    };
    for otlp_endpoint in [None, Some("http://h".to_owned())] {
        let _ = check.traces(&TracesArgs { otlp_endpoint });
    }
    let told = |page: &str| -> BTreeSet<String> {
        let words = page.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let own = words.filter(|word| word.starts_with("OTEL_"));
        own.map(str::to_owned).collect()
    };
    let asked = env.0.into_inner();
    assert_eq!(told(include_str!("../../../docs/reference.md")), asked);
    assert!(told(include_str!("../../../docs/records.md")).is_subset(&asked));
}

proptest! {
    #[test]
    fn any_list_is_read_or_refused(text in "[a-c=,% 0-9é]{0,60}") {
        let env = [("EXPORTER_OTLP_ENDPOINT", "http://h:4318"), ("RESOURCE_ATTRIBUTES", text.as_str())];
        if let Ok(Some(config)) = traces(None, &env) {
            prop_assert!(config.otlp.resource.len() <= MAX_PAIRS + 3);
        }
    }
}
