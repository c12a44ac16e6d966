//! `SimpleImputer` and `MissingIndicator`: what stands for missing values.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Array, ArrayElements, Object, View};
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::categories::{Source, cell};
use super::estimator::{Ask, Context, no_method};
use super::numbers::{numbers, switch, word};
use super::rows::{Finite, floats};

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["SimpleImputer", "MissingIndicator"];

/// A cell that owns its text.
#[derive(Debug, Clone, PartialEq)]
enum Filling {
    /// Text.
    Text(Arc<str>),
    /// Anything else.
    Plain(Cell<'static>),
}

impl Filling {
    fn of(cell: Cell<'_>) -> Filling {
        Filling::Plain(match cell {
            Cell::Text(text) => return Filling::Text(text.into()),
            Cell::None => Cell::None,
            Cell::Bool(truth) => Cell::Bool(truth),
            Cell::Int(whole) => Cell::Int(whole),
            Cell::Float(float) => Cell::Float(float),
        })
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Filling::Text(text) => Cell::Text(text),
            Filling::Plain(cell) => *cell,
        }
    }
}

/// Which values are missing.
#[derive(Debug, Clone, PartialEq)]
enum Missing {
    /// NaN, and not `None`.
    Nan,
    /// This value.
    Value(Filling),
}

impl Missing {
    fn of(object: View<'_>) -> Result<Missing, Refusal> {
        let value = object.attribute("missing_values")?;
        match cell(value) {
            Some(cell) if cell.is_nan() => Ok(Missing::Nan),
            Some(cell) => Ok(Missing::Value(Filling::of(cell))),
            None => refuse!("`missing_values` is a `{}`, which is not covered", value.kind()),
        }
    }

    fn finite(&self) -> Finite {
        match self {
            Missing::Nan => Finite::NanAllowed,
            Missing::Value(_) => Finite::All,
        }
    }

    fn double(&self, x: f64) -> bool {
        match self {
            Missing::Nan => x.is_nan(),
            Missing::Value(filling) => {
                !matches!(filling.cell(), Cell::None) && filling.cell().number() == Some(x)
            }
        }
    }

    fn cell(&self, x: &Cell<'_>) -> bool {
        match self {
            Missing::Nan => x.is_nan(),
            Missing::Value(filling) => match (filling.cell(), x) {
                (Cell::Text(text), Cell::Text(other)) => text == *other,
                (Cell::None, other) => matches!(other, Cell::None),
                (_, Cell::None) => false,
                (wanted, other) => wanted
                    .number()
                    .is_some_and(|number| other.number() == Some(number)),
            },
        }
    }
}

/// Fills what is missing of floats, and tells where it was.
struct FillFloats {
    missing: Missing,
    /// One a column; `None` drops the column.
    fillings: Vec<Option<f64>>,
    /// Columns of which it is told whether they were missing.
    told: Vec<usize>,
    width: usize,
}

/// Fills what is missing of cells, and tells where it was.
struct FillCells {
    source: Source,
    missing: Missing,
    fillings: Vec<Option<Filling>>,
    told: Vec<usize>,
    width: usize,
}

/// Tells where values are missing, as 0 and 1.
struct Tell {
    source: Source,
    missing: Missing,
    told: Vec<usize>,
    /// Columns that must not be missing, if that is an error.
    never: Vec<usize>,
}

