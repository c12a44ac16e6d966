//! What came of predictions: outcomes that clients tell later.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::first_column::TOO_LARGE;
use super::frequent::Frequent;
use super::moments::Moments;
use crate::model::prediction_id::PredictionId;
use crate::model::value::Value;

/// Kinds of outcome that a variant may have.
pub const MAX_KINDS: usize = 32;
/// Bytes of a kind's name.
pub const MAX_KIND_BYTES: usize = 64;

/// Why an outcome was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackError {
    /// No variant that this server knows has the tag of that prediction.
    #[error(
        "prediction `{0}` was made by no variant that this server has, or by a version that it no longer has"
    )]
    Unknown(PredictionId),
    /// It was told before.
    #[error("the outcome `{kind}` of prediction `{id}` was told before")]
    Duplicate {
        /// The prediction.
        id: PredictionId,
        /// The kind of outcome.
        kind: String,
    },
    /// The name of the kind cannot be used.
    #[error("the kind of an outcome is a word of 1 to {MAX_KIND_BYTES} bytes without control characters")]
    Name,
    /// Too many kinds.
    #[error("`{0}` is one kind of outcome too many: a variant has {MAX_KINDS} at most")]
    TooManyKinds(String),
    /// The value is of no use.
    #[error("an outcome is a finite number below 1e150, a boolean or a text, got `{0}`")]
    Value(&'static str),
    /// Numbers and labels under one name.
    #[error("the outcome `{kind}` has been {known} so far")]
    Mixed {
        /// The kind of outcome.
        kind: String,
        /// What it has been.
        known: &'static str,
    },
}

/// One outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome<'a> {
    /// A number; booleans are 1 and 0.
    Number(f64),
    /// A label.
    Label(&'a str),
}

impl<'a> Outcome<'a> {
    /// Reads a value.
    pub(super) fn read(value: &'a Value) -> Result<Outcome<'a>, FeedbackError> {
        let number = match value {
            Value::Str(text) => return Ok(Outcome::Label(text)),
            Value::Bool(value) => f64::from(*value),
            Value::Int(value) => *value as f64,
            Value::Float(value) => *value,
            other => return Err(FeedbackError::Value(other.python_type())),
        };
        // NaN is not below either.
        if number.abs() < TOO_LARGE {
            Ok(Outcome::Number(number))
        } else {
            Err(FeedbackError::Value("float"))
        }
    }
}

/// Outcomes of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcomes {
    /// Numbers.
    Numbers(Moments),
    /// Labels.
    Labels(Frequent),
}

/// Outcomes of a variant, by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ByKind(BTreeMap<Box<str>, Outcomes>);

impl ByKind {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Outcomes)> {
        self.0.iter().map(|(kind, outcomes)| (&**kind, outcomes))
    }

    pub(super) fn get(&self, kind: &str) -> Option<&Outcomes> {
        self.0.get(kind)
    }

    /// Adds an outcome, and changes nothing if it cannot.
    pub(super) fn add(&mut self, kind: &str, outcome: Outcome<'_>) -> Result<(), FeedbackError> {
        if !self.0.contains_key(kind) {
            if self.0.len() >= MAX_KINDS {
                return Err(FeedbackError::TooManyKinds(kind.to_owned()));
            }
            let none = match outcome {
                Outcome::Number(_) => Outcomes::Numbers(Moments::default()),
                Outcome::Label(_) => Outcomes::Labels(Frequent::default()),
            };
            self.0.insert(kind.into(), none);
        }
        let mixed = |known| {
            Err(FeedbackError::Mixed {
                kind: kind.to_owned(),
                known,
            })
        };
        match (self.0.get_mut(kind), outcome) {
            (Some(Outcomes::Numbers(moments)), Outcome::Number(number)) => moments.add(number),
            (Some(Outcomes::Labels(frequent)), Outcome::Label(label)) => frequent.add(label),
            (Some(Outcomes::Numbers(_)), Outcome::Label(_)) => return mixed("numbers"),
            (_, _) => return mixed("labels"),
        }
        Ok(())
    }
}

/// Whether a name may be that of a kind.
pub(super) fn is_name(kind: &str) -> bool {
    !kind.is_empty() && kind.len() <= MAX_KIND_BYTES && !kind.chars().any(char::is_control)
}

/// The latest of what was seen.
#[derive(Debug)]
pub(super) struct Recent {
    bound: usize,
    order: VecDeque<u64>,
    seen: HashSet<u64>,
}

impl Recent {
    pub(super) fn new(bound: usize) -> Recent {
        Recent {
            bound,
            order: VecDeque::new(),
            seen: HashSet::new(),
        }
    }

    pub(super) fn has(&self, item: u64) -> bool {
        self.seen.contains(&item)
    }

    /// Adds what was not there; the oldest goes when there are too many.
    pub(super) fn add(&mut self, item: u64) {
        if !self.seen.insert(item) {
            return;
        }
        self.order.push_back(item);
        if self.order.len() > self.bound
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_booleans_and_texts_are_outcomes() {
        assert_eq!(Outcome::read(&Value::Bool(true)), Ok(Outcome::Number(1.0)));
        assert_eq!(Outcome::read(&Value::Int(-3)), Ok(Outcome::Number(-3.0)));
        assert_eq!(Outcome::read(&Value::Float(0.5)), Ok(Outcome::Number(0.5)));
        assert_eq!(Outcome::read(&Value::Str("a".into())), Ok(Outcome::Label("a")));
        for value in [
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(1e150),
        ] {
            assert_eq!(
                Outcome::read(&value),
                Err(FeedbackError::Value("float")),
                "{value:?}"
            );
        }
        assert_eq!(Outcome::read(&Value::Null), Err(FeedbackError::Value("NoneType")));
        assert_eq!(
            Outcome::read(&Value::List(vec![])),
            Err(FeedbackError::Value("list"))
        );
    }

    #[test]
    fn a_kind_is_numbers_or_labels() {
        let mut kinds = ByKind::default();
        kinds.add("clicked", Outcome::Number(1.0)).unwrap();
        let refused = kinds.add("clicked", Outcome::Label("yes")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the outcome `clicked` has been numbers so far"
        );
        kinds.add("label", Outcome::Label("a")).unwrap();
        let refused = kinds.add("label", Outcome::Number(0.0)).unwrap_err();
        assert_eq!(refused.to_string(), "the outcome `label` has been labels so far");
        let Some(Outcomes::Numbers(moments)) = kinds.get("clicked") else {
            panic!()
        };
        assert_eq!(moments.count(), 1);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut kinds = ByKind::default();
        for number in 0..MAX_KINDS {
            kinds.add(&number.to_string(), Outcome::Number(0.0)).unwrap();
        }
        let refused = kinds.add("more", Outcome::Number(0.0));
        assert_eq!(refused, Err(FeedbackError::TooManyKinds("more".into())));
        kinds.add("0", Outcome::Number(0.0)).unwrap();
        assert_eq!(kinds.iter().count(), MAX_KINDS);
    }

    #[test]
    fn names_are_words() {
        assert!(is_name("clicked") && is_name(&"x".repeat(64)));
        assert!(!is_name("") && !is_name("a\nb") && !is_name(&"x".repeat(65)));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(3);
        [1, 2, 3, 1, 4].into_iter().for_each(|item| recent.add(item));
        assert!(!recent.has(1) && recent.has(2) && recent.has(4));
        assert_eq!((recent.order.len(), recent.seen.len()), (3, 3));
    }
}
