//! What an operator asks for: routes and their variants, before anything is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderName;

use super::gate::GateSpec;
use super::route::{Allowed, NoRoute, Route, Shadow, Variant};
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
    /// What new versions of its variants have to show; `None` for what those of others have.
    pub gate: Option<GateSpec>,
    /// Its variants; the first is the one that others are compared with.
    pub variants: Vec<VariantSpec>,
    /// Those that get copies of its requests.
    pub shadows: Vec<ShadowSpec>,
}

/// A shadow, as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it runs.
    pub uri: ModelUri,
    /// The share of the requests that it gets a copy of, from 0 to 1.
    pub share: f64,
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
#[derive(Debug, Clone, PartialEq)]
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
    /// Whether it only gets copies of requests.
    pub shadow: bool,
    /// What a new version has to show, where its route says so; a shadow's none.
    pub gate: Option<GateSpec>,
}

impl RouteSpec {
    /// The slot of a variant or a shadow.
    fn slot(&self, variant: &str) -> Arc<str> {
        format!("{}.{variant}", self.name).into()
    }

    /// The slots of its variants and its shadows.
    pub fn slots(&self) -> impl Iterator<Item = VariantSlot> {
        let variants = self
            .variants
            .iter()
            .map(|variant| (&variant.name, &variant.uri, false));
        let shadows = self
            .shadows
            .iter()
            .map(|shadow| (&shadow.name, &shadow.uri, true));
        let all = variants.chain(shadows).enumerate();
        all.map(|(at, (name, uri, shadow))| VariantSlot {
            slot: self.slot(name),
            uri: uri.clone(),
            route: Arc::clone(&self.name),
            variant: Arc::clone(name),
            required: at == 0,
            shadow,
            gate: self.gate.clone().filter(|_| !shadow),
        })
    }

    /// The route.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(&self) -> Result<Route, NoRoute> {
        let variant = |variant: &VariantSpec| Variant {
            name: Arc::clone(&variant.name),
            slot: self.slot(&variant.name),
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
        let shadow = |shadow: &ShadowSpec| Shadow {
            name: Arc::clone(&shadow.name),
            slot: self.slot(&shadow.name),
            share: shadow.share,
        };
        let shadows = self.shadows.iter().map(shadow).collect();
        Ok(route.recording(self.record).shadowed(shadows))
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
