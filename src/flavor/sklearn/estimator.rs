//! From an estimator to steps: which family knows its class, and what lowerings share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::builder::Builder;
use crate::flavor::refusal::{Refusal, refuse};

use super::request::{Declared, Picked};
use super::{
    ada_boost, bagging, boosters, calibrated, cluster, column_transformer, decomposition, discriminant,
    distribution, dummy, encoders, function, gradient_boosting, hist_gradient_boosting, impute,
    isolation_forest, linear, multi, naive_bayes, neighbors, neural, pipeline, polynomial, scale, search,
    select, select_from_model, stacking, svm, target, target_encoder, trees, voting,
};

/// Which method of an estimator is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// `predict`: labels or values; `[rows]` unless the register is marked by [`Context::mark_matrix`].
    Predict,
    /// `predict_proba`: `float64`, one column a class.
    Proba,
    /// `predict_log_proba`
    LogProba,
    /// `predict_joint_log_proba`
    JointLogProba,
    /// `decision_function`: `float64`, one column for two classes.
    Decision,
    /// `transform`
    Transform,
}

impl Ask {
    /// The method's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Ask::Predict => "predict",
            Ask::Proba => "predict_proba",
            Ask::LogProba => "predict_log_proba",
            Ask::JointLogProba => "predict_joint_log_proba",
            Ask::Decision => "decision_function",
            Ask::Transform => "transform",
        }
    }
}

/// Lowers one method of an estimator of some family: reads `x`, gives the register of the result.
pub(super) type Lower = fn(Ask, View<'_>, &mut Context<'_>, Register) -> Result<Register, Refusal>;

/// Who knows which classes.
const FAMILIES: &[(&[&str], Lower)] = &[
    (pipeline::CLASSES, pipeline::lower),
    (column_transformer::CLASSES, column_transformer::lower),
    (scale::CLASSES, scale::lower),
    (impute::CLASSES, impute::lower),
    (encoders::CLASSES, encoders::lower),
    (linear::CLASSES, linear::lower),
    (trees::CLASSES, trees::lower),
    (gradient_boosting::CLASSES, gradient_boosting::lower),
    (hist_gradient_boosting::CLASSES, hist_gradient_boosting::lower),
    (ada_boost::CLASSES, ada_boost::lower),
    (isolation_forest::CLASSES, isolation_forest::lower),
    (voting::CLASSES, voting::lower),
    (stacking::CLASSES, stacking::lower),
    (calibrated::CLASSES, calibrated::lower),
    (bagging::CLASSES, bagging::lower),
    (multi::CLASSES, multi::lower),
    (target::CLASSES, target::lower),
    (search::CLASSES, search::lower),
    (function::CLASSES, function::lower),
    (decomposition::CLASSES, decomposition::lower),
    (polynomial::CLASSES, polynomial::lower),
    (select::CLASSES, select::lower),
    (select_from_model::CLASSES, select_from_model::lower),
    (svm::CLASSES, svm::lower),
    (neighbors::CLASSES, neighbors::lower),
    (naive_bayes::CLASSES, naive_bayes::lower),
    (discriminant::CLASSES, discriminant::lower),
    (neural::CLASSES, neural::lower),
    (cluster::CLASSES, cluster::lower),
    (dummy::CLASSES, dummy::lower),
    (distribution::CLASSES, distribution::lower),
    (target_encoder::CLASSES, target_encoder::lower),
];

/// Estimators within estimators; real ones have some six levels.
const MAX_DEPTH: usize = 64;

/// Estimators of one model. A file may hold one estimator once and refer to it very often.
const MAX_ESTIMATORS: usize = 200_000;

/// What lowerings work on.
pub(super) struct Context<'p> {
    /// The plan that is being built.
    pub(super) plan: &'p mut Builder,
    /// What the signature says of the request.
    pub(super) declared: Declared,
    /// What is picked of the request in the registers that hold it, but for the first, which holds all of it.
    pub(super) picked: HashMap<Register, Arc<Picked>>,
    matrices: HashSet<Register>,
    sparse: HashSet<Register>,
    depth: usize,
    estimators: usize,
}

