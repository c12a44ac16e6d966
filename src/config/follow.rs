//! What is served, from where, and how the registry is followed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::gate::GateArgs;
use super::{Check, stores, units};
use crate::artifact;
use crate::deploy::reconcile;
use crate::model::uri::ModelUri;
use crate::registry::{Selector, Spec};

/// Secrets may be this long.
const MAX_SECRET_BYTES: usize = 4096;

/// Flags that say how the registry is followed.
#[derive(Debug, Clone, Args)]
pub struct FollowArgs {
    /// Serve every registered model that has a version in this stage or under this alias, besides those of -m; they
    /// come and go with the registry
    #[arg(long, env = "MODELSD_ALL_MODELS", value_name = "STAGE|ALIAS")]
    pub all_models: Option<String>,
    /// Seconds between two questions to the registry [default: 5]
    #[arg(long, env = "MODELSD_POLL_INTERVAL", value_name = "SECONDS")]
    pub poll_interval: Option<String>,
    /// Seconds that loading and proving a version may take [default: 300]
    #[arg(long, env = "MODELSD_LOAD_TIMEOUT", value_name = "SECONDS")]
    pub load_timeout: Option<String>,
    /// How far answers may differ from those in cases.jsonl beside a model, relative to the larger of 1 and the recorded
    /// one; a version beyond it is not served [default: 1e-6 for onnx and xgboost, which compute in single, else 1e-12]
    #[arg(long, env = "MODELSD_PARITY_TOLERANCE", value_name = "SHARE")]
    pub parity_tolerance: Option<String>,
    /// Bytes that all models may take together; where a new version does not fit beside the old one, the old one goes
    /// first [default: no limit]
    #[arg(long, env = "MODELSD_MEMORY_BUDGET", value_name = "BYTES")]
    pub memory_budget: Option<String>,
    /// What new versions have to show.
    #[command(flatten)]
    pub gate: GateArgs,
    /// Folder for fetched models, and for what was served last [default: modelsd in the user's cache folder]
    #[arg(long, env = "MODELSD_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Size of that folder; models that were not used for longest go, those that are served stay [default: 20GiB]
    #[arg(long, env = "MODELSD_MAX_CACHE_BYTES", value_name = "BYTES")]
    pub max_cache_bytes: Option<String>,
    /// File with the secret of the registry's webhooks; unset, webhooks need no signature [also
    /// MODELSD_WEBHOOK_SECRET with the secret itself]
    #[arg(long, env = "MODELSD_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// File with the token that allows to pin and reload; unset, only a server on a loopback address allows it [also
    /// MODELSD_ADMIN_TOKEN with the token itself]
    #[arg(long, env = "MODELSD_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
}

/// A slot, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotConfig {
    /// Its name.
    pub name: Arc<str>,
    /// What it serves.
    pub uri: ModelUri,
}

/// What is served, and how the registry is followed.
#[derive(Clone)]
pub struct FollowConfig {
    /// The slots, the default one first.
    pub slots: Vec<SlotConfig>,
    /// How the registry is followed.
    pub reconcile: reconcile::Config,
    /// Time that loading and proving a version may take.
    pub load_timeout: Duration,
    /// How far recorded answers may be missed; `None` is what the flavor is known for.
    pub parity_tolerance: Option<f64>,
    /// Secret of the registry's webhooks.
    pub webhook_secret: Option<String>,
    /// Token of the admin API.
    pub admin_token: Option<String>,
}

impl std::fmt::Debug for FollowConfig {
    /// Without the secrets.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FollowConfig")
            .field("slots", &self.slots)
            .field("reconcile", &self.reconcile)
            .field("load_timeout", &self.load_timeout)
            .finish_non_exhaustive()
    }
}

