//! Predictors that run a plan.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::flavor::{Loaded, PredictError, Predictor, Report};
use crate::model::batch::Batch;

use super::Plan;

/// The name of the engine that runs plans, as reports and metrics show it.
pub const ENGINE: &str = concat!("native ", env!("CARGO_PKG_VERSION"));

/// Runs one plan; costs a pointer.
struct NativePredictor {
    plan: Arc<Plan>,
}

impl Predictor for NativePredictor {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        self.plan.run(input)
    }
}

/// A plan as a loaded model of `flavor` with as many predictors as asked for.
pub fn loaded(flavor: &str, plan: Plan, predictors: NonZeroUsize, notes: Vec<String>) -> Loaded {
    let plan = Arc::new(plan);
    Loaded {
        report: Report {
            flavor: flavor.to_owned(),
            engine: ENGINE.to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            steps: plan.describe(),
            notes,
        },
        predictors: (0..predictors.get())
            .map(|_| {
                Box::new(NativePredictor {
                    plan: Arc::clone(&plan),
                }) as Box<dyn Predictor>
            })
            .collect(),
        rival: None,
    }
}
