//! What estimators of several libraries have from scikit-learn's interface.

use crate::flavor::formats::object::{ArrayElements, View};
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::refusal::{Refusal, refuse};

/// What an estimator is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `predict`
    Predict,
    /// `predict_proba`
    PredictProba,
}

/// The labels in an array `classes_`.
///
/// # Errors
/// When it is none, or holds labels of several types.
pub fn labels(classes: View<'_>) -> Result<Labels, Refusal> {
    Ok(match classes.array().map(|array| &array.elements) {
        Some(ArrayElements::Int(labels)) => Labels::Int(labels.clone()),
        Some(ArrayElements::Float(labels)) => Labels::Float(labels.clone()),
        Some(ArrayElements::Bool(labels)) => Labels::Bool(labels.clone()),
        Some(ArrayElements::Text(labels)) => Labels::Text(labels.clone()),
        Some(ArrayElements::Object(labels)) => {
            let texts: Option<Vec<_>> = labels
                .iter()
                .map(|&label| classes.at(label).text().map(Into::into))
                .collect();
            match texts {
                Some(texts) => Labels::Text(texts),
                None => refuse!("labels that are not all text"),
            }
        }
        _ => refuse!("`classes_` is {}, expected an array of labels", classes.kind()),
    })
}
