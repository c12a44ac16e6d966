//! What `modelsd registry` is asked to do.

use std::path::PathBuf;

use crate::model::stage::Stage;

/// Looks into the registry folder, or changes it.
///
/// The folder holds one model directory a version, `<name>/<version>/`, and what MLflow keeps in its database in
/// `<name>/registry.yaml`. Changes are atomic, also between processes.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum RegistryCommand {
    /// Lists the models with their versions, stages and aliases.
    List {
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the versions of one model.
    Show {
        /// Registered name.
        name: String,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copies a model directory into the registry as the next version of a model.
    ///
    /// The directory must be one that MLflow writes, with an `MLmodel` file. The first version makes the model.
    Register {
        /// Registered name.
        name: String,
        /// The model directory.
        dir: PathBuf,
        /// Stage of the new version: None, Staging, Production or Archived, in any case.
        #[arg(long, default_value = "None")]
        stage: Stage,
        /// Alias that shall point to the new version.
        #[arg(long)]
        alias: Option<String>,
    },
    /// Moves a version to another stage.
    ///
    /// `models:/NAME/STAGE` means the highest version in the stage. To go back to a lower one, archive the others:
    /// `modelsd registry transition iris 1 Production --archive-existing`.
    Transition {
        /// Registered name.
        name: String,
        /// Version number.
        // Not called `version`, which is a flag of every command.
        #[arg(id = "number", value_name = "VERSION")]
        version: u64,
        /// None, Staging, Production or Archived, in any case.
        stage: Stage,
        /// Move every other version of that stage to Archived; for Staging and Production.
        #[arg(long)]
        archive_existing: bool,
    },
    /// Points an alias to a version; `models:/NAME@ALIAS` then means that version.
    Alias {
        /// Registered name.
        name: String,
        /// The alias, case-sensitive: letters, digits, `_` and `-`; not `latest`, not `v` and a number.
        alias: String,
        /// Version number.
        // Not called `version`, which is a flag of every command.
        #[arg(id = "number", value_name = "VERSION")]
        version: u64,
    },
    /// Takes an alias away.
    DeleteAlias {
        /// Registered name.
        name: String,
        /// The alias, case-sensitive.
        alias: String,
    },
}
