//! A route, and the choice of a variant.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::HeaderName;

use super::score::{draw, hash};
use super::weights::{MAX_VARIANTS, Weight, WeightsError};

/// The header that names a variant, unless a route has another.
pub const VARIANT_HEADER: HeaderName = HeaderName::from_static("x-model-variant");
/// The header that names a version, where a route allows it.
pub const VERSION_HEADER: HeaderName = HeaderName::from_static("x-model-version");
/// The header that names a stage or an alias, where a route allows it.
pub const STAGE_HEADER: HeaderName = HeaderName::from_static("x-model-stage");
/// The header whose value keeps requests at one variant.
pub const KEY_HEADER: HeaderName = HeaderName::from_static(KEY);
/// Its name.
pub const KEY: &str = "x-routing-key";

/// One of those that may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// How requests name it.
    pub name: Arc<str>,
    /// The slot that answers for it.
    pub slot: Arc<str>,
    /// The stage or the alias that its slot follows, by which requests may ask for it as well.
    pub stage: Option<Arc<str>>,
    /// Its share of the requests that ask for none is this, over the sum of all.
    pub weight: u32,
}

/// One that gets copies of requests that were answered, and whose answers go to nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    /// Its name.
    pub name: Arc<str>,
    /// The slot that it is.
    pub slot: Arc<str>,
    /// The share of the requests that it gets a copy of, from 0 to 1.
    pub share: f64,
}

/// What the requests of a route may ask for besides a variant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// A version, by `x-model-version`.
    pub version: bool,
    /// A stage or an alias, by `x-model-stage`.
    pub stage: bool,
}

/// A name under which several variants answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    name: Arc<str>,
    /// The header that names a variant.
    header: HeaderName,
    allowed: Allowed,
    record: Option<f64>,
    shadows: Vec<Shadow>,
    variants: Vec<Variant>,
    /// The hash of each variant's name.
    hashes: Vec<u64>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// A variant.
    pub variant: Option<&'a str>,
    /// A version.
    pub version: Option<&'a str>,
    /// A stage or an alias.
    pub stage: Option<&'a str>,
    /// What belongs together goes to the same variant.
    pub key: Option<&'a [u8]>,
}

/// How a variant was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The request asked for it.
    Asking,
    /// By the key with this hash.
    Key(u64),
    /// By weight.
    Weight,
}

/// The variant of a request.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// Which.
    pub variant: &'a Variant,
    /// How it was chosen.
    pub by: By,
}

/// What is known of a variant at this moment.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// The version that it serves; `None` while nothing is loaded, empty for a model without versions.
    pub version: Option<Arc<str>>,
}

/// Why no variant was chosen. The texts are for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// There is no such variant.
    #[error("Model `{route}` has no variant `{variant}`. It has {known}.")]
    UnknownVariant {
        /// The route.
        route: Arc<str>,
        /// What was asked for.
        variant: String,
        /// The variants there are.
        known: String,
    },
    /// No variant serves that version.
    #[error("No variant of model `{route}` serves version `{version}` now. It has {known}.")]
    UnknownVersion {
        /// The route.
        route: Arc<str>,
        /// What was asked for.
        version: String,
        /// The variants there are, and what they serve.
        known: String,
    },
    /// No variant follows that stage or alias.
    #[error("No variant of model `{route}` follows `{stage}`. It has {known}.")]
    UnknownStage {
        /// The route.
        route: Arc<str>,
        /// What was asked for.
        stage: String,
        /// The variants there are, and what they follow.
        known: String,
    },
    /// The route does not choose by that header.
    #[error(
        "Model `{route}` does not choose by `{header}`: its configuration does not allow it. Ask for a variant by `{variant_header}` instead."
    )]
    NotAllowed {
        /// The route.
        route: Arc<str>,
        /// The header.
        header: HeaderName,
        /// The header that is obeyed.
        variant_header: HeaderName,
    },
}

