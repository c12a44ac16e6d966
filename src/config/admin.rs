//! How the commands that change a running server reach it.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::{Check, Env, Problems};

/// Longer files hold no certificates.
const MAX_PEM_BYTES: u64 = 16 << 20;

/// Flags of the commands that change a running server.
#[derive(Debug, Clone, Args)]
pub struct AdminArgs {
    /// Address of the server
    #[arg(
        long,
        env = "MODELSD_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:5001",
        value_name = "URL"
    )]
    pub server: String,
    /// File with the server's admin token [also MODELSD_ADMIN_TOKEN with the token itself]
    #[arg(long, env = "MODELSD_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// How an https address is asked.
    #[command(flatten)]
    pub tls: ClientTlsArgs,
}

/// Flags of the commands that ask a server which may speak TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct ClientTlsArgs {
    /// PEM file of the authorities to trust with an https address, in place of the system's
    #[arg(long, env = "MODELSD_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of our certificate and its key, for a server that wants one
    #[arg(long, env = "MODELSD_TLS_IDENTITY", value_name = "FILE")]
    pub tls_identity: Option<PathBuf>,
}

/// Whom to trust, and who we are, where an address is https.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities to trust, as PEM; `None` for the system's.
    pub authorities: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM.
    pub identity: Option<Vec<u8>>,
}

/// Shows no key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |part: &Option<Vec<u8>>| if part.is_some() { "given" } else { "none" };
        let (authorities, identity) = (given(&self.authorities), given(&self.identity));
        write!(out, "ClientTls(authorities {authorities}, identity {identity})")
    }
}

/// How a running server is reached.
#[derive(Clone)]
pub struct AdminConfig {
    /// Its address.
    pub server: Url,
    /// Its admin token.
    pub token: Option<String>,
    /// How it is asked where its address is https.
    pub tls: ClientTls,
}

impl AdminConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &AdminArgs, env: &dyn Env) -> Result<AdminConfig, Problems> {
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let token = check.admin_token(args.admin_token_file.as_ref());
        let tls = check.client_tls(&args.tls);
        let server = Url::parse(&args.server).ok().filter(|url| url.has_host());
        match server {
            Some(server) => check.done(AdminConfig { server, token, tls }),
            None => {
                let problem = format!(
                    "--server is `{}`: use an address such as http://127.0.0.1:5001",
                    args.server
                );
                check.problems.push(problem);
                Err(Problems(check.problems))
            }
        }
    }
}

impl Check<'_> {
    /// Reads the files that an https address wants.
    pub(super) fn client_tls(&mut self, args: &ClientTlsArgs) -> ClientTls {
        ClientTls {
            authorities: self.file("--tls-ca", args.tls_ca.as_ref()),
            identity: self.file("--tls-identity", args.tls_identity.as_ref()),
        }
    }

    /// What is in a file.
    fn file(&mut self, flag: &str, path: Option<&PathBuf>) -> Option<Vec<u8>> {
        let path = path?;
        let problem = match std::fs::metadata(path).map(|file| file.len()) {
            Ok(length) if length > MAX_PEM_BYTES => format!("it is longer than {MAX_PEM_BYTES} bytes"),
            Ok(_) => match std::fs::read(path) {
                Ok(text) => return Some(text),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.problems
            .push(format!("{flag} is `{}`: {problem}", path.display()));
        None
    }
}
