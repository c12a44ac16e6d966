//! Changing routes while requests are answered: other weights, or another configuration.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::deploy::reconcile::{Control, ControlError};
use crate::experiment::tallies::Tallies;
use crate::routing::route::{NoRoute, Route, Variant};
use crate::routing::spec::RouteSpec;
use crate::routing::store::{Saved, Store};
use crate::routing::table::{Routes, Table};
use crate::routing::weights::{Weight, WeightsError};

/// Reads the configuration again; the error is for people. Blocking.
pub type Reread = Arc<dyn Fn() -> Result<Vec<RouteSpec>, String> + Send + Sync>;

/// The one who changes routes.
pub struct RouteKeeper {
    routes: Arc<Routes>,
    control: Control,
    store: Store,
    reread: Option<Reread>,
    tallies: Option<Arc<Tallies>>,
    /// Whether a request that names nothing is for the first route.
    default: bool,
    turn: Mutex<Turn>,
}

/// What only the one whose turn it is may touch.
struct Turn {
    configured: Vec<RouteSpec>,
    saved: Saved,
}

/// Why routes were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No route has that name.
    #[error("there is no route `{name}`; there are {known}")]
    NoRoute {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The server was started without a configuration file.
    #[error("the server was started without --config, so that there is nothing to read again")]
    NoConfig,
    /// The file cannot be read or has mistakes; nothing was changed.
    #[error("the configuration is not used, and nothing was changed:\n{0}")]
    BadConfig(String),
    /// A route has no variants; the configuration was checked before.
    #[error(transparent)]
    Spec(#[from] NoRoute),
    /// The weights hold, but could not be written down.
    #[error("they hold until the server stops, but could not be written to --cache-dir: {0}")]
    NotKept(String),
    /// The slots could not be changed.
    #[error(transparent)]
    Slots(#[from] ControlError),
}

impl RouteKeeper {
    /// The routes of this configuration, with the weights that were set before, and their keeper. `default` is whether a
    /// request that names nothing is for the first of them. Blocking.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn new(
        configured: Vec<RouteSpec>,
        default: bool,
        store: Store,
        control: Control,
        reread: Option<Reread>,
        tallies: Option<Arc<Tallies>>,
    ) -> Result<RouteKeeper, NoRoute> {
        let saved = store.read();
        let routes = Arc::new(Routes::new(table(&configured, default, &saved)?));
        let keeper = RouteKeeper {
            tallies,
            routes,
            control,
            store,
            reread,
            default,
            turn: Mutex::new(Turn { configured, saved }),
        };
        keeper.weigh();
        Ok(keeper)
    }

    /// Tells who compares variants which weights hold now: with others, a comparison begins anew.
    fn weigh(&self) {
        let Some(tallies) = &self.tallies else { return };
        for route in self.routes.table().routes() {
            let weight = |variant: &Variant| (Arc::clone(&variant.name), f64::from(variant.weight));
            let weights: Vec<_> = route.variants().iter().map(weight).collect();
            tallies.weigh(route.name(), &weights, SystemTime::now());
        }
    }

    /// The routes.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// Gives variants of a route other weights, from the next request on; a restart keeps them.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_weights(&self, name: &str, weights: &[Weight]) -> Result<Arc<Route>, ChangeError> {
        let mut turn = self.turn.lock().await;
        let table = Table::clone(&self.routes.table());
        let configured = turn.configured.iter().find(|spec| *spec.name == *name);
        let (Some(route), Some(configured)) = (table.get(Some(name)), configured) else {
            return Err(no_route(name, &table));
        };
        let route = route.reweighted(weights)?;
        let configured = configured.route()?;
        turn.saved.note(&configured, &route);
        let shared = Arc::new(route.clone());
        self.routes.set(table.with(route));
        self.weigh();
        let (store, saved) = (self.store.clone(), turn.saved.clone());
        let written = spawn_blocking(move || store.write(&saved).map_err(|error| error.to_string()));
        match written.await {
            Ok(Ok(())) => Ok(shared),
            Ok(Err(problem)) => Err(ChangeError::NotKept(problem)),
            Err(problem) => Err(ChangeError::NotKept(problem.to_string())),
        }
    }

    /// Reads the configuration again and does what it says, without dropping a request; gives the names of the routes.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing is changed.
    pub async fn reload(&self) -> Result<Vec<Arc<str>>, ChangeError> {
        let reread = self.reread.clone().ok_or(ChangeError::NoConfig)?;
        let mut turn = self.turn.lock().await;
        let read = spawn_blocking(move || reread()).await;
        let specs = match read {
            Ok(Ok(specs)) => specs,
            Ok(Err(problems)) => return Err(ChangeError::BadConfig(problems)),
            Err(problem) => return Err(ChangeError::BadConfig(problem.to_string())),
        };
        let table = table(&specs, self.default, &turn.saved)?;
        let slots = |specs: &[RouteSpec]| specs.iter().flat_map(RouteSpec::slots).collect::<Vec<_>>();
        let (old, new) = (slots(&turn.configured), slots(&specs));
        // New slots are there before a route names them, and old ones as long as one does.
        let mut both = new.clone();
        both.extend(
            old.into_iter()
                .filter(|old| new.iter().all(|new| new.slot != old.slot)),
        );
        self.control.set_variants(both).await?;
        self.routes.set(table);
        self.weigh();
        self.control.set_variants(new).await?;
        turn.configured = specs;
        Ok(turn
            .configured
            .iter()
            .map(|spec| Arc::clone(&spec.name))
            .collect())
    }
}

/// The error of a name that is no route.
pub fn no_route(name: &str, table: &Table) -> ChangeError {
    let known: Vec<String> = table
        .routes()
        .map(|route| format!("`{}`", route.name()))
        .collect();
    ChangeError::NoRoute {
        name: name.chars().take(100).collect(),
        known: match known.is_empty() {
            true => "none: start the server with --route or --config".into(),
            false => known.join(", "),
        },
    }
}

fn table(specs: &[RouteSpec], default: bool, saved: &Saved) -> Result<Table, NoRoute> {
    let routes = specs.iter().map(|spec| Ok(saved.apply(spec.route()?)));
    let routes: Vec<Route> = routes.collect::<Result<_, NoRoute>>()?;
    let default = specs
        .first()
        .filter(|_| default)
        .map(|spec| Arc::clone(&spec.name));
    Ok(Table::new(routes, default))
}
