//! How the commands that change a running server reach it.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::{Check, Env, Problems};

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
}

/// How a running server is reached.
#[derive(Clone)]
pub struct AdminConfig {
    /// Its address.
    pub server: Url,
    /// Its admin token.
    pub token: Option<String>,
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
        let server = Url::parse(&args.server).ok().filter(|url| url.has_host());
        match server {
            Some(server) => check.done(AdminConfig { server, token }),
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
