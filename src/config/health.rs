//! What `modelsd health` is asked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::{Host, Url};

use super::{Check, ClientTls, ClientTlsArgs, Env, Problems, units};

/// Answers 200 once every model that was asked for by name is loaded.
const READY: &str = "/health/ready";
/// Answers 200 as long as the process does.
const LIVE: &str = "/health/live";

/// Flags of `modelsd health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Address of the server; without a path, /health/ready of it is asked [default: that of `modelsd serve` in this
    /// environment: MODELSD_HOST and MODELSD_PORT, MLFLOW_HOST and MLFLOW_PORT, else http://127.0.0.1:5001; https where
    /// MODELSD_TLS_CERT is set]
    #[arg(long, env = "MODELSD_SERVER", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// Unix domain socket of the server, in place of its port
    #[arg(long, env = "MODELSD_UDS", value_name = "PATH")]
    pub uds: Option<PathBuf>,
    /// Ask only whether the process answers (/health/live), and not whether its models are loaded
    #[arg(long)]
    pub live: bool,
    /// Seconds that the answer may take
    #[arg(short, long, default_value = "5", value_name = "SECONDS")]
    pub timeout: String,
    /// How an https address is asked.
    #[command(flatten)]
    pub tls: ClientTlsArgs,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// The address asked.
    pub url: Url,
    /// The socket that it is asked on, if it is not the port.
    pub uds: Option<PathBuf>,
    /// How long the answer may take.
    pub timeout: Duration,
    /// How it is asked where its address is https.
    pub tls: ClientTls,
}

impl HealthConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &HealthArgs, env: &dyn Env) -> Result<HealthConfig, Problems> {
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let typed = Some(args.timeout.clone());
        let timeout = check.parsed("--timeout", &typed, &[], "5", units::seconds);
        let tls = check.client_tls(&args.tls);
        let url = args.url.clone();
        let url = url.unwrap_or_else(|| served(&mut check, args.uds.is_some()));
        let parsed = Url::parse(&url).ok();
        let parsed = parsed.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let Some(mut url) = parsed else {
            check.problems.push(format!(
                "the address is `{url}`: use one such as http://127.0.0.1:5001"
            ));
            return Err(Problems(check.problems));
        };
        match (url.path(), args.live) {
            (_, true) => url.set_path(LIVE),
            ("/", false) => url.set_path(READY),
            _ => {}
        }
        check.done(HealthConfig {
            url,
            uds: args.uds.clone(),
            timeout,
            tls,
        })
    }
}

/// Where `modelsd serve` listens in this environment, as somebody beside it reaches it. Its Unix domain socket has no TLS.
fn served(check: &mut Check<'_>, on_socket: bool) -> String {
    let encrypted = check
        .env
        .get("MODELSD_TLS_CERT")
        .is_some_and(|file| !file.is_empty());
    let scheme = if encrypted && !on_socket { "https" } else { "http" };
    let host = check.text(&None, &["MODELSD_HOST", "MLFLOW_HOST"], "127.0.0.1");
    let port = check.parsed(
        "--port",
        &None,
        &["MODELSD_PORT", "MLFLOW_PORT"],
        "5001",
        units::port,
    );
    let host = match host.as_str() {
        // Listened on for every address of the machine.
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        bare if bare.contains(':') && !bare.starts_with('[') => format!("[{bare}]"),
        _ => host,
    };
    let host = Host::parse(&host).map_or(host, |host| host.to_string());
    format!("{scheme}://{host}:{port}")
}

#[cfg(test)]
mod tests;
