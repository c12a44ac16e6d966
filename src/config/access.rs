//! Who may do what with a server: tokens, limits, pages of other sites, TLS; and `modelsd token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Check, Problems};
use crate::http::access::bucket::Limit;
use crate::http::access::cors::Origin;
use crate::http::access::role::Role;
use crate::http::access::{self, tokens};
use crate::http::tls::{self, ClientAuth, Clients, Tls};

/// Flags that say who may do what.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// File of tokens, a line `ROLE NAME sha256:HEX [rate=RATE[:BURST]]` each, as modelsd token new prints them; roles are
    /// read, predict and admin. With it every request needs a token but those of probes. It is read again when it changes
    #[arg(long, env = "MODELSD_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// What needs no token although there is a --token-file: read or predict; repeat it for both
    #[arg(long, env = "MODELSD_ANONYMOUS", value_name = "ROLE", value_delimiter = ',')]
    pub anonymous: Vec<String>,
    /// Requests a second of each token, and of all requests without one together, with those that may come at once:
    /// RATE or RATE:BURST; further ones are answered 429 with Retry-After [default: no limit]
    #[arg(long, env = "MODELSD_RATE_LIMIT", value_name = "RATE[:BURST]")]
    pub rate_limit: Option<String>,
    /// Origin whose pages may read answers, such as https://HOST:PORT, or * for all; repeat it for several
    #[arg(
        long,
        env = "MODELSD_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origin: Vec<String>,
}

/// Flags of TLS.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// PEM file of the port's certificate, with those between it and its authority: the port speaks TLS, and nothing else.
    /// It is read again when it changes, as are the other two
    #[arg(long, env = "MODELSD_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key, without a password
    #[arg(long, env = "MODELSD_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities of clients: only clients with a certificate of theirs are spoken to, unless
    /// --tls-client-auth is optional
    #[arg(long, env = "MODELSD_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Whether a client needs a certificate of --tls-client-ca: required, or optional, where those without one are spoken
    /// to as well, and only a bad one is refused [default: required]
    #[arg(long, env = "MODELSD_TLS_CLIENT_AUTH", value_name = "HOW")]
    pub tls_client_auth: Option<String>,
}

/// What to do about tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Make a token: prints it, and the line for the file of --token-file, which has only its digest
    New {
        /// What it is for: read, predict or admin (everything)
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// Whose it is; the server says this name in its log
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Its own limit of requests a second: RATE or RATE:BURST
        #[arg(long, value_name = "RATE[:BURST]")]
        rate: Option<String>,
    },
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub role: Role,
    /// Whose it is.
    pub name: String,
    /// Its own limit.
    pub limit: Option<Limit>,
}

impl NewToken {
    /// Checks what was typed.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(command: &TokenCommand) -> Result<NewToken, Problems> {
        let TokenCommand::New { role, name, rate } = command;
        let mut problems = Vec::new();
        let role = role.parse::<Role>().unwrap_or_else(|error| {
            problems.push(format!("--role is `{role}`: {error}"));
            Role::Read
        });
        if let Err(problem) = tokens::check_name(name) {
            problems.push(format!("--name is `{name}`: {problem}"));
        }
        let limit = rate.as_ref().and_then(|text| {
            text.parse::<Limit>()
                .map_err(|error| problems.push(format!("--rate is `{text}`: {error}")))
                .ok()
        });
        match problems.is_empty() {
            true => Ok(NewToken {
                role,
                name: name.clone(),
                limit,
            }),
            false => Err(Problems(problems)),
        }
    }
}

impl Check<'_> {
    /// Checks who may do what.
    pub(super) fn access(&mut self, args: &AccessArgs) -> access::Config {
        if let Some(file) = &args.token_file
            && let Err(error) = tokens::read(file)
        {
            let problem = format!(
                "--token-file is `{}`: {:#}",
                file.display(),
                anyhow::Error::new(error)
            );
            self.problems.push(problem);
        }
        let mut anonymous = Vec::new();
        for text in &args.anonymous {
            match text.parse() {
                Ok(role @ (Role::Read | Role::Predict)) => anonymous.push(role),
                Ok(Role::Admin) | Err(_) => self
                    .problems
                    .push(format!("--anonymous is `{text}`: use read or predict")),
            }
        }
        if !anonymous.is_empty() && args.token_file.is_none() {
            self.problems.push(
                "--anonymous opens what --token-file closes, and there is none: reading and predicting are open already"
                    .into(),
            );
        }
        let limit = args.rate_limit.as_ref().and_then(|text| {
            text.parse::<Limit>()
                .map_err(|error| self.problems.push(format!("--rate-limit is `{text}`: {error}")))
                .ok()
        });
        let mut origins = Vec::new();
        for text in &args.cors_origin {
            match text.parse::<Origin>() {
                Ok(origin) => origins.push(origin),
                Err(error) => self.problems.push(format!("--cors-origin is `{text}`: {error}")),
            }
        }
        access::Config {
            tokens: args.token_file.clone(),
            anonymous,
            limit,
            origins,
        }
    }
    /// Checks the TLS of the port.
    pub(super) fn tls(&mut self, args: &TlsArgs) -> Option<tls::Config> {
        let auth = args.tls_client_auth.as_ref();
        let auth = auth.map(|text| (text, text.parse::<ClientAuth>()));
        if let Some((text, Err(error))) = &auth {
            self.problems
                .push(format!("--tls-client-auth is `{text}`: {error}"));
        }
        if auth.is_some() && args.tls_client_ca.is_none() {
            self.problems.push(
                "--tls-client-auth is for the certificates of --tls-client-ca, and no client is asked for one without it"
                    .to_owned(),
            );
        }
        let (certificate, key) = match (&args.tls_cert, &args.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if args.tls_client_ca.is_none() => return None,
            _ => {
                self.problems
                    .push("TLS needs both --tls-cert and --tls-key".to_owned());
                return None;
            }
        };
        let config = tls::Config {
            certificate,
            key,
            clients: args.tls_client_ca.clone().map(|authorities| Clients {
                authorities,
                auth: match auth {
                    Some((_, Ok(auth))) => auth,
                    _ => ClientAuth::Required,
                },
            }),
        };
        if let Err(error) = Tls::load(&config) {
            self.problems
                .push(format!("TLS: {:#}", anyhow::Error::new(error)));
        }
        Some(config)
    }
}
