//! What `modelsd compare` is asked.

use clap::Args;

use super::{AdminArgs, AdminConfig, Check, Env, Problems};
use crate::client;

/// Flags of `modelsd compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The route
    pub route: String,
    /// Kind of outcome that decides [default: the only one that is a number or a boolean]
    #[arg(long, value_name = "KIND")]
    pub metric: Option<String>,
    /// Smaller outcomes are better, as of errors and costs
    #[arg(long)]
    pub lower_is_better: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Log the figures to the MLflow server of MLFLOW_TRACKING_URI too: a run of each variant
    #[arg(long)]
    pub log_to_mlflow: bool,
    /// Experiment that they are logged to, made if there is none [default: `ROUTE comparison`]
    #[arg(long, value_name = "NAME", requires = "log_to_mlflow")]
    pub experiment: Option<String>,
    /// The server.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// What `modelsd compare` runs with.
#[derive(Clone)]
pub struct CompareConfig {
    /// How the server is reached.
    pub admin: AdminConfig,
    /// The MLflow server that the figures are logged to, and the experiment.
    pub mlflow: Option<(client::Config, String)>,
}

impl CompareConfig {
    /// Checks what was typed and what the environment says.
    ///
    /// # Errors
    /// With every problem at once.
    pub fn new(args: &CompareArgs, env: &dyn Env) -> Result<CompareConfig, Problems> {
        let admin = AdminConfig::new(&args.admin, env)?;
        let mut check = Check {
            env,
            problems: Vec::new(),
        };
        let mut mlflow = None;
        if args.log_to_mlflow {
            let registry = check.registry(None);
            match check.tracking(&registry) {
                Some(server) => {
                    let experiment = args.experiment.clone();
                    let experiment = experiment.unwrap_or_else(|| format!("{} comparison", args.route));
                    mlflow = Some((server, experiment));
                }
                None => check.problems.push(
                    "--log-to-mlflow wants an MLflow server: name its address, http(s)://HOST:PORT, in \
                     MLFLOW_TRACKING_URI"
                        .into(),
                ),
            }
        }
        check.done(CompareConfig { admin, mlflow })
    }
}