impl Check<'_> {
    /// Checks what is served and how the registry is followed; `routed` is whether there are routes.
    pub(super) fn follow(&mut self, models: &[String], routed: bool, args: &FollowArgs) -> FollowConfig {
        let all_models = args.all_models.as_deref().map(Selector::parse);
        if models.is_empty() && !routed && all_models.is_none() {
            self.problems.push(
                "no model: give --model-uri, such as models:/iris/Production, or --route, --config or --all-models Production"
                    .into(),
            );
        }
        let memory_budget = args
            .memory_budget
            .is_some()
            .then(|| self.parsed("--memory-budget", &args.memory_budget, &[], "", units::bytes) as u64);
        FollowConfig {
            slots: self.slots(models),
            reconcile: reconcile::Config {
                poll_interval: self.parsed("--poll-interval", &args.poll_interval, &[], "5", units::interval),
                memory_budget,
                all_models,
                gate: self.gate(&args.gate),
            },
            load_timeout: self.parsed("--load-timeout", &args.load_timeout, &[], "300", units::seconds),
            parity_tolerance: args.parity_tolerance.is_some().then(|| {
                self.parsed(
                    "--parity-tolerance",
                    &args.parity_tolerance,
                    &[],
                    "",
                    units::share,
                )
            }),
            webhook_secret: self.secret(
                "--webhook-secret-file",
                args.webhook_secret_file.as_ref(),
                "MODELSD_WEBHOOK_SECRET",
            ),
            admin_token: self.admin_token(args.admin_token_file.as_ref()),
        }
    }

    /// Where the files of models come from and are kept; the size of the cache is the caller's.
    pub(super) fn artifacts(&self, registry: &Spec, cache_dir: Option<PathBuf>) -> artifact::Config {
        artifact::Config {
            mlflow: registry.tracking().cloned(),
            object_store: stores::settings(self.env),
            ..artifact::Config::new(self.cache_dir(cache_dir))
        }
    }

    /// Where fetched models lie: as given, else in the user's cache folder, else here.
    fn cache_dir(&self, given: Option<PathBuf>) -> PathBuf {
        let folder = |name: &str| {
            self.env
                .get(name)
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute())
        };
        let user = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
        given.unwrap_or_else(|| user().map_or(PathBuf::from(".modelsd-cache"), |user| user.join("modelsd")))
    }

    fn slots(&mut self, models: &[String]) -> Vec<SlotConfig> {
        let mut slots: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for text in models {
            let (name, uri) = match named(text) {
                Some((name, uri)) => (Some(name), uri),
                None => (None, text.as_str()),
            };
            let uri = self.model(Some(uri));
            let name: Arc<str> = name.map_or_else(|| uri.slot_name(), Arc::from);
            *slots.entry(Arc::clone(&name)).or_default() += 1;
            found.push(SlotConfig { name, uri });
        }
        for (name, count) in slots {
            if count > 1 {
                self.problems.push(format!(
                    "--model-uri: {count} models would be served as `{name}`; give them names, as in -m {name}-2=URI"
                ));
            }
        }
        found
    }

    /// The token of the admin API.
    pub(super) fn admin_token(&mut self, file: Option<&PathBuf>) -> Option<String> {
        self.secret("--admin-token-file", file, "MODELSD_ADMIN_TOKEN")
    }

    pub(super) fn secret(&mut self, flag: &str, file: Option<&PathBuf>, variable: &str) -> Option<String> {
        let Some(file) = file else {
            return self.env.get(variable);
        };
        let problem = match std::fs::read_to_string(file) {
            Ok(text) if text.trim().is_empty() => "it is empty".to_owned(),
            Ok(text) if text.len() > MAX_SECRET_BYTES => {
                format!("it is longer than {MAX_SECRET_BYTES} bytes")
            }
            Ok(text) => return Some(text.trim().to_owned()),
            Err(error) => error.to_string(),
        };
        self.problems
            .push(format!("{flag} is `{}`: {problem}", file.display()));
        None
    }
}

/// Splits `name=URI`; a URI may itself have a `=`, but then not after what could be a name.
fn named(text: &str) -> Option<(&str, &str)> {
    let (name, uri) = text.split_once('=')?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && name.chars().all(fits)).then_some((name, uri))
}