impl<'p> Context<'p> {
    /// A context for a model with a signature that says this much of its input.
    pub(super) fn new(plan: &'p mut Builder, declared: Declared) -> Context<'p> {
        Context {
            plan,
            declared,
            picked: HashMap::new(),
            matrices: HashSet::new(),
            sparse: HashSet::new(),
            depth: 0,
            estimators: 0,
        }
    }

    /// Notes that the result in a register has two axes, though it may be one column wide.
    pub(super) fn mark_matrix(&mut self, register: Register) {
        self.matrices.insert(register);
    }

    /// Notes that scikit-learn has the result in a register as a sparse matrix.
    pub(super) fn mark_sparse(&mut self, register: Register) {
        self.sparse.insert(register);
    }

    /// Whether scikit-learn has the result in a register as a sparse matrix; here all are dense.
    pub(super) fn is_sparse(&self, register: Register) -> bool {
        self.sparse.contains(&register)
    }

    /// Whether the result in a register has two axes, however wide it is.
    pub(super) fn is_matrix(&self, register: Register) -> bool {
        self.matrices.contains(&register)
    }
}

/// Lowers the method `ask` of an estimator on the rows in `x`.
///
/// # Errors
/// When no family knows its class, when the method is not covered, or when the estimator's parts do not fit.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let Some(instance) = object.instance() else {
        refuse!("an estimator expected, got a `{}`", object.kind());
    };
    let (module, class) = (&*instance.class.module, &*instance.class.name);
    let package = module.split('.').next().unwrap_or_default();
    let known = FAMILIES
        .iter()
        .find(|(classes, _)| package == "sklearn" && classes.contains(&class));
    let known = known.map(|(_, family)| *family);
    let Some(family) = known.or_else(|| boosters::of_package(package)) else {
        refuse!("`{module}.{class}` is not covered; export the model to ONNX");
    };
    if context.depth >= MAX_DEPTH {
        refuse!("more than {MAX_DEPTH} estimators within each other");
    }
    context.estimators += 1;
    if context.estimators > MAX_ESTIMATORS {
        refuse!("more than {MAX_ESTIMATORS} estimators");
    }
    context.depth += 1;
    let lowered = family(ask, object, context, x);
    context.depth -= 1;
    if let (Ask::Transform, Ok(result)) = (ask, &lowered)
        && boosters::gives_sparse(object, context.is_sparse(x))
    {
        context.mark_sparse(*result);
    }
    lowered.map_err(|refusal| refusal.within(class))
}

/// A refusal because a class has no such method, or none that is covered.
pub(super) fn no_method<T>(ask: Ask, object: View<'_>) -> Result<T, Refusal> {
    refuse!(
        "`{}` of `{}` is not covered; export the model to ONNX",
        ask.name(),
        object.kind()
    )
}

/// The version of scikit-learn that fitted an estimator: `(1, 4)`. Where it is not said, the newest there is.
pub(super) fn version(object: View<'_>) -> (u32, u32) {
    stated_version(object).unwrap_or((u32::MAX, 0))
}

fn stated_version(object: View<'_>) -> Option<(u32, u32)> {
    let text = object.get("_sklearn_version")?.text()?;
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

/// Refuses a model of a version that is too old, and gives a note for one that is newer than what is known.
pub(super) fn check_version(object: View<'_>) -> Result<Vec<String>, Refusal> {
    match stated_version(object) {
        Some((major, minor)) if major < 1 => {
            refuse!("the model is of scikit-learn {major}.{minor}, 1.0 and later are read")
        }
        Some((major, minor)) if (major, minor) > (1, 9) => Ok(vec![format!(
            "the model is of scikit-learn {major}.{minor}; 1.9 is the newest that modelsd was compared with"
        )]),
        _ => Ok(Vec::new()),
    }
}

/// Every class of every family.
#[cfg(test)]
pub(super) fn classes_of_families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|(classes, _)| classes.iter().copied())
}
