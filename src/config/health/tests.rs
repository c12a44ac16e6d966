//! What is asked for which flags and variables.

use std::collections::BTreeMap;

use super::*;

struct Map(BTreeMap<&'static str, &'static str>);

impl Env for Map {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
}

fn config(
    url: Option<&str>,
    live: bool,
    env: &[(&'static str, &'static str)],
) -> Result<HealthConfig, Problems> {
    let args = HealthArgs {
        url: url.map(str::to_owned),
        uds: None,
        live,
        timeout: "5".into(),
        tls: ClientTlsArgs::default(),
    };
    HealthConfig::new(&args, &Map(env.iter().copied().collect()))
}

fn asked(url: Option<&str>, live: bool, env: &[(&'static str, &'static str)]) -> String {
    config(url, live, env).unwrap().url.to_string()
}

#[test]
fn without_an_address_the_server_of_this_environment_is_asked() {
    assert_eq!(asked(None, false, &[]), "http://127.0.0.1:5001/health/ready");
    for (variables, address) in [
        (
            &[("MODELSD_HOST", "0.0.0.0"), ("MLFLOW_PORT", "5002")][..],
            "http://127.0.0.1:5002/",
        ),
        (&[("MODELSD_HOST", "::"), ("MODELSD_PORT", "80")], "http://[::1]/"),
        (&[("MLFLOW_HOST", "fe80::1")], "http://[fe80::1]:5001/"),
        (&[("MODELSD_HOST", "models")], "http://models:5001/"),
        (&[("MODELSD_TLS_CERT", "server.pem")], "https://127.0.0.1:5001/"),
        (&[("MODELSD_TLS_CERT", "")], "http://127.0.0.1:5001/"),
    ] {
        assert_eq!(
            asked(None, true, variables),
            format!("{address}health/live"),
            "{variables:?}"
        );
    }
}

#[test]
fn an_address_with_a_path_is_asked_as_it_is() {
    assert_eq!(asked(Some("http://a:1"), false, &[]), "http://a:1/health/ready");
    assert_eq!(asked(Some("https://a/ping"), false, &[]), "https://a/ping");
    assert_eq!(asked(Some("https://a/ping"), true, &[]), "https://a/health/live");
}

#[test]
fn what_is_no_address_is_told_with_every_other_problem() {
    for bad in ["localhost:5001", "ftp://a", "5001"] {
        let Problems(problems) = config(Some(bad), false, &[("MODELSD_PORT", "x")]).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(bad), "{problems:?}");
    }
    let Problems(problems) = config(None, false, &[("MODELSD_PORT", "x")]).unwrap_err();
    assert!(problems[0].contains("MODELSD_PORT"), "{problems:?}");
}
