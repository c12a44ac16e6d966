//! From the request to the matrix an estimator computes on, after scikit-learn's own checks.
//!
//! Every estimator validates what it is given: names and number of its features, that they are numbers, that they are
//! finite. Here that becomes one step that reads the request, or a check of what another step has computed.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::flavor::formats::object::View;
use crate::flavor::plan::input::{Column, Input};
use crate::flavor::plan::value::{Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
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
    fn position(&self) -> Option<usize> {
        self.declared.or(self.index)
    }
}

/// Some columns of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Picked(pub(super) Vec<Place>);

/// Which values are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finite {
    /// Finite ones.
    All,
    /// Finite ones and NaN.
    NanAllowed,
    /// Every one.
    Any,
}

/// Finds the columns of an estimator in a request, with scikit-learn's checks of names and number.
pub(super) struct Reader {
    class: Arc<str>,
    /// The columns, or `None` for all of them.
    picked: Option<Arc<Picked>>,
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
    fn bare(context: &Context<'_>, x: Register) -> Result<Reader, Refusal> {
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
    fn check(&self, input: &Input<'_>) -> Result<(), PredictError> {
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

/// Reads the request into a matrix of `T`.
struct Read<T> {
    reader: Reader,
    finite: Finite,
    element: std::marker::PhantomData<T>,
}

/// Checks a matrix that another step has computed.
struct Checked {
    class: Arc<str>,
    finite: Finite,
}

/// Widens or narrows a matrix of floats.
struct Cast(Kind);

/// A float of either width.
pub(super) trait Float: Copy + Default + Send + Sync + 'static {
    /// Its type's name in NumPy.
    const NAME: &'static str;

    /// Whether it is NaN.
    fn nan(self) -> bool;

    /// Whether it is neither infinite nor NaN.
    fn finite(self) -> bool;
}

/// The same for both widths.
macro_rules! float {
    ($float:ty, $name:literal) => {
        impl Float for $float {
            const NAME: &'static str = $name;

            fn nan(self) -> bool {
                self.is_nan()
            }

            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

float!(f32, "float32");
float!(f64, "float64");

/// Refuses values as scikit-learn's `check_array` does.
pub(super) fn check_finite<T: Float>(values: &[T], finite: Finite, class: &str) -> Result<(), PredictError> {
    let (nan_is_fine, infinity_is_fine) = match finite {
        Finite::All => (false, false),
        Finite::NanAllowed => (true, false),
        Finite::Any => return Ok(()),
    };
    if values.iter().all(|value| value.finite()) {
        return Ok(());
    }
    if !nan_is_fine && values.iter().any(|value| value.nan()) {
        return Err(PredictError::Input(format!(
            "Input X contains NaN.\n{class} does not accept missing values encoded as NaN natively."
        )));
    }
    if !infinity_is_fine && values.iter().any(|value| !value.nan() && !value.finite()) {
        return Err(PredictError::Input(format!(
            "Input X contains infinity or a value too large for dtype('{}').",
            T::NAME
        )));
    }
    Ok(())
}

impl<T> Read<T> {
    fn describe_as(&self, element: &str) -> String {
        format!(
            "{} columns as {element} for {}",
            self.reader.width, self.reader.class
        )
    }

    fn input(&self, inputs: &[Form]) -> Result<(), String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(()),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }
}

/// The same for both widths.
macro_rules! read {
    ($float:ty, $whole:ident, $into:ident, $form:ident, $variant:ident, $element:literal) => {
        impl Step for Read<$float> {
            fn describe(&self) -> String {
                self.describe_as($element)
            }

            fn form(&self, inputs: &[Form]) -> Result<Form, String> {
                self.input(inputs).map(|()| Form::$form(self.reader.width))
            }

            fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
                let input = *inputs.get(0)?.input()?;
                let (rows, width) = (input.rows(), self.reader.width);
                let data = match input.$whole() {
                    Some(whole) if self.reader.picked.is_none() => {
                        self.reader.check(&input)?;
                        whole.to_vec()
                    }
                    _ => {
                        let columns = self.reader.columns(&input)?;
                        let mut data = vec![0.0; rows * width];
                        for (index, column) in columns.iter().enumerate() {
                            column.$into(data.get_mut(index..).unwrap_or_default(), width)?;
                        }
                        data
                    }
                };
                check_finite(&data, self.finite, &self.reader.class)?;
                Ok(Value::$variant(Matrix { rows, width, data }))
            }
        }
    };
}

read!(f64, doubles, doubles_into, f64, F64, "float64");
read!(f32, singles, singles_into, f32, F32, "float32");

impl Step for Checked {
    fn describe(&self) -> String {
        format!("check values for {}", self.class)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if matches!(form.kind, Kind::F64 | Kind::F32) => Ok(*form),
            _ => Err(format!("floats expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.take(0)?;
        match &value {
            Value::F32(matrix) => check_finite(&matrix.data, self.finite, &self.class)?,
            other => check_finite(&other.f64()?.data, self.finite, &self.class)?,
        }
        Ok(value)
    }
}

impl Step for Cast {
    fn describe(&self) -> String {
        format!("as {:?}", self.0).to_lowercase()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind != Kind::Input => Ok(Form {
                kind: self.0,
                width: form.width,
            }),
            _ => Err(format!("a matrix expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.take(0)?;
        let (rows, width) = match &value {
            Value::F32(matrix) => (matrix.rows, matrix.width),
            Value::F64(matrix) => (matrix.rows, matrix.width),
            Value::I64(matrix) => (matrix.rows, matrix.width),
            Value::Cells(matrix) => (matrix.rows, matrix.width),
            Value::Input(_) => return Err(PredictError::Engine("the request is no matrix".into())),
        };
        let doubles: Vec<f64> = match value {
            Value::F32(matrix) if self.0 == Kind::F32 => return Ok(Value::F32(matrix)),
            Value::F64(matrix) => matrix.data,
            Value::F32(matrix) => matrix.data.into_iter().map(f64::from).collect(),
            Value::I64(matrix) if self.0 == Kind::F32 => {
                // Rounded once.
                let data = matrix.data.into_iter().map(|whole| whole as f32).collect();
                return Ok(Value::F32(Matrix { rows, width, data }));
            }
            Value::I64(matrix) => matrix.data.into_iter().map(|whole| whole as f64).collect(),
            other => {
                let cells = other.into_cells()?;
                let number = |cell: &crate::flavor::plan::value::Cell<'_>| {
                    cell.number().ok_or_else(|| {
                        PredictError::Input(format!(
                            "could not convert string to float: {:?}",
                            cell.to_value()
                        ))
                    })
                };
                cells.data.iter().map(number).collect::<Result<_, _>>()?
            }
        };
        Ok(match self.0 {
            Kind::F32 => Value::F32(Matrix {
                rows,
                width,
                data: doubles.into_iter().map(|double| double as f32).collect(),
            }),
            _ => Value::F64(Matrix {
                rows,
                width,
                data: doubles,
            }),
        })
    }
}

/// The rows in `x` as `float64`, after the estimator's own checks.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn doubles(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    matrix(context, object, x, finite, Kind::F64)
}

/// The rows in `x` as `float32`, after the estimator's own checks, made after the cast.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn singles(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    matrix(context, object, x, finite, Kind::F32)
}

/// The rows in `x` as floats of their own width: `float32` if all of them are, else `float64`.
///
/// # Errors
/// When `x` cannot be what the estimator was fitted on.
pub(super) fn floats(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
) -> Result<Register, Refusal> {
    let kind = if is_single(context, x) {
        Kind::F32
    } else {
        Kind::F64
    };
    matrix(context, object, x, finite, kind)
}

/// Whether everything in `x` is `float32`.
pub(super) fn is_single(context: &Context<'_>, x: Register) -> bool {
    let types = &context.declared.types;
    let single = |index: usize| types.get(index).copied().flatten() == Some(DType::F32);
    match context.plan.form(x).kind {
        Kind::F32 => true,
        Kind::Input => match context.picked.get(&x) {
            None => !types.is_empty() && (0..types.len()).all(single),
            Some(picked) => {
                !picked.0.is_empty() && picked.0.iter().all(|place| place.position().is_some_and(single))
            }
        },
        _ => false,
    }
}

/// A matrix of numbers as `float64`.
///
/// # Errors
/// For the request itself.
pub(super) fn widened(context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    match context.plan.form(x).kind {
        Kind::F64 => Ok(x),
        _ => context.plan.push(Cast(Kind::F64), &[x]),
    }
}

fn matrix(
    context: &mut Context<'_>,
    object: View<'_>,
    x: Register,
    finite: Finite,
    kind: Kind,
) -> Result<Register, Refusal> {
    let form = context.plan.form(x);
    if form.kind == Kind::Input {
        let reader = Reader::new(context, object, x)?;
        let element = std::marker::PhantomData;
        return match kind {
            Kind::F32 => {
                let element = std::marker::PhantomData::<f32>;
                context.plan.push(
                    Read {
                        reader,
                        finite,
                        element,
                    },
                    &[x],
                )
            }
            _ => context.plan.push(
                Read::<f64> {
                    reader,
                    finite,
                    element,
                },
                &[x],
            ),
        };
    }
    check_width(object, form.width)?;
    let cast = if form.kind == kind {
        x
    } else {
        context.plan.push(Cast(kind), &[x])?
    };
    if finite == Finite::Any {
        return Ok(cast);
    }
    let class = object.kind().into();
    context.plan.push(Checked { class, finite }, &[cast])
}

/// Checks that an estimator was fitted on `width` columns.
pub(super) fn check_width(object: View<'_>, width: usize) -> Result<(), Refusal> {
    match object.get("n_features_in_").and_then(View::whole) {
        Some(fitted) if usize::try_from(fitted).ok() != Some(width) => {
            refuse!(
                "`{}` was fitted on {fitted} columns and is given {width}",
                object.kind()
            )
        }
        _ => Ok(()),
    }
}

/// The rows in `x` without any check: itself, or the request as `float64` where every column is declared to be a
/// number, else as cells.
///
/// # Errors
/// When nothing says how many columns there are.
pub(super) fn plain(context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    if context.plan.form(x).kind != Kind::Input {
        return Ok(x);
    }
    let (reader, finite) = (Reader::bare(context, x)?, Finite::Any);
    let types = &context.declared.types;
    let number = |index: usize| {
        types
            .get(index)
            .copied()
            .flatten()
            .is_some_and(|dtype| dtype.is_float() || dtype.is_integer() || dtype == DType::Bool)
    };
    let numbers = match &reader.picked {
        None => !types.is_empty() && (0..types.len()).all(number),
        Some(picked) => picked.0.iter().all(|place| place.position().is_some_and(number)),
    };
    if is_single(context, x) {
        let element = std::marker::PhantomData::<f32>;
        return context.plan.push(
            Read {
                reader,
                finite,
                element,
            },
            &[x],
        );
    }
    if numbers {
        let element = std::marker::PhantomData::<f64>;
        return context.plan.push(
            Read {
                reader,
                finite,
                element,
            },
            &[x],
        );
    }
    context.plan.push(Cells(reader), &[x])
}

/// Reads the request as cells.
struct Cells(Reader);

impl Step for Cells {
    fn describe(&self) -> String {
        format!("{} columns of any type", self.0.width)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(Form::cells(self.0.width)),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = *inputs.get(0)?.input()?;
        let (rows, width) = (input.rows(), self.0.width);
        let columns = self.0.columns(&input)?;
        let mut data = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for column in &columns {
                data.push(column.cell(row).ok_or_else(|| {
                    PredictError::Input("a cell is no number, text, boolean or null".into())
                })?);
            }
        }
        Ok(Value::Cells(Matrix { rows, width, data }))
    }
}

/// Checks the number of columns as `ColumnTransformer` does: not of a table if it was fitted on one, of which it takes
/// the columns it wants.
struct Counted {
    width: usize,
    named: bool,
}

impl Step for Counted {
    fn describe(&self) -> String {
        format!("request of {} columns", self.width)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(*form),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let input = *inputs.get(0)?.input()?;
        let free = self.named && matches!(input, Input::Frame(_));
        let flat = matches!(input, Input::Array(array) if array.shape().len() != 2);
        if flat || (!free && input.width() != self.width) {
            return Err(PredictError::Input(format!(
                "X has {} features, but ColumnTransformer is expecting {} features as input.",
                input.width(),
                self.width
            )));
        }
        Ok(Value::Input(input))
    }
}

/// The request, checked for its number of columns if it is not a table read by the names it was `named` with.
///
/// # Errors
/// Never, for a register that holds the request.
pub(super) fn counted(
    context: &mut Context<'_>,
    x: Register,
    width: usize,
    named: bool,
) -> Result<Register, Refusal> {
    let named_table = named && context.declared.names.is_some();
    match named_table {
        // The signature makes a table of every request.
        true => Ok(x),
        false => context.plan.push(Counted { width, named }, &[x]),
    }
}
