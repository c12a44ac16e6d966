//! Weights that were set while the server ran, on disk, for the next start.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::route::Route;
use super::weights::Weight;

/// Files longer than this are none of ours.
const MAX_BYTES: u64 = 1 << 20;
const FILE: &str = "weights.json";

/// The file.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Weights that were set, by route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    routes: BTreeMap<String, Set>,
}

/// The weights of one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    /// Those of the configuration at that time; where it has others now, they count.
    configured: BTreeMap<String, u32>,
    weights: BTreeMap<String, u32>,
}

impl Saved {
    /// The route with the weights that were set, if they were set for what it is.
    pub fn apply(&self, route: Route) -> Route {
        let Some(set) = self.routes.get(&**route.name()) else {
            return route;
        };
        if set.configured != map(&route.weights()) {
            return route;
        }
        let weights: Vec<Weight> = set
            .weights
            .iter()
            .map(|(variant, &weight)| Weight {
                variant: variant.clone(),
                weight,
            })
            .collect();
        route.reweighted(&weights).unwrap_or(route)
    }

    /// Notes the weights of a route, which the configuration has otherwise.
    pub fn note(&mut self, configured: &Route, now: &Route) {
        let set = Set {
            configured: map(&configured.weights()),
            weights: map(&now.weights()),
        };
        self.routes.insert(now.name().to_string(), set);
    }
}

fn map(weights: &[Weight]) -> BTreeMap<String, u32> {
    weights
        .iter()
        .map(|weight| (weight.variant.clone(), weight.weight))
        .collect()
}

impl Store {
    /// A store in this folder, which need not be there yet.
    pub fn new(folder: PathBuf) -> Store {
        Store { folder }
    }

    /// What was saved; nothing when there is nothing to read. Blocking.
    pub fn read(&self) -> Saved {
        let read = || {
            let mut text = Vec::new();
            let file = fs::File::open(self.folder.join(FILE)).ok()?;
            file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
            serde_json::from_slice(&text).ok()
        };
        read().unwrap_or_default()
    }

    /// Saves. Blocking; asks the disk to keep it.
    ///
    /// # Errors
    /// When it cannot be written; what was saved before stays.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .tempfile_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(saved)?)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(FILE))
            .map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::routing::route::{Allowed, VARIANT_HEADER, Variant};

    fn route(weights: [u32; 2]) -> Route {
        let variant = |(name, weight): (&str, u32)| Variant {
            name: name.into(),
            slot: Arc::default(),
            stage: None,
            weight,
        };
        let variants = ["a", "b"].into_iter().zip(weights).map(variant).collect();
        Route::new("r".into(), VARIANT_HEADER, Allowed::default(), variants).unwrap()
    }

    #[test]
    fn weights_outlive_the_process_unless_the_configuration_has_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"));
        let mut saved = store.read();
        assert_eq!(saved.apply(route([1, 0])), route([1, 0]));
        saved.note(&route([1, 0]), &route([3, 7]));
        store.write(&saved).unwrap();
        assert_eq!(store.read().apply(route([1, 0])), route([3, 7]));
        assert_eq!(store.read().apply(route([1, 1])), route([1, 1]));
        for text in [
            "",
            "{",
            r#"{"routes": {"r": {"configured": {}, "weights": {"c": 1}}}}"#,
        ] {
            fs::write(folder.path().join("state").join(FILE), text).unwrap();
            assert_eq!(store.read().apply(route([1, 0])), route([1, 0]), "{text}");
        }
    }
}
