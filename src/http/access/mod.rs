//! Who may do what: tokens and their roles, how many requests they may make, and pages of other sites.
//!
//! One check stands before all routes and sees the head of a request only, so that nothing of a body is read for
//! somebody who may not send it. Where nothing is configured that predictions need, none of it is on their way.

pub mod bucket;
pub mod cors;
pub mod role;
pub mod tokens;

mod host;
mod refused;

use std::error::Error;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, Response};

use self::bucket::{Bucket, Limit};
use self::cors::{Cors, Origin};
use self::refused::Refused;
use self::role::Role;
use self::tokens::{Digest, Line, Token, Tokens};
use super::reread::OfFiles;
use crate::telemetry::names;

/// The name of the token of `--admin-token-file`, beside those of the file of tokens.
const ADMIN: &str = "admin-token";

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// What is open to whoever has no token although there is a file of them.
    pub anonymous: Vec<Role>,
    /// The limit of each token that has none of its own, and of all requests without a token together.
    pub limit: Option<Limit>,
    /// Whose pages may read answers.
    pub origins: Vec<Origin>,
}

/// Stands before the routes.
pub struct Guard {
    tokens: ArcSwap<Tokens>,
    file: Option<PathBuf>,
    /// The token of `--admin-token-file`, which no file of tokens takes away.
    admin: Option<Line>,
    anonymous: Vec<Role>,
    limit: Option<Limit>,
    /// What requests without a token have left of the limit.
    everybody: Option<Bucket>,
    cors: Option<Cors>,
    loopback: bool,
    /// What the server was told to listen on, which may be a name.
    host: String,
    /// Whether requests for predictions have anything to do here.
    in_the_way: bool,
}

impl Guard {
    /// A guard for a server that listens on `address`, which is that of `host`, and perhaps on a Unix domain socket. Reads
    /// the file of tokens; blocking.
    ///
    /// # Errors
    /// When that file is bad.
    pub fn new(
        config: &Config,
        admin_token: Option<&str>,
        address: IpAddr,
        host: &str,
    ) -> Result<Guard, BadFile> {
        let admin = admin_token.map(|token| Line {
            role: Role::Admin,
            name: ADMIN.to_owned(),
            digest: Digest::of(token),
            limit: None,
        });
        let file = config.tokens.clone();
        let lines = match &file {
            Some(file) => listed(file)?,
            None => Vec::new(),
        };
        // A file of tokens closes everything: which roles happen to be in it must not open anything.
        let anonymous = match file {
            Some(_) => config.anonymous.clone(),
            None => vec![Role::Read, Role::Predict],
        };
        let now = Instant::now();
        let cors = Cors::new(&config.origins);
        let in_the_way = file.is_some() || config.limit.is_some() || cors.is_some();
        // The last one of a token counts.
        let lines: Vec<Line> = lines.into_iter().chain(admin.clone()).collect();
        Ok(Guard {
            tokens: ArcSwap::from_pointee(Tokens::new(&lines, config.limit, &Tokens::default(), now)),
            file,
            admin,
            anonymous,
            limit: config.limit,
            everybody: config.limit.map(|limit| Bucket::new(limit, now)),
            cors,
            loopback: address.is_loopback(),
            host: host.to_owned(),
            in_the_way,
        })
    }

    /// Says in the log what is open.
    pub fn announce(&self, encrypted: bool) {
        let tokens = self.tokens.load();
        let known = Role::ALL.map(|role| tokens.count(role));
        let [read, predict, admin] = known;
        let without: Vec<&str> = self.anonymous.iter().map(|role| role.label()).collect();
        let without = without.join(", ");
        match (known.iter().sum::<usize>(), self.loopback) {
            (0, true) => {
                tracing::info!("no admin token is set: who reaches this loopback address may pin and reload");
            }
            (0, false) => tracing::warn!(
                without_token = without,
                "no tokens are set, and the address is none of loopback: whoever reaches it may do this, and nobody may \
                 change anything; --token-file closes it"
            ),
            (_, true) => tracing::info!(read, predict, admin, without_token = without, "tokens are set"),
            (_, false) if encrypted => {
                tracing::info!(read, predict, admin, without_token = without, "tokens are set");
            }
            (_, false) => tracing::warn!(
                read,
                predict,
                admin,
                without_token = without,
                "tokens are set, but travel as plain text: --tls-cert encrypts them, unless something before this server \
                 does"
            ),
        }
    }

    /// Whether a request for predictions has to ask. One of a page says where it comes from.
    pub(super) fn is_in_the_way(&self, headers: &HeaderMap) -> bool {
        self.in_the_way || (self.is_open(false) && headers.contains_key(ORIGIN))
    }

