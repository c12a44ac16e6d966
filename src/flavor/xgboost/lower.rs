//! From a model to steps.

use std::sync::Arc;

use crate::flavor::estimator::Method;
use crate::flavor::forest::step::Trees as TreesStep;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::steps::labels::{Above, ArgMax, Label, Labels};
use crate::flavor::plan::{Axes, Register};
use crate::flavor::refusal::{Refusal, refuse};

use super::columns::{Columns, Route};
use super::document::{Booster, Model};
use super::linear::Linear;
use super::objective::{Complement, Objective, Transform};
use super::trees;

/// The class of XGBoost's Python package that a model belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimator {
    /// `Booster`
    Booster,
    /// `XGBClassifier`, `XGBRFClassifier`
    Classifier,
    /// `XGBRegressor`, `XGBRFRegressor`
    Regressor,
    /// `XGBRanker`
    Ranker,
}

impl Estimator {
    /// The class of that name, with or without its module.
    ///
    /// # Errors
    /// For one that is unknown.
    pub(super) fn named(class: &str) -> Result<Estimator, Refusal> {
        let (module, name) = class.rsplit_once('.').unwrap_or(("xgboost", class));
        match (module, name) {
            ("xgboost" | "xgboost.core", "Booster") => Ok(Estimator::Booster),
            ("xgboost" | "xgboost.sklearn", "XGBClassifier" | "XGBRFClassifier") => Ok(Estimator::Classifier),
            ("xgboost" | "xgboost.sklearn", "XGBRegressor" | "XGBRFRegressor") => Ok(Estimator::Regressor),
            ("xgboost" | "xgboost.sklearn", "XGBRanker") => Ok(Estimator::Ranker),
            _ => refuse!(
                "class `{}` is none of XGBoost's that are served (Booster, XGBClassifier, XGBRegressor, XGBRanker and \
                 the XGBRF ones)",
                class.escape_debug()
            ),
        }
    }

    /// Its `_estimator_type`.
    pub(super) fn scikit_learn_type(self) -> Option<&'static str> {
        match self {
            Estimator::Booster => None,
            Estimator::Classifier => Some("classifier"),
            Estimator::Regressor => Some("regressor"),
            Estimator::Ranker => Some("ranker"),
        }
    }
}

/// Everything besides the model that decides about the steps.
pub(super) struct Lowering<'b> {
    /// Where the steps go.
    pub(super) builder: &'b mut Builder,
    /// The rows.
    pub(super) input: Register,
    /// The class.
    pub(super) estimator: Estimator,
    /// What it is asked for.
    pub(super) method: Method,
    /// Whether XGBoost has the rows as a sparse matrix.
    pub(super) sparse: bool,
    /// A value that stands for a missing one, besides NaN.
    pub(super) missing: Option<f32>,
    /// Labels of the classes, where they are not their numbers.
    pub(super) labels: Option<Labels>,
    /// `n_classes_`, where the file of the model does not decide.
    pub(super) classes: Option<usize>,
}

impl Lowering<'_> {
    /// Pushes the steps; gives the answer and its axes.
    ///
    /// # Errors
    /// When the model has parts that do not fit, or are not covered.
    pub(super) fn lower(mut self, mut model: Model) -> Result<(Register, Axes), Refusal> {
        let linear = matches!(model.booster, Booster::Linear(_));
        let route = if self.estimator == Estimator::Booster || linear {
            Route::Matrix
        } else {
            Route::InPlace
        };
        let columns = Columns {
            features: model.features,
            names: model.names.take(),
            route,
            missing: self.missing,
            sparse: self.sparse,
            trees: !linear,
        };
        let rows = self.builder.push(columns, &[self.input])?;
        let margins = match &mut model.booster {
            Booster::Linear(weights) => {
                let step = Linear {
                    features: model.features,
                    outputs: model.outputs,
                    weights: std::mem::take(weights),
                    margin: model.margins.first().copied().unwrap_or_default(),
                };
                self.builder.push(step, &[rows])?
            }
            Booster::Trees(trees) => {
                let rounds = match self.estimator {
                    Estimator::Booster => None,
                    _ => model.best_iteration.map(|best| best.saturating_add(1)),
                };
                let trees = std::mem::take(trees);
                let forest = trees::forest(&model, trees, rounds, route == Route::InPlace)?;
                self.builder.push(TreesStep(Arc::new(forest)), &[rows])?
            }
        };
        if self.estimator == Estimator::Classifier {
            return self.classify(&model, margins);
        }
        if self.method != Method::Predict {
            refuse!("a regressor or ranker has no `predict_proba`");
        }
        let values = self.builder.push(Transform(model.objective), &[margins])?;
        Ok((values, self.axes(values)))
    }

    /// The axes of an answer: those of a vector where a row has one value.
    fn axes(&self, answer: Register) -> Axes {
        if self.builder.form(answer).width == 1 {
            Axes::Vector
        } else {
            Axes::Matrix
        }
    }

    fn classify(&mut self, model: &Model, margins: Register) -> Result<(Register, Axes), Refusal> {
        let classes = self.classes.unwrap_or(model.classes.max(2));
        if self.method == Method::PredictProba {
            return self.shares(model, margins, classes);
        }
        if model.objective == Objective::Softmax {
            // The booster answers the class as a float, the classifier makes an integer of it.
            let class = self.builder.push(ArgMax, &[margins])?;
            return self.labelled(class);
        }
        let values = self.builder.push(Transform(model.objective), &[margins])?;
        let width = self.builder.form(values).width;
        if width > 1 && classes != 2 {
            let class = self.builder.push(ArgMax, &[values])?;
            return self.labelled(class);
        }
        let above = Above {
            bound: 0.5,
            inclusive: false,
        };
        let truths = self.builder.push(above, &[values])?;
        if width == 1 {
            return self.labelled(truths);
        }
        // Several labels at once are answered as doubles.
        let doubles = self
            .builder
            .push(Label(Labels::Float(vec![0.0, 1.0])), &[truths])?;
        Ok((doubles, Axes::Matrix))
    }

    fn labelled(&mut self, class: Register) -> Result<(Register, Axes), Refusal> {
        let answer = match self.labels.take() {
            Some(labels) => self.builder.push(Label(labels), &[class])?,
            None => class,
        };
        Ok((answer, Axes::Vector))
    }

    /// Probabilities: `[rows, classes]`.
    fn shares(
        &mut self,
        model: &Model,
        margins: Register,
        classes: usize,
    ) -> Result<(Register, Axes), Refusal> {
        if model.objective == Objective::Softmax {
            refuse!("`predict_proba` with the objective `multi:softmax`: use `multi:softprob`");
        }
        let values = self.builder.push(Transform(model.objective), &[margins])?;
        let width = self.builder.form(values).width;
        if width == 1 {
            return Ok((self.builder.push(Complement, &[values])?, Axes::Matrix));
        }
        if width != classes && classes != 2 {
            refuse!("{width} probabilities for {classes} classes");
        }
        Ok((values, Axes::Matrix))
    }
}
