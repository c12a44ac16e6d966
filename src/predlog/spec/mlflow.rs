//! `mlflow:EXPERIMENT`: predictions in an experiment of an MLflow server.

use super::SpecError;
use crate::client;

/// The share of the recorded predictions that is sent unless another is named: MLflow's server takes some dozen runs, or
/// some hundred traces a second, and keeps them all.
const SAMPLE: f64 = 0.01;

/// A sink of an MLflow server.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::predlog) struct MlflowSpec {
    /// Name of the experiment.
    pub(in crate::predlog) experiment: String,
    /// What a prediction becomes.
    pub(in crate::predlog) mode: Mode,
    /// Share of the recorded predictions, above 0 and at most 1.
    pub(in crate::predlog) sample: f64,
    /// The server.
    pub(in crate::predlog) server: Option<client::Config>,
}

/// What a prediction becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::predlog) enum Mode {
    /// A run.
    Runs,
    /// A trace.
    Traces,
}

impl Mode {
    /// Name of the sink in metrics and the log.
    pub(in crate::predlog) fn sink(self) -> &'static str {
        match self {
            Mode::Runs => "mlflow-runs",
            Mode::Traces => "mlflow-traces",
        }
    }
}

impl MlflowSpec {
    /// Reads what is between `mlflow:` and the options, and the options.
    pub(super) fn read(experiment: &str, options: &[(&str, &str)]) -> Result<MlflowSpec, SpecError> {
        if experiment.trim().is_empty() {
            return Err(SpecError::NoExperiment);
        }
        let mut spec = MlflowSpec {
            experiment: experiment.to_owned(),
            mode: Mode::Traces,
            sample: SAMPLE,
            server: None,
        };
        for &(option, value) in options {
            let refused = |form| SpecError::Value {
                option: option.to_owned(),
                value: value.to_owned(),
                form,
            };
            match option {
                "mode" => {
                    spec.mode = match value {
                        "runs" => Mode::Runs,
                        "traces" => Mode::Traces,
                        _ => return Err(refused("runs or traces")),
                    };
                }
                "sample" => {
                    let share = value.parse::<f64>().ok();
                    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
                    spec.sample =
                        share.ok_or_else(|| refused("a share above 0 and at most 1, such as 0.01"))?;
                }
                other => {
                    return Err(SpecError::Option {
                        option: other.to_owned(),
                        known: "mode or sample",
                    });
                }
            }
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SinkKind, SinkSpec};
    use super::*;

    #[test]
    fn options_are_read() {
        for (text, mode, sample) in [
            ("mlflow:live iris", Mode::Traces, 0.01),
            ("mlflow:live iris?mode=runs&sample=1", Mode::Runs, 1.0),
            ("mlflow:live iris?sample=0.5", Mode::Traces, 0.5),
        ] {
            let spec: SinkSpec = text.parse().unwrap();
            assert!(spec.wants_server());
            let server = client::Config::new("http://h:5000");
            let spec = spec.at(&server);
            assert!(!spec.wants_server());
            assert_eq!(spec.to_string(), "mlflow:live iris");
            let expected = MlflowSpec {
                experiment: "live iris".into(),
                mode,
                sample,
                server: Some(server),
            };
            assert_eq!(spec.0, SinkKind::Mlflow(Box::new(expected)), "{text}");
        }
    }
}
