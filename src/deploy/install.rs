//! From a wanted version to a deployment: locate, fetch, load, prove.
//!
//! Everything that takes long happens away from the threads that serve: waiting is async, computing is done by one
//! thread at a time, which has the priority of whoever calls (see `background`).

use std::error::Error;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::budget::resident_bytes;
use super::deployment::Deployment;
use super::parity::{self, Parity, Wire};
use super::place::Place;
use super::prove::{Proof, ProofError, prove, tune};
use super::sample::Samples;
use super::starter::Starter;
use super::status::Step;
use super::stuck::Stuck;
use crate::artifact::{Artifact, Artifacts, Key, Progress};
use crate::batching::{self, pool::panic_text};
use crate::flavor::{self, LoadError, Loaded, Loader, Source};
use crate::model::batch::Batch;
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;
use crate::registry::{Registry, RegistryError, Wanted};
use crate::telemetry::names;

/// Loads that outlived their time limit and still run; with more, nothing is loaded any more.
const MAX_STUCK: usize = 4;

/// How versions are installed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Engines.
    pub flavor: flavor::Config,
    /// Predictors of each deployment.
    pub predictors: NonZeroUsize,
    /// How calls of a deployment share predictors.
    pub batching: batching::Config,
    /// Time that loading and proving may take together.
    pub load_timeout: Duration,
    /// How far recorded answers may be missed; `None` is what the flavor is known for.
    pub parity_tolerance: Option<f64>,
}

/// Installs versions.
pub struct Installer {
    registry: Arc<dyn Registry>,
    artifacts: Artifacts,
    config: Config,
    wire: Option<Wire>,
    /// Starts the threads of predictors; without it, the caller does.
    starter: Option<Starter>,
    loaders: OnceLock<Vec<Box<dyn Loader>>>,
    /// One load at a time: two would take twice the memory and the time of one core each.
    turn: Semaphore,
    stuck: Stuck,
}

/// Why a version could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} `{id}`", verb(*.step))]
pub struct InstallError {
    /// The version.
    pub id: VersionId,
    /// Where it failed.
    pub step: Step,
    /// Whether it was the registry or the store that could not be reached, and not the version that is bad.
    pub outage: bool,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

fn verb(step: Step) -> &'static str {
    match step {
        Step::Locate => "find the files of",
        Step::Fetch => "get the files of",
        Step::Wait => "make room for",
        Step::Load => "load",
        Step::Prove => "use",
        Step::Publish => "publish",
    }
}

/// Why loading ended without an answer.
#[derive(Debug, thiserror::Error)]
enum LoadEnd {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("the engine panicked: {0}")]
    Panicked(String),
    #[error("it was not loaded and proved within {0:?}; see --load-timeout")]
    Slow(Duration),
    #[error("{0} loads have been running for longer than they may, so nothing more is loaded until one ends")]
    Stuck(usize),
    #[error("the system gives no thread to load it on")]
    Thread(#[source] std::io::Error),
    #[error("loading it was interrupted")]
    Interrupted,
}

/// What the loading thread made.
struct Made {
    artifact: Artifact,
    loaded: Loaded,
    proof: Proof,
    grown: u64,
}

impl Installer {
    /// With `wire`, versions are proved on their recorded cases, on their input example, on recent requests and on rows
    /// made from their signature; without, they are only loaded.
    pub fn new(
        registry: Arc<dyn Registry>,
        artifacts: Artifacts,
        config: Config,
        wire: Option<Wire>,
    ) -> Installer {
        Installer {
            registry,
            artifacts,
            config,
            wire,
            starter: None,
            loaders: OnceLock::new(),
            turn: Semaphore::new(1),
            stuck: Stuck::new(),
        }
    }

    /// The same, with the predictors' threads started by that one.
    pub fn with_starter(self, starter: Starter) -> Installer {
        Installer {
            starter: Some(starter),
            ..self
        }
    }

    /// The registry that versions come from.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// Bytes that a version of these files should take once it is loaded: each predictor holds its weights.
    pub fn expected_bytes(&self, artifact: &Artifact) -> u64 {
        artifact
            .dir
            .size_bytes()
            .saturating_mul(self.config.predictors.get() as u64)
    }