/// Why variants make no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// There are none.
    #[error("it has no variants")]
    Empty,
    /// There are more than a route may have.
    #[error("it has {0} variants, more than {MAX_VARIANTS}")]
    TooMany(usize),
    /// Two have one name.
    #[error("two of its variants have the same name")]
    Twice,
    /// None has a weight.
    #[error("all its weights are 0, so that nobody would answer")]
    Weightless,
}

impl Route {
    /// A route of these variants, the first being the one that others are compared with.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn new(
        name: Arc<str>,
        header: HeaderName,
        allowed: Allowed,
        variants: Vec<Variant>,
    ) -> Result<Route, NoRoute> {
        let names: BTreeSet<&str> = variants.iter().map(|variant| &*variant.name).collect();
        if variants.is_empty() {
            return Err(NoRoute::Empty);
        }
        if variants.len() > MAX_VARIANTS {
            return Err(NoRoute::TooMany(variants.len()));
        }
        if names.len() < variants.len() {
            return Err(NoRoute::Twice);
        }
        if variants.iter().all(|variant| variant.weight == 0) {
            return Err(NoRoute::Weightless);
        }
        Ok(Route {
            hashes: variants
                .iter()
                .map(|variant| hash([b"", variant.name.as_bytes()]))
                .collect(),
            name,
            header,
            allowed,
            record: None,
            shadows: Vec::new(),
            variants,
        })
    }

    /// The same with shadows.
    #[must_use]
    pub fn shadowed(mut self, shadows: Vec<Shadow>) -> Route {
        self.shadows = shadows;
        self
    }

    /// Those that get copies of its requests.
    pub fn shadows(&self) -> &[Shadow] {
        &self.shadows
    }

    /// The same with a share of its requests that is recorded, from 0 to 1.
    #[must_use]
    pub fn recording(mut self, share: Option<f64>) -> Route {
        self.record = share;
        self
    }

    /// The share of its requests that is recorded, from 0 to 1; `None` for what others have.
    pub fn record(&self) -> Option<f64> {
        self.record
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The header that names a variant.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// What requests may ask for.
    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// The variants, the first being the one that others are compared with.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// Chooses the variant of one request: the one it asks for, else that of its key, else one by weight. What is asked for
    /// is obeyed whether or not it can answer; a key and chance go by those that can, while any can. `dice` is uniform
    /// over all numbers.
    ///
    /// # Errors
    /// [`RouteError`] when the request asks for what is not there.
    pub fn choose(
        &self,
        asked: &Asked<'_>,
        dice: u64,
        now: impl Fn(&Variant) -> Now,
    ) -> Result<Choice<'_>, RouteError> {
        let (variant, by) = self.choose_by(asked, dice, now)?;
        Ok(Choice { variant, by })
    }

    fn choose_by(
        &self,
        asked: &Asked<'_>,
        dice: u64,
        now: impl Fn(&Variant) -> Now,
    ) -> Result<(&Variant, By), RouteError> {
        if let Some(name) = asked.variant {
            return Ok((self.named(name)?, By::Asking));
        }
        if let Some(version) = asked.version {
            self.allow(self.allowed.version, VERSION_HEADER)?;
            let serves = |variant: &&Variant| now(variant).version.as_deref() == Some(version);
            let found = self.variants.iter().find(serves);
            let found = found.ok_or_else(|| RouteError::UnknownVersion {
                route: Arc::clone(&self.name),
                version: shortened(version),
                known: self.list(|variant| now(variant).version),
            });
            return Ok((found?, By::Asking));
        }
        if let Some(stage) = asked.stage {
            self.allow(self.allowed.stage, STAGE_HEADER)?;
            let follows = |variant: &&Variant| {
                variant
                    .stage
                    .as_ref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(stage))
            };
            let found = self.variants.iter().find(follows);
            let found = found.ok_or_else(|| RouteError::UnknownStage {
                route: Arc::clone(&self.name),
                stage: shortened(stage),
                known: self.list(|variant| variant.stage.clone()),
            });
            return Ok((found?, By::Asking));
        }
        let ready = |variant: &Variant| now(variant).version.is_some();
        let ready = match self
            .variants
            .iter()
            .any(|variant| variant.weight > 0 && ready(variant))
        {
            true => &ready as &dyn Fn(&Variant) -> bool,
            // Nobody can answer: the one whose turn it is says so.
            false => &|_: &Variant| true,
        };
        let (found, by) = match asked.key {
            Some(key) => {
                // With the name of the route, or those who get the new version of one model would get that of every other.
                let key = hash([self.name.as_bytes(), key]);
                (self.of_key(key, ready), By::Key(key))
            }
            None => (self.by_weight(dice, ready), By::Weight),
        };
        Ok((found.unwrap_or(self.first()), by))
    }

    /// The same route with other weights; variants that are not named keep theirs.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn reweighted(&self, weights: &[Weight]) -> Result<Route, WeightsError> {
        let mut route = self.clone();
        for (at, weight) in weights.iter().enumerate() {
            if weights
                .iter()
                .take(at)
                .any(|other| other.variant == weight.variant)
            {
                return Err(WeightsError::Twice(weight.variant.clone()));
            }
            let variant = route
                .variants
                .iter_mut()
                .find(|variant| *variant.name == *weight.variant);
            match variant {
                Some(variant) => variant.weight = weight.weight,
                None => {
                    return Err(WeightsError::Unknown {
                        variant: shortened(&weight.variant),
                        known: self.list(|_| None),
                    });
                }
            }
        }
        match route.variants.iter().all(|variant| variant.weight == 0) {
            true => Err(WeightsError::Nothing),
            false => Ok(route),
        }
    }

    /// The weights, in the order of the variants.
    pub fn weights(&self) -> Vec<Weight> {
        let weight = |variant: &Variant| Weight {
            variant: variant.name.to_string(),
            weight: variant.weight,
        };
        self.variants.iter().map(weight).collect()
    }

    /// The variant of that name.
    ///
    /// # Errors
    /// [`RouteError::UnknownVariant`].
    pub fn named(&self, name: &str) -> Result<&Variant, RouteError> {
        let found = self.variants.iter().find(|variant| *variant.name == *name);
        found.ok_or_else(|| RouteError::UnknownVariant {
            route: Arc::clone(&self.name),
            variant: shortened(name),
            known: self.list(|_| None),
        })
    }

    fn first(&self) -> &Variant {
        // A route has a variant, or it would not have been made.
        &self.variants[0]
    }

    fn allow(&self, allowed: bool, header: HeaderName) -> Result<(), RouteError> {
        match allowed {
            true => Ok(()),
            false => Err(RouteError::NotAllowed {
                route: Arc::clone(&self.name),
                header,
                variant_header: self.header.clone(),
            }),
        }
    }

    fn of_key(&self, key: u64, ready: &dyn Fn(&Variant) -> bool) -> Option<&Variant> {
        let drawn = self
            .variants
            .iter()
            .zip(&self.hashes)
            .filter(|(variant, _)| variant.weight > 0 && ready(variant));
        drawn
            .map(|(variant, hash)| (draw(key, *hash, variant.weight), variant))
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, variant)| variant)
    }

    fn by_weight(&self, dice: u64, ready: &dyn Fn(&Variant) -> bool) -> Option<&Variant> {
        let weight = |variant: &Variant| {
            if ready(variant) {
                u64::from(variant.weight)
            } else {
                0
            }
        };
        let sum: u64 = self.variants.iter().map(weight).sum();
        // The upper half of a product spreads all dice over the sum, without a division.
        let mut left = ((u128::from(dice) * u128::from(sum)) >> 64) as u64;
        self.variants.iter().find(|variant| {
            let weight = weight(variant);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    }

    /// The variants for people, each with what `what` says of it.
    fn list(&self, what: impl Fn(&Variant) -> Option<Arc<str>>) -> String {
        let entry = |variant: &Variant| match what(variant).filter(|what| !what.is_empty()) {
            Some(what) => format!("`{}` ({what})", variant.name),
            None => format!("`{}`", variant.name),
        };
        self.variants.iter().map(entry).collect::<Vec<_>>().join(", ")
    }
}

/// What a client sent, for an error.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
