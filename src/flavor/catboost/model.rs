//! A CatBoost model as its files describe it, the same for both formats.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::flavor::refusal::{Refusal, refuse};

/// A model.
#[derive(Debug)]
pub(super) struct Model {
    /// Outputs of a row (`ApproxDimension`).
    pub(super) outputs: usize,
    pub(super) floats: Vec<FloatFeature>,
    pub(super) categories: Vec<CategoryFeature>,
    pub(super) one_hots: Vec<OneHot>,
    pub(super) counters: Vec<Counter>,
    pub(super) tables: Vec<Table>,
    pub(super) trees: Trees,
    /// Values of all leaves, `outputs` each.
    pub(super) leaves: Vec<f64>,
    /// What sums are multiplied with before `bias` is added.
    pub(super) scale: f64,
    /// One for each output.
    pub(super) bias: Vec<f64>,
    pub(super) about: About,
}

/// What the model says about itself.
#[derive(Debug, Default)]
pub(super) struct About {
    /// Parameters of the training.
    pub(super) params: Json,
    /// Classes and their labels; null for a regressor.
    pub(super) classes: Json,
    /// The probability from which on the second class is chosen, as text.
    pub(super) threshold: Option<String>,
}

/// Where a feature is in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The column's position in the data that the model was trained with.
    pub(super) position: usize,
    /// The column's name; none if the data had no names.
    pub(super) name: Option<Arc<str>>,
}

/// What a missing value counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Itself: above no border.
    AsIs,
    /// Less than every number.
    Lowest,
    /// More than every number.
    Highest,
}

#[derive(Debug)]
pub(super) struct FloatFeature {
    pub(super) place: Place,
    pub(super) missing: Missing,
    pub(super) borders: Vec<f32>,
}

#[derive(Debug)]
pub(super) struct CategoryFeature {
    pub(super) place: Place,
    pub(super) used: bool,
}

/// Categories that are tested one by one.
#[derive(Debug)]
pub(super) struct OneHot {
    /// Among the category features.
    pub(super) category: usize,
    /// Hashes of the categories.
    pub(super) values: Vec<i32>,
}

/// A feature made of statistics of categories (CTR).
#[derive(Debug)]
pub(super) struct Counter {
    /// Index of its table.
    pub(super) table: usize,
    /// Index of the class up to which (or of which) targets are counted.
    pub(super) border: usize,
    pub(super) prior: (f32, f32),
    pub(super) shift: f32,
    pub(super) scale: f32,
    pub(super) borders: Vec<f32>,
}

/// The features whose values together are one key of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Projection {
    /// Category features, by index.
    pub(super) categories: Vec<usize>,
    /// Whether a float feature, by index, is above a border.
    pub(super) floats: Vec<(usize, f32)>,
    /// Whether a category feature, by index, has a value.
    pub(super) one_hots: Vec<(usize, i32)>,
}

/// How statistics become a number, by CatBoost's numbers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterKind {
    Borders,
    Buckets,
    BinarizedTargetMeanValue,
    FloatTargetMeanValue,
    Counter,
    FeatureFrequency,
}

impl CounterKind {
    pub(super) fn of_number(number: i8) -> Result<CounterKind, Refusal> {
        Ok(match number {
            0 => CounterKind::Borders,
            1 => CounterKind::Buckets,
            2 => CounterKind::BinarizedTargetMeanValue,
            3 => CounterKind::FloatTargetMeanValue,
            4 => CounterKind::Counter,
            5 => CounterKind::FeatureFrequency,
            other => refuse!("counters of kind {other} are not known"),
        })
    }

    pub(super) fn of_name(name: &str) -> Result<CounterKind, Refusal> {
        Ok(match name {
            "Borders" => CounterKind::Borders,
            "Buckets" => CounterKind::Buckets,
            "BinarizedTargetMeanValue" => CounterKind::BinarizedTargetMeanValue,
            "FloatTargetMeanValue" => CounterKind::FloatTargetMeanValue,
            "Counter" => CounterKind::Counter,
            "FeatureFreq" => CounterKind::FeatureFrequency,
            other => refuse!("counters of kind `{other}` are not known"),
        })
    }
}

/// The statistics of each key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) projection: Projection,
    pub(super) kind: CounterKind,
    /// Hashes of keys and the numbers of their rows in `rows`.
    pub(super) keys: Vec<(u64, u32)>,
    pub(super) rows: Rows,
    /// What single counts are divided by.
    pub(super) denominator: i32,
}

/// Rows of statistics.
#[derive(Debug)]
pub(super) enum Rows {
    /// So many counts a row: one a class, or one.
    Counts(usize, Vec<i32>),
    /// Sum and count.
    Means(Vec<(f32, i32)>),
}

impl Rows {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Rows::Counts(width, counts) => counts.len() / (*width).max(1),
            Rows::Means(means) => means.len(),
        }
    }
}

/// The trees: splits are numbers in the list of all borders of float features, then all values of one-hot features, then
/// all borders of counters.
#[derive(Debug)]
pub(super) enum Trees {
    /// One split a level, lowest bit first; the leaves of the trees follow each other.
    Oblivious(Vec<Vec<usize>>),
    /// Nodes of each tree, the root first.
    Free(Vec<Vec<Node>>),
}

/// A node of a tree that need not be symmetric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    /// First of its values.
    Leaf(usize),
    Split {
        split: usize,
        /// The node for rows that the split is not true of.
        no: usize,
        /// The node for rows that the split is true of.
        yes: usize,
    },
}

/// Places of features in the lists of a model, by the indices that its file uses.
#[derive(Debug, Default)]
pub(super) struct Indices {
    pub(super) floats: HashMap<usize, usize>,
    pub(super) categories: HashMap<usize, usize>,
}

impl Indices {
    /// The place of a category feature.
    pub(super) fn category(&self, index: usize) -> Result<usize, Refusal> {
        match self.categories.get(&index) {
            Some(place) => Ok(*place),
            None => refuse!("there is no category feature {index}"),
        }
    }

    fn float(&self, index: usize) -> Result<usize, Refusal> {
        match self.floats.get(&index) {
            Some(place) => Ok(*place),
            None => refuse!("there is no float feature {index}"),
        }
    }

    /// Puts places for the indices of a projection.
    pub(super) fn settle(&self, projection: &mut Projection) -> Result<(), Refusal> {
        for category in &mut projection.categories {
            *category = self.category(*category)?;
        }
        for (category, _) in &mut projection.one_hots {
            *category = self.category(*category)?;
        }
        for (float, _) in &mut projection.floats {
            *float = self.float(*float)?;
        }
        Ok(())
    }
}
