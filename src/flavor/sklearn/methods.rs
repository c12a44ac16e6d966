//! Which methods an estimator has, where others choose by that.

use crate::flavor::formats::object::View;
use crate::flavor::refusal::{Refusal, refuse};

use super::numbers;
use super::search;

/// Classifiers without `decision_function`.
const WITHOUT_DECISION: &[&str] = &[
    "DecisionTreeClassifier",
    "ExtraTreeClassifier",
    "RandomForestClassifier",
    "ExtraTreesClassifier",
    "GaussianNB",
    "BernoulliNB",
    "MultinomialNB",
    "ComplementNB",
    "CategoricalNB",
    "KNeighborsClassifier",
    "RadiusNeighborsClassifier",
    "MLPClassifier",
    "VotingClassifier",
    "CalibratedClassifierCV",
    "DummyClassifier",
    "GaussianProcessClassifier",
    "LGBMClassifier",
    "XGBClassifier",
    "XGBRFClassifier",
];

/// Classifiers without `predict_proba`.
const WITHOUT_PROBA: &[&str] = &[
    "LinearSVC",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "Perceptron",
    "PassiveAggressiveClassifier",
    "NearestCentroid",
    "OutputCodeClassifier",
    "OneVsOneClassifier",
];

/// Whether a classifier has `decision_function`.
pub(super) fn has_decision(classifier: View<'_>) -> Result<bool, Refusal> {
    let last = answering(classifier)?;
    Ok(!last
        .class()
        .is_some_and(|class| WITHOUT_DECISION.contains(&class)))
}

/// Whether a classifier has `predict_proba`.
pub(super) fn has_proba(classifier: View<'_>) -> Result<bool, Refusal> {
    let last = answering(classifier)?;
    match last.class() {
        Some("SGDClassifier") => {
            let loss = numbers::word(last, "loss", "hinge")?;
            Ok(matches!(loss, "log_loss" | "log" | "modified_huber"))
        }
        Some("SVC" | "NuSVC") => numbers::switch(last, "probability", false),
        Some("VotingClassifier") => Ok(numbers::word(last, "voting", "hard")? == "soft"),
        class => Ok(!class.is_some_and(|class| WITHOUT_PROBA.contains(&class))),
    }
}

/// The estimator that decides which methods a chain of estimators has.
pub(super) fn answering(mut classifier: View<'_>) -> Result<View<'_>, Refusal> {
    /// Estimators within estimators.
    const MAX_DEPTH: usize = 64;
    for _ in 0..MAX_DEPTH {
        classifier = match classifier.class() {
            Some("Pipeline") => {
                let steps = classifier.attribute("steps")?.members();
                let last = steps.and_then(|steps| steps.last()?.members()?.get(1).copied());
                match last {
                    Some(last) => last,
                    None => refuse!("a pipeline without steps"),
                }
            }
            Some("StackingClassifier") => classifier.attribute("final_estimator_")?,
            Some("OneVsRestClassifier" | "BaggingClassifier") => {
                let members = classifier.attribute("estimators_")?.members();
                match members.and_then(|members| members.first().copied()) {
                    Some(first) => first,
                    None => refuse!("there are no estimators"),
                }
            }
            Some(class) if search::CLASSES.contains(&class) => search::inner(classifier)?,
            _ => return Ok(classifier),
        };
    }
    refuse!("more than {MAX_DEPTH} estimators within each other")
}