impl Step for FillFloats {
    fn describe(&self) -> String {
        format!("fill what is missing in {} columns", self.fillings.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.width == self.fillings.len() && matches!(form.kind, Kind::F64 | Kind::F32) => {
                Ok(Form {
                    kind: form.kind,
                    width: self.width,
                })
            }
            _ => Err(format!("{} floats expected, got {inputs:?}", self.fillings.len())),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.take(0)?;
        Ok(match value {
            Value::F32(matrix) => Value::F32(self.fill(matrix, f64::from, |x| x as f32)),
            other => Value::F64(self.fill(other.into_f64()?, |x| x, |x| x)),
        })
    }
}

impl FillFloats {
    fn fill<T: Copy>(
        &self,
        mut matrix: Matrix<T>,
        wide: impl Fn(T) -> f64,
        narrow: impl Fn(f64) -> T,
    ) -> Matrix<T> {
        let same_width = self.width == self.fillings.len();
        if self.told.is_empty() && same_width {
            for row in matrix.each_row_mut() {
                for (x, filling) in row.iter_mut().zip(&self.fillings) {
                    if self.missing.double(wide(*x))
                        && let Some(filling) = filling
                    {
                        *x = narrow(*filling);
                    }
                }
            }
            return matrix;
        }
        let mut data = Vec::with_capacity(matrix.rows * self.width);
        for row in matrix.each_row() {
            for (&x, filling) in row.iter().zip(&self.fillings) {
                if let Some(filling) = filling {
                    data.push(if self.missing.double(wide(x)) {
                        narrow(*filling)
                    } else {
                        x
                    });
                }
            }
            for &index in &self.told {
                let missing = row.get(index).is_some_and(|&x| self.missing.double(wide(x)));
                data.push(narrow(f64::from(u8::from(missing))));
            }
        }
        Matrix {
            rows: matrix.rows,
            width: self.width,
            data,
        }
    }
}

impl Step for FillCells {
    fn describe(&self) -> String {
        format!(
            "fill what is missing in {} columns of any type",
            self.fillings.len()
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        self.source.accepts(inputs).map(|()| Form::cells(self.width))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let rows = value.rows();
        let grid = self.source.grid(value)?;
        let mut data = Vec::with_capacity(rows * self.width);
        for row in 0..rows {
            for (index, filling) in self.fillings.iter().enumerate() {
                let cell = grid.cell(row, index)?;
                if self.missing != Missing::Nan && cell.is_nan() {
                    return Err(PredictError::Input("Input X contains NaN".into()));
                }
                if let Some(filling) = filling {
                    data.push(if self.missing.cell(&cell) {
                        filling.cell()
                    } else {
                        cell
                    });
                }
            }
            for &index in &self.told {
                data.push(Cell::Bool(self.missing.cell(&grid.cell(row, index)?)));
            }
        }
        Ok(Value::Cells(Matrix {
            rows,
            width: self.width,
            data,
        }))
    }
}

impl Step for Tell {
    fn describe(&self) -> String {
        format!("where {} columns are missing", self.told.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        self.source.accepts(inputs).map(|()| Form::f64(self.told.len()))
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let value = inputs.get(0)?;
        let rows = value.rows();
        let grid = self.source.grid(value)?;
        let mut data = Vec::with_capacity(rows * self.told.len());
        for row in 0..rows {
            for &index in &self.told {
                data.push(f64::from(u8::from(self.missing.cell(&grid.cell(row, index)?))));
            }
            for &index in &self.never {
                if self.missing.cell(&grid.cell(row, index)?) {
                    return Err(PredictError::Input(format!(
                        "The features [{index}] have missing values in transform but have no missing values in fit."
                    )));
                }
            }
        }
        Ok(Value::F64(Matrix {
            rows,
            width: self.told.len(),
            data,
        }))
    }
}

/// Columns that an indicator tells of.
fn told(indicator: View<'_>, width: usize) -> Result<Vec<usize>, Refusal> {
    let (_, features) = numbers(indicator, "features_")?;
    let index = |&feature: &f64| (feature >= 0.0 && feature < width as f64).then_some(feature as usize);
    match features.iter().map(index).collect() {
        Some(told) => Ok(told),
        None => refuse!("`features_` names a column that is not there"),
    }
}

/// The statistics of an imputer, one a column.
fn statistics(object: View<'_>) -> Result<Vec<Filling>, Refusal> {
    let value = object.attribute("statistics_")?;
    let plain = |x: Cell<'static>| Filling::Plain(x);
    Ok(match value.object() {
        Object::Array(Array { elements, shape }) if shape.len() == 1 => match elements {
            ArrayElements::Float(floats) => floats.iter().map(|&x| plain(Cell::Float(x))).collect(),
            ArrayElements::Int(whole) => whole.iter().map(|&x| plain(Cell::Int(x))).collect(),
            ArrayElements::Bool(truths) => truths.iter().map(|&x| plain(Cell::Bool(x))).collect(),
            ArrayElements::Text(texts) => texts.iter().map(|x| Filling::Text(Arc::clone(x))).collect(),
            ArrayElements::Object(ids) => {
                let filling = |id: &_| cell(value.at(*id)).map(Filling::of);
                match ids.iter().map(filling).collect() {
                    Some(fillings) => fillings,
                    None => refuse!("`statistics_` holds what is no number or text"),
                }
            }
            ArrayElements::Records(_) => refuse!("`statistics_` holds records"),
        },
        _ => refuse!("`statistics_` is no array"),
    })
}

/// Whether an imputer was fitted on objects, so that it lets texts pass.
fn of_objects(object: View<'_>, statistics: &[Filling]) -> bool {
    let kind = object.get("_fit_dtype").and_then(|dtype| match dtype.object() {
        // However a reader gives a dtype, `O` or `object` in it is an object dtype.
        Object::Opaque(name) => Some(name.contains("|O") || name.contains("object") || &**name == "O"),
        Object::Text(name) => Some(name.contains('O') || &**name == "object"),
        Object::Instance(instance) => {
            let first = instance.args.first().map(|&id| dtype.at(id));
            first.and_then(View::text).map(|name| name.contains('O'))
        }
        Object::Array(array) => Some(matches!(array.elements, ArrayElements::Object(_))),
        _ => None,
    });
    let texts = statistics
        .iter()
        .any(|filling| matches!(filling, Filling::Text(_)));
    // Versions without the attribute keep statistics of objects in an object array.
    let array = object.get("statistics_").and_then(View::array);
    let objects = array.is_some_and(|array| matches!(array.elements, ArrayElements::Object(_)));
    texts || kind.unwrap_or(objects)
}

fn imputer(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let missing = Missing::of(object)?;
    let statistics = statistics(object)?;
    let keep = switch(object, "keep_empty_features", false)?;
    let told = match switch(object, "add_indicator", false)? {
        true => told(object.attribute("indicator_")?, statistics.len())?,
        false => Vec::new(),
    };
    // A column without a value is dropped, and so is one whose statistic is NaN; `None` stays.
    let kept = |filling: &Filling| keep || !filling.cell().is_nan();
    let width = statistics.iter().filter(|filling| kept(filling)).count() + told.len();
    if of_objects(object, &statistics) {
        let source = Source::new(context, object, x)?;
        if source.width() != statistics.len() {
            refuse!("{} statistics for {} columns", statistics.len(), source.width());
        }
        let fillings = statistics
            .into_iter()
            .map(|filling| kept(&filling).then_some(filling));
        let fill = FillCells {
            source,
            missing,
            fillings: fillings.collect(),
            told,
            width,
        };
        return context.plan.push(fill, &[x]);
    }
    let mut fillings = Vec::with_capacity(statistics.len());
    for filling in &statistics {
        let Some(number) = filling.cell().number() else {
            refuse!("a statistic is no number");
        };
        fillings.push(kept(filling).then_some(number));
    }
    let x = floats(context, object, x, missing.finite())?;
    let fill = FillFloats {
        missing,
        fillings,
        told,
        width,
    };
    context.plan.push(fill, &[x])
}

fn indicator(object: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let missing = Missing::of(object)?;
    let source = Source::new(context, object, x)?;
    let width = source.width();
    let fitted = told(object, width)?;
    let (told, never) = match word(object, "features", "missing-only")? {
        "all" => ((0..width).collect(), Vec::new()),
        "missing-only" => {
            let never = match switch(object, "error_on_new", true)? {
                true => (0..width).filter(|index| !fitted.contains(index)).collect(),
                false => Vec::new(),
            };
            (fitted, never)
        }
        other => refuse!("`features={other}` is not covered"),
    };
    let tell = Tell {
        source,
        missing,
        told,
        never,
    };
    context.plan.push(tell, &[x])
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    match (ask, object.class()) {
        (Ask::Transform, Some("SimpleImputer")) => imputer(object, context, x),
        (Ask::Transform, _) => indicator(object, context, x),
        _ => no_method(ask, object),
    }
}
