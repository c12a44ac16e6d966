//! What `modelsd compare` is asked.

use clap::Args;

use super::AdminArgs;

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
    /// The server.
    #[command(flatten)]
    pub admin: AdminArgs,
}
