//! What an operator asks for: routes and their variants, before anything is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderName;

use super::route::{Allowed, NoRoute, Route, Variant};
use crate::model::uri::ModelUri;

/// A route, as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteSpec {
    /// Its name.
    pub name: Arc<str>,
    /// The header that names a variant.
    pub header: HeaderName,
    /// What requests may ask for besides.
    pub allowed: Allowed,
    /// The share of its requests that is recorded, from 0 to 1; `None` for what others have.
    pub record: Option<f64>,
    /// Its variants; the first is the one that others are compared with.
    pub variants: Vec<VariantSpec>,
}

/// A variant, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it serves.
    pub uri: ModelUri,
    /// Its weight.
    pub weight: u32,
}

/// A slot of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantSlot {
    /// Name of the slot.
    pub slot: Arc<str>,
    /// What it serves.
    pub uri: ModelUri,
    /// The route.
    pub route: Arc<str>,
    /// The variant.
    pub variant: Arc<str>,
    /// Whether the server is not ready without it: the first of its route is, so that one on trial holds nobody up.
    pub required: bool,
}

impl RouteSpec {
    /// The slot that answers for a variant.
    pub fn slot(&self, variant: &VariantSpec) -> Arc<str> {
        format!("{}.{}", self.name, variant.name).into()
    }

    /// The slots of its variants.
    pub fn slots(&self) -> impl Iterator<Item = VariantSlot> {
        self.variants.iter().enumerate().map(|(at, variant)| VariantSlot {
            slot: self.slot(variant),
            uri: variant.uri.clone(),
            route: Arc::clone(&self.name),
            variant: Arc::clone(&variant.name),
            required: at == 0,
        })
    }

    /// The route.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(&self) -> Result<Route, NoRoute> {
        let variant = |variant: &VariantSpec| Variant {
            name: Arc::clone(&variant.name),
            slot: self.slot(variant),
            stage: match &variant.uri {
                ModelUri::Stage { stage, .. } => Some(stage.name().into()),
                ModelUri::Alias { alias, .. } => Some(Arc::clone(alias)),
                _ => None,
            },
            weight: variant.weight,
        };
        let route = Route::new(
            Arc::clone(&self.name),
            self.header.clone(),
            self.allowed,
            self.variants.iter().map(variant).collect(),
        )?;
        Ok(route.recording(self.record))
    }
}

/// Every mistake in routes, beside the slots of these names that have no variants.
pub fn problems(routes: &[RouteSpec], slots: &[Arc<str>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut names: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for name in slots {
        *names.entry(Arc::clone(name)).or_default() += 1;
    }
    for spec in routes {
        *names.entry(Arc::clone(&spec.name)).or_default() += 1;
        for slot in spec.slots() {
            *names.entry(slot.slot).or_default() += 1;
        }
        if let Err(problem) = spec.route() {
            found.push(format!("route `{}`: {problem}", spec.name));
        }
    }
    let twice = names.into_iter().filter(|(_, count)| *count > 1);
    found.extend(twice.map(|(name, _)| {
        format!("route: two things would be served as `{name}`; a variant is served as ROUTE.VARIANT as well")
    }));
    found
}
