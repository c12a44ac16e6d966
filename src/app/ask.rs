//! Speaks to the API of a running server.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method};
use serde_json::Value as Json;
use url::{Host, Url};

use crate::config::{AdminConfig, ClientTls};

/// A pin asks the registry once, which may be slow.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Asks, and gives the answer. Blocking.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub(super) fn ask(
    config: &AdminConfig,
    method: Method,
    path: &[&str],
    body: Option<&Json>,
) -> anyhow::Result<Json> {
    ask_with(config, method, path, &[], body)
}

/// Asks with a query, and gives the answer. Blocking.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub(super) fn ask_with(
    config: &AdminConfig,
    method: Method,
    path: &[&str],
    query: &[(&str, &str)],
    body: Option<&Json>,
) -> anyhow::Result<Json> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Somebody else's choice of cryptography before ours is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut url = config.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("`{url}` is no address of a server", url = config.server))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let client = client(config)?;
        let mut request = client.request(method, url);
        if let Some(token) = &config.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| {
            format!(
                "cannot reach the server at {}; --server names another",
                config.server
            )
        })?;
        let status = answer.status();
        let text = answer.text().await.context("the answer broke off")?;
        let answer = serde_json::from_str::<Json>(&text);
        if !status.is_success() {
            let answer = answer.ok();
            let message = answer.as_ref().and_then(|body| body.get("message")?.as_str());
            bail!("the server refused: {}", message.unwrap_or(status.as_str()));
        }
        answer.context("the answer is no JSON: is this a server of modelsd?")
    })
}

/// Whether an address is surely one of this machine.
fn is_loopback(server: &Url) -> bool {
    match server.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// A client that trusts whom the settings say, and shows who it is.
fn client(config: &AdminConfig) -> anyhow::Result<Client> {
    let mut builder = Client::builder().timeout(TIME_LIMIT);
    // A proxy cannot reach what is on this machine, and would be shown the token.
    if is_loopback(&config.server) {
        builder = builder.no_proxy();
    }
    Ok(trusting(builder, &config.tls)?.build()?)
}

/// What will trust whom the settings say, and show who we are.
///
/// # Errors
/// When a file is not what it should be.
pub(super) fn trusting(mut builder: ClientBuilder, tls: &ClientTls) -> anyhow::Result<ClientBuilder> {
    if let Some(text) = &tls.authorities {
        let authorities = Certificate::from_pem_bundle(text)
            .ok()
            .filter(|found| !found.is_empty())
            .context("--tls-ca must be a PEM file of one or more certificates")?;
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(text) = &tls.identity {
        let identity = Identity::from_pem(text)
            .ok()
            .context("--tls-identity must be a PEM file of a certificate and its unencrypted private key")?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}
