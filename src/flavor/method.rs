//! The methods of estimators that follow scikit-learn's interface.

/// What an estimator is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `predict`
    Predict,
    /// `predict_proba`
    PredictProba,
}
