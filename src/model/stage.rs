//! The stage of a version in a registry.

use std::fmt;
use std::str::FromStr;

/// MLflow's four stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Stage {
    /// Not assigned; every new version.
    #[default]
    None,
    /// On trial.
    Staging,
    /// In use.
    Production,
    /// Out of use.
    Archived,
}

impl Stage {
    /// Every stage, in MLflow's order.
    pub const ALL: [Stage; 4] = [Stage::None, Stage::Staging, Stage::Production, Stage::Archived];

    /// The name as MLflow writes it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::None => "None",
            Stage::Staging => "Staging",
            Stage::Production => "Production",
            Stage::Archived => "Archived",
        }
    }

    /// Whether the stage can be emptied by `archive_existing_versions`: Staging and Production.
    pub fn is_active(self) -> bool {
        matches!(self, Stage::Staging | Stage::Production)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A text that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no stage; the stages are None, Staging, Production and Archived, in any case")]
pub struct UnknownStage(pub String);

impl FromStr for Stage {
    type Err = UnknownStage;

    /// Reads a stage in any case, as MLflow does.
    fn from_str(text: &str) -> Result<Stage, UnknownStage> {
        let found = Stage::ALL
            .into_iter()
            .find(|stage| stage.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownStage(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_in_any_case_and_written_in_mlflows() {
        for (text, wanted) in [
            ("production", "Production"),
            ("STAGING", "Staging"),
            ("nOnE", "None"),
        ] {
            assert_eq!(text.parse::<Stage>().unwrap().to_string(), wanted);
        }
        assert!(
            "Prod"
                .parse::<Stage>()
                .unwrap_err()
                .to_string()
                .contains("`Prod` is no stage")
        );
    }
}