    /// Whether a request may be answered, by its head.
    pub(super) fn admit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        local: bool,
    ) -> Result<(), Box<Response<Body>>> {
        let Some(needed) = role::needed(method, path) else {
            return Ok(());
        };
        let tokens = self.tokens.load();
        self.holder(&tokens, needed, headers, local)
            .and_then(|token| {
                let bucket = match token {
                    Some(token) => token.bucket.as_deref(),
                    None => self.everybody.as_ref(),
                };
                if let Some(bucket) = bucket {
                    bucket.take(Instant::now()).map_err(Refused::TooMany)?;
                }
                if needed == Role::Admin {
                    let token = token.map_or("none", |token| &token.name);
                    tracing::info!(token, %method, path, "a change is asked for");
                }
                Ok(())
            })
            .map_err(|refused| {
                metrics::counter!(names::ACCESS_REFUSED_TOTAL, names::REASON => refused.label()).increment(1);
                tracing::debug!(reason = refused.label(), %method, path, "request refused");
                Box::new(refused.answer(headers))
            })
    }

    /// The token with which a request may do what needs this role; `None` where it may without one.
    fn holder<'t>(
        &self,
        tokens: &'t Tokens,
        needed: Role,
        headers: &HeaderMap,
        local: bool,
    ) -> Result<Option<&'t Token>, Refused> {
        let sent = headers.get(AUTHORIZATION).and_then(bearer);
        let known = sent.and_then(|token| tokens.find(token));
        let token = match (known, sent) {
            (Some(token), _) if token.role.covers(needed) => Ok(Some(token)),
            // Somebody else's token, which a proxy may have left, takes nothing away.
            (known, _) if self.anonymous.contains(&needed) => Ok(known),
            (Some(token), _) => Err(Refused::Role {
                needed,
                has: token.role,
            }),
            (None, _) if self.is_open(local) => Ok(None),
            (None, _) if self.knows_nobody() => Err(Refused::Closed),
            (None, Some(_)) => Err(Refused::UnknownToken),
            (None, None) => Err(Refused::NoToken),
        }?;
        if self.is_open(false) && !local {
            self.check_name(needed, headers)?;
        }
        if needed == Role::Admin {
            self.check_page(token.is_some(), headers)?;
        }
        Ok(token)
    }

    /// Who needs no token because he is on this machine may be a page of another site, whose name leads here: to the
    /// browser, that is the page's own server. So only names are answered to that are surely this machine's.
    fn check_name(&self, needed: Role, headers: &HeaderMap) -> Result<(), Refused> {
        // Browsers always send it.
        let Some(host) = headers.get(HOST) else {
            return Ok(());
        };
        let host = host.to_str().unwrap_or_default();
        let allowed = self.cors.as_ref();
        if host::is_local(host, &self.host) || allowed.is_some_and(|cors| cors.trusts(host, needed)) {
            Ok(())
        } else {
            Err(Refused::OtherName)
        }
    }

    /// Browsers say from which page a request comes. No page of another site may change anything here, unless its origin
    /// is allowed and it has a token: without one, the page would borrow what the browser's machine may.
    fn check_page(&self, has_token: bool, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        let origin = origin.to_str().unwrap_or_default();
        let own = origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority == host);
        let allowed = || {
            self.cors
                .as_ref()
                .and_then(|cors| cors.allowed(headers))
                .is_some()
        };
        if own || (has_token && allowed()) {
            Ok(())
        } else {
            Err(Refused::OtherSite)
        }
    }

    /// Whether whoever is here may change things without a token.
    fn is_open(&self, local: bool) -> bool {
        self.knows_nobody() && (self.loopback || local)
    }

    fn knows_nobody(&self) -> bool {
        self.admin.is_none() && self.file.is_none()
    }

    /// The answer to a browser that asks whether a page may send something, if it may.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let (status, headers) = self.cors.as_ref()?.preflight(method, headers)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(response)
    }

    /// What the page of a request is told of its origin; for [`Guard::sign`], when the request is gone.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.cors.as_ref()?.allowed(headers)
    }

    /// Says in an answer whose pages may read it.
    pub(super) fn sign<B>(&self, origin: Option<HeaderValue>, answer: &mut Response<B>) {
        if let Some(cors) = &self.cors {
            cors.sign(origin, answer.headers_mut());
        }
    }
}

impl OfFiles for Guard {
    fn kind(&self) -> &'static str {
        "tokens"
    }

    fn reread(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let Some(file) = &self.file else {
            return Ok("no file".to_owned());
        };
        let read = listed(file)?;
        let lines: Vec<Line> = read.iter().chain(&self.admin).cloned().collect();
        let before = self.tokens.load();
        let tokens = Tokens::new(&lines, self.limit, &before, Instant::now());
        self.tokens.store(Arc::new(tokens));
        Ok(format!("{} tokens", read.len()))
    }
}

fn listed(file: &Path) -> Result<Vec<Line>, BadFile> {
    tokens::read(file).map_err(|source| BadFile {
        path: file.to_owned(),
        source,
    })
}

/// A file of tokens that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the tokens in `{}`", .path.display())]
pub struct BadFile {
    path: PathBuf,
    source: tokens::Error,
}

/// What a header has as a bearer token. The scheme may be written in any case (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;
