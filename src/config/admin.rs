//! How the commands that change a running server reach it.

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
    /// PEM file of the authorities to trust with an https address, in place of the system's
    #[arg(long, env = "MODELSD_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of our certificate and its key, for a server that wants one
    #[arg(long, env = "MODELSD_TLS_IDENTITY", value_name = "FILE")]
    pub tls_identity: Option<PathBuf>,
}

/// How a running server is reached.
#[derive(Clone)]
pub struct AdminConfig {
    /// Its address.
    pub server: Url,
    /// Its admin token.
    pub token: Option<String>,
    /// The authorities to trust, as PEM; `None` for the system's.
    pub authorities: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM.
    pub identity: Option<Vec<u8>>,
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
        let authorities = check.file("--tls-ca", args.tls_ca.as_ref());
        let identity = check.file("--tls-identity", args.tls_identity.as_ref());
        let server = Url::parse(&args.server).ok().filter(|url| url.has_host());
        match server {
            Some(server) => check.done(AdminConfig {
                server,
                token,
                authorities,
                identity,
            }),
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