    /// The files of a version: from the cache where it has them, for then nobody need be asked, else from where the
    /// registry says. `at` is told of each step. Cancel-safe.
    ///
    /// # Errors
    /// When the registry or the store gives no answer, or no good one.
    pub async fn fetch(
        &self,
        uri: &ModelUri,
        wanted: &Wanted,
        progress: &Progress,
        at: impl Fn(Step),
    ) -> Result<Artifact, InstallError> {
        at(Step::Locate);
        let key = self.key(wanted);
        match self.artifacts.recall(&key).await {
            Ok(Some(artifact)) => return Ok(artifact),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(version = %wanted.id, error = &error as &dyn Error, "the cache cannot be read")
            }
        }
        let located = self.registry.locate(uri, wanted).await;
        let resolved = located.map_err(|source: RegistryError| InstallError {
            id: wanted.id.clone(),
            step: Step::Locate,
            outage: source.is_outage(),
            source: source.into(),
        })?;
        at(Step::Fetch);
        let artifact = match resolved.location.local_path().filter(|_| resolved.in_place) {
            Some(path) => self.artifacts.in_place(path).await,
            None => self.artifacts.fetch(&key, &resolved.location, progress).await,
        };
        artifact.map_err(|source| InstallError {
            id: wanted.id.clone(),
            step: Step::Fetch,
            // What lies on this machine and cannot be read is no store that comes back.
            outage: !resolved.in_place && source.is_outage(),
            source: source.into(),
        })
    }

    /// Under what the cache keeps the files of a version.
    fn key(&self, wanted: &Wanted) -> Key {
        let VersionId { name, .. } = &wanted.id;
        Key::new(
            self.registry.name(),
            name,
            wanted.id.version_label(),
            &wanted.revision,
        )
    }

    /// Loads and proves a version. Cancel-safe: what is loaded for nobody is dropped by the thread that loaded it.
    ///
    /// # Errors
    /// When it cannot be loaded, takes too long, or is not fit to serve.
    pub async fn load(
        self: &Arc<Self>,
        wanted: &Wanted,
        artifact: Artifact,
        place: Place,
        at: impl Fn(Step),
    ) -> Result<Deployment, InstallError> {
        at(Step::Wait);
        let failed = |end: LoadEnd| InstallError {
            id: wanted.id.clone(),
            step: match &end {
                LoadEnd::Proof(_) => Step::Prove,
                _ => Step::Load,
            },
            outage: false,
            source: match end {
                // The engine's own words are the cause; ours would only say again that it failed.
                LoadEnd::Load(error) => error.into(),
                LoadEnd::Proof(error) => error.into(),
                other => other.into(),
            },
        };
        let _turn = self.turn.acquire().await;
        let stuck = self.stuck.count();
        if stuck >= MAX_STUCK {
            return Err(failed(LoadEnd::Stuck(stuck)));
        }
        at(Step::Load);
        let inputs = artifact.dir.mlmodel().signature.inputs.as_ref();
        let kept = place.recent.of(inputs);
        let (reply, answer) = oneshot::channel();
        let this = Arc::clone(self);
        let began = Instant::now();
        let (waiting, running) = self.stuck.watch();
        let thread = std::thread::Builder::new()
            .name("modelsd-load".into())
            .spawn(move || {
                drop(reply.send(this.make(artifact, kept)));
                drop(running);
            });
        thread.map_err(LoadEnd::Thread).map_err(failed)?;
        let made = match timeout(self.config.load_timeout, answer).await {
            Ok(Ok(made)) => made.map_err(failed)?,
            Ok(Err(_)) => return Err(failed(LoadEnd::Interrupted)),
            Err(_) => return Err(failed(LoadEnd::Slow(self.config.load_timeout))),
        };
        drop(waiting);
        let took = began.elapsed();
        metrics::histogram!(names::LOAD_SECONDS, names::MODEL => wanted.id.name.to_string())
            .record(took.as_secs_f64());
        tracing::debug!(version = %wanted.id, ?took, proof = ?made.proof, "loaded and proved");
        if made.proof.failed > 0 {
            tracing::warn!(
                version = %wanted.id,
                failed = made.proof.failed,
                answered = made.proof.answered,
                "it fails on some of the rows it was warmed up with: recent requests, or rows made from its signature"
            );
        }
        let wanted = wanted.clone();
        let Made {
            artifact,
            loaded,
            proof,
            grown,
        } = made;
        let batching = self.config.batching.clone();
        let starter = self.starter.as_ref().filter(|_| !place.shadow);
        let build = move || Deployment::new(wanted, artifact, loaded, &proof, batching, grown, place);
        match starter {
            Some(starter) => starter
                .run(build)
                .await
                .ok_or_else(|| failed(LoadEnd::Interrupted)),
            None => Ok(build()),
        }
    }

    /// Asks the cases that lie beside a model, if any.
    fn parity(
        &self,
        artifact: &Artifact,
        loaded: &mut Loaded,
        wire: &Wire,
    ) -> Result<Option<Parity>, ProofError> {
        let cases = parity::recorded(&artifact.dir).map_err(ProofError::Cases)?;
        let (Some(cases), Some(predictor)) = (cases, loaded.predictors.first_mut()) else {
            return Ok(None);
        };
        let signature = &artifact.dir.mlmodel().signature;
        let checked = catch_unwind(AssertUnwindSafe(|| {
            parity::check(predictor.as_mut(), signature, &cases, &wire.answer)
        }));
        let parity = checked.map_err(|payload| ProofError::Panicked(panic_text(payload.as_ref())))?;
        let tolerance = self
            .config
            .parity_tolerance
            .unwrap_or_else(|| flavor::tolerance(&loaded.report.flavor));
        if parity.largest_difference > tolerance {
            return Err(ProofError::Parity { parity, tolerance });
        }
        tracing::info!(model = %artifact.dir.path().display(), %parity, "recorded cases asked");
        Ok(Some(parity))
    }

    /// The work of the loading thread.
    fn make(&self, artifact: Artifact, recent: Vec<Batch>) -> Result<Made, LoadEnd> {
        let loaders = self.loaders.get_or_init(|| flavor::loaders(&self.config.flavor));
        let before = resident_bytes();
        let source = Source {
            dir: artifact.dir.path(),
            mlmodel: artifact.dir.mlmodel(),
        };
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            flavor::load(loaders, source, self.config.predictors)
        }));
        let mut loaded = loaded.map_err(|payload| LoadEnd::Panicked(panic_text(payload.as_ref())))??;
        let proof = match &self.wire {
            Some(wire) => {
                let samples =
                    Samples::gather(&artifact.dir, recent, &wire.read).map_err(ProofError::Signature)?;
                let trials = tune(&mut loaded, &samples, self.config.batching.max_rows, false);
                tracing::debug!(?trials, "engines compared");
                let parity = self.parity(&artifact, &mut loaded, wire)?;
                Proof {
                    parity,
                    ..prove(&mut loaded.predictors, &samples)?
                }
            }
            None => Proof::nothing(),
        };
        Ok(Made {
            grown: resident_bytes().saturating_sub(before),
            artifact,
            loaded,
            proof,
        })
    }
}
