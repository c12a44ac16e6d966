//! `modelsd health`: one question to a running server, for the health checks of containers and for scripts.

use anyhow::{Context, bail};
use reqwest::redirect::Policy;

use super::ask::trusting;
use crate::config::HealthConfig;

/// Asks, and prints one line when the server is well.
///
/// # Errors
/// When it does not answer, or with another status than 200.
pub(super) fn run(config: &HealthConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = match &config.uds {
        Some(path) => format!("{} on {}", config.url.path(), path.display()),
        None => config.url.to_string(),
    };
    let status = runtime.block_on(async {
        // Somebody else's choice of cryptography before ours is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy would tell of its own health, and so would the target of a redirect.
        let mut client = reqwest::Client::builder()
            .timeout(config.timeout)
            .no_proxy()
            .redirect(Policy::none());
        client = trusting(client, &config.tls)?;
        if let Some(path) = &config.uds {
            client = client.unix_socket(path.clone());
        }
        let answer = client.build()?.get(config.url.clone()).send().await;
        let answer = answer.map_err(reqwest::Error::without_url);
        anyhow::Ok(
            answer
                .with_context(|| format!("{asked} does not answer"))?
                .status(),
        )
    })?;
    match status.as_u16() {
        200 => println!("{asked} answers 200"),
        503 => {
            bail!("{asked} answers 503: no model is loaded, or not every one; GET /api/models says why")
        }
        status => bail!("{asked} answers {status}: is this a server of modelsd?"),
    }
    Ok(())
}
