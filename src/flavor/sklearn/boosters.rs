//! Estimators of XGBoost and LightGBM within those of scikit-learn.

use crate::flavor::estimator::Method;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::Kind;
use crate::flavor::plan::{Axes, Register};
use crate::flavor::refusal::Refusal;
use crate::flavor::{lightgbm, xgboost};

use super::estimator::{Ask, Context, Lower, no_method};
use super::rows;

/// Who lowers the estimators of a package beside scikit-learn.
pub(super) fn of_package(package: &str) -> Option<Lower> {
    match package {
        "xgboost" | "lightgbm" => Some(lower),
        _ => None,
    }
}

fn lower(ask: Ask, object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let method = match ask {
        Ask::Predict => Method::Predict,
        Ask::Proba => Method::PredictProba,
        _ => return no_method(ask, object),
    };
    let sparse = context.is_sparse(x);
    // Their own steps would read all of a request of which only some columns are meant.
    let x = match context.picked.contains_key(&x) {
        true => rows::plain(context, x)?,
        false => x,
    };
    let x = match context.plan.form(x).kind {
        Kind::Cells => rows::widened(context, x)?,
        _ => x,
    };
    let module = object.instance().map(|instance| &*instance.class.module);
    let (answer, axes) = match module.and_then(|module| module.split('.').next()) {
        Some("xgboost") => {
            let register = x;
            xgboost::lower_pickled(object, method, context.plan, xgboost::Rows { register, sparse })?
        }
        _ => lightgbm::lower_estimator(object, method, false, context.plan, x)?,
    };
    if axes == Axes::Matrix {
        context.mark_matrix(answer);
    }
    Ok(answer)
}

/// Whether a transformer gives a sparse matrix. It matters to XGBoost only, which takes the zeros of one for missing.
pub(super) fn gives_sparse(transformer: View<'_>, given_sparse: bool) -> bool {
    let is_true = |name: &str| transformer.get(name).and_then(View::truth);
    match transformer.class().unwrap_or_default() {
        "OneHotEncoder" => is_true("sparse_output")
            .or_else(|| is_true("sparse"))
            .unwrap_or(true),
        "KBinsDiscretizer" => transformer.get("encode").and_then(View::text) == Some("onehot"),
        "ColumnTransformer" => is_true("sparse_output_").unwrap_or(true),
        "SplineTransformer" | "RandomTreesEmbedding" => is_true("sparse_output").unwrap_or(given_sparse),
        // What they give is noted already.
        "Pipeline" | "FeatureUnion" => false,
        "OrdinalEncoder" | "TargetEncoder" | "PCA" | "TruncatedSVD" | "QuantileTransformer" => false,
        // Scalers, imputers and selectors give what they are given.
        _ => given_sparse,
    }
}
