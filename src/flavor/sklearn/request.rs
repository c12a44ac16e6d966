//! What a request is to an estimator: the columns its signature declares, those that are picked, and how they are found.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::input::{Column, Input};
use crate::flavor::refusal::{Refusal, refuse};
use crate::model::batch::{Frame, Name, Names};
use crate::model::signature::{ColumnType, Schema, Signature};
use crate::model::tensor::DType;

use super::estimator::{Context, version};
use super::numbers;

/// What the signature says of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    /// Names of the columns of the table, if it is one and they have names.
    pub(super) names: Option<Names>,
    /// Element types, one a column, as far as they are declared.
    pub(super) types: Vec<Option<DType>>,
    /// Number of columns.
    pub(super) width: Option<usize>,
}

impl Declared {
    /// What this signature says.
    pub(super) fn of(signature: &Signature) -> Declared {
        match &signature.inputs {
            None => Declared::default(),
            Some(Schema::Columns(columns)) => Declared {
                names: columns.named().then(|| Arc::clone(columns.names())),
                types: columns
                    .columns()
                    .iter()
                    .map(|column| match &column.kind {
                        ColumnType::Scalar(scalar) => Some(scalar.dtype()),
                        _ => None,
                    })
                    .collect(),
                width: Some(columns.columns().len()),
            },
            Some(Schema::Tensors(tensors)) => match tensors.as_slice() {
                [tensor] => {
                    let width = tensor
                        .shape
                        .get(1)
                        .and_then(|&extent| usize::try_from(extent).ok());
                    Declared {
                        names: None,
                        types: vec![Some(tensor.dtype); width.unwrap_or(1)],
                        width,
                    }
                }
                _ => Declared::default(),
            },
        }
    }
}

/// One column of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its name, if it is looked up by name in a table.
    pub(super) name: Option<Arc<str>>,
    /// Where the signature has this name.
    pub(super) declared: Option<usize>,
    /// Its position in an array, and in a table if it has no name.
    pub(super) index: Option<usize>,
}

impl Place {
    /// Its position among the types of the signature.
    pub(super) fn position(&self) -> Option<usize> {
        self.declared.or(self.index)
    }
}

/// Some columns of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Picked(pub(super) Vec<Place>);

/// Finds the columns of an estimator in a request, with scikit-learn's checks of names and number.
pub(super) struct Reader {
    /// Who reads, for messages.
    pub(super) class: Arc<str>,
    /// The columns, or `None` for all of them.
    pub(super) picked: Option<Arc<Picked>>,
    /// What the columns must be named, if names are compared.
    features: Option<Vec<Arc<str>>>,
    /// The names of the signature.
    declared: Option<Names>,
    /// The names of the signature are those of the features, or names are not compared.
    agrees: bool,
    width: usize,
}

impl Reader {
    /// How an estimator reads the request in `x`.
    ///
    /// # Errors
    /// When nothing says how many columns it takes, or what is picked is not what it was fitted on.
    pub(super) fn new(context: &Context<'_>, object: View<'_>, x: Register) -> Result<Reader, Refusal> {
        let features = numbers::texts(object, "feature_names_in_").unwrap_or(None);
        let fitted = match object.get("n_features_in_") {
            Some(count) => count.whole().and_then(|whole| usize::try_from(whole).ok()),
            None => features.as_ref().map(Vec::len),
        };
        let picked = context.picked.get(&x).cloned();
        let width = match (&picked, fitted) {
            (Some(picked), Some(fitted)) if picked.0.len() != fitted => {
                refuse!("{} columns are picked for {fitted} features", picked.0.len())
            }
            (Some(picked), _) => picked.0.len(),
            (None, Some(fitted)) => fitted,
            (None, None) => match context.declared.width {
                Some(width) => width,
                None => refuse!("nothing says how many columns the model takes; save it with a signature"),
            },
        };
        // Before 1.2 other names were worth a warning only.
        let features = features.filter(|_| version(object) >= (1, 2));
        if let (Some(picked), Some(features)) = (&picked, &features) {
            for (place, feature) in picked.0.iter().zip(features) {
                if let Some(name) = &place.name
                    && name != feature
                {
                    refuse!("column `{name}` is picked for the feature `{feature}`");
                }
            }
        }
        let agrees = match (&features, &context.declared.names) {
            (None, _) => true,
            (Some(features), Some(names)) => same_names(names, features),
            (Some(_), None) => false,
        };
        Ok(Reader {
            class: object.kind().into(),
            picked,
            features,
            declared: context.declared.names.clone(),
            agrees,
            width,
        })
    }

