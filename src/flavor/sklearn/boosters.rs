//! XGBoost's and LightGBM's estimators as parts of scikit-learn's.

use crate::flavor::estimator::Method;
use crate::flavor::formats::object::View;
use crate::flavor::plan::value::Kind;
use crate::flavor::plan::{Axes, Register};
use crate::flavor::refusal::{Refusal, refuse};
use crate::flavor::{lightgbm, xgboost};

use super::estimator::{Ask, Context, no_method};

/// Lowers one of them. XGBoost answers in single: what scikit-learn goes on to compute with that is not covered, for its
/// steps take doubles.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let method = match ask {
        Ask::Predict => Method::Predict,
        Ask::Proba => Method::PredictProba,
        _ => return no_method(ask, object),
    };
    if x != Register::INPUT && context.plan.form(x).kind == Kind::Input {
        refuse!("some columns of the request as they are: not covered before a booster");
    }
    let module = object.instance().map(|instance| &*instance.class.module);
    let (answer, axes) = if module.is_some_and(|module| module.starts_with("xgboost")) {
        let rows = xgboost::Rows {
            register: x,
            sparse: context.is_sparse(x),
        };
        xgboost::lower_pickled(object, method, context.plan, rows)?
    } else {
        lightgbm::lower_estimator(object, method, false, context.plan, x)?
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