    /// How the request in `x` is read as it is.
    pub(super) fn bare(context: &Context<'_>, x: Register) -> Result<Reader, Refusal> {
        let picked = context.picked.get(&x).cloned();
        let Some(width) = picked
            .as_ref()
            .map(|picked| picked.0.len())
            .or(context.declared.width)
        else {
            refuse!("nothing says how many columns the model takes; save it with a signature");
        };
        Ok(Reader {
            class: "the model".into(),
            picked,
            features: None,
            declared: context.declared.names.clone(),
            agrees: true,
            width,
        })
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Checks the request as a whole.
    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), PredictError> {
        if let Input::Array(array) = input
            && array.shape().len() != 2
        {
            return Err(PredictError::Input(format!(
                "Expected 2D array, got {}D array instead",
                array.shape().len()
            )));
        }
        if self.picked.is_some() {
            return Ok(());
        }
        if let (Input::Frame(frame), Some(features)) = (input, &self.features) {
            let fine = match &self.declared {
                Some(declared) if Arc::ptr_eq(declared, frame.names()) => self.agrees,
                _ => nameless(frame.names()) || same_names(frame.names(), features),
            };
            if !fine {
                return Err(PredictError::Input(format!(
                    "The feature names should match those that were passed during fit: {}",
                    features.join(", ").chars().take(200).collect::<String>()
                )));
            }
        }
        if input.width() != self.width {
            return Err(PredictError::Input(format!(
                "X has {} features, but {} is expecting {} features as input.",
                input.width(),
                self.class,
                self.width
            )));
        }
        Ok(())
    }

    /// The columns of the request, in the estimator's order.
    ///
    /// # Errors
    /// When the request has other columns.
    pub(super) fn columns<'a>(&self, input: &Input<'a>) -> Result<SmallVec<[Column<'a>; 8]>, PredictError> {
        self.check(input)?;
        let plain = |index: usize| {
            input
                .column(index)
                .ok_or_else(|| PredictError::Input(format!("column {index} is missing, or holds arrays")))
        };
        let Some(picked) = &self.picked else {
            return (0..self.width).map(plain).collect();
        };
        let known = match (input, &self.declared) {
            (Input::Frame(frame), Some(declared)) => Arc::ptr_eq(declared, frame.names()),
            _ => false,
        };
        let mut columns = SmallVec::with_capacity(picked.0.len());
        for place in &picked.0 {
            let index = match (&place.name, place.declared, place.index, input) {
                (Some(_), Some(declared), _, _) if known => declared,
                (Some(name), _, _, Input::Frame(frame)) => find(frame, name)?,
                (_, _, Some(index), _) => index,
                _ => {
                    return Err(PredictError::Input(
                        "Specifying the columns using strings is only supported for dataframes.".into(),
                    ));
                }
            };
            columns.push(plain(index)?);
        }
        Ok(columns)
    }
}

/// The position of the column of that name.
fn find(frame: &Frame, name: &str) -> Result<usize, PredictError> {
    frame
        .position(name)
        .ok_or_else(|| PredictError::Input(format!("columns are missing: {{'{name}'}}")))
}

/// Whether no column has a text for a name, so that scikit-learn compares none.
fn nameless(names: &[Name]) -> bool {
    names.iter().all(|name| name.as_text().is_none())
}

fn same_names(names: &[Name], features: &[Arc<str>]) -> bool {
    names.len() == features.len()
        && names
            .iter()
            .zip(features)
            .all(|(name, feature)| name.as_text() == Some(feature))
}
