//! Columns of several matrices side by side, and some columns of one.

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Cell, Form, Kind, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};

/// Columns of all inputs side by side: cells if any is cells, `float32` or `int64` if all are, else `float64`.
pub struct Join;

/// Some columns of a matrix, in this order.
pub struct Select(pub Vec<usize>);

impl Step for Join {
    fn describe(&self) -> String {
        "put columns side by side".into()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        let mut width = 0usize;
        for form in inputs {
            if form.kind == Kind::Input {
                return Err("a matrix expected, got the request".into());
            }
            width = width.saturating_add(form.width);
        }
        let any = |kind: Kind| inputs.iter().any(|form| form.kind == kind);
        let all = |kind: Kind| !inputs.is_empty() && inputs.iter().all(|form| form.kind == kind);
        let kind = if any(Kind::Cells) {
            Kind::Cells
        } else if all(Kind::I64) {
            Kind::I64
        } else if any(Kind::F64) || any(Kind::I64) || inputs.is_empty() {
            Kind::F64
        } else {
            Kind::F32
        };
        Ok(Form { kind, width })
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let (mut rows, mut width, mut cells, mut doubles, mut whole) = (0, 0, false, false, true);
        for position in 0..inputs.count() {
            let value = inputs.get(position)?;
            rows = value.rows();
            width += match value {
                Value::F32(matrix) => matrix.width,
                Value::F64(matrix) => matrix.width,
                Value::I64(matrix) => matrix.width,
                other => other.cells()?.width,
            };
            cells |= matches!(value, Value::Cells(_));
            doubles |= matches!(value, Value::F64(_) | Value::I64(_));
            whole &= matches!(value, Value::I64(_));
        }
        let mut from = 0;
        if cells {
            let mut data = vec![Cell::None; rows * width];
            for position in 0..inputs.count() {
                from += match inputs.get(position)? {
                    Value::F32(matrix) => {
                        place(matrix, &mut data, from, width, |&x| Cell::Float(f64::from(x)))
                    }
                    Value::F64(matrix) => place(matrix, &mut data, from, width, |&x| Cell::Float(x)),
                    Value::I64(matrix) => place(matrix, &mut data, from, width, |&x| Cell::Int(x)),
                    other => place(other.cells()?, &mut data, from, width, |&x| x),
                };
            }
            return Ok(Value::Cells(Matrix { rows, width, data }));
        }
        if whole && inputs.count() > 0 {
            let mut data = vec![0; rows * width];
            for position in 0..inputs.count() {
                from += place(inputs.get(position)?.i64()?, &mut data, from, width, |&x| x);
            }
            return Ok(Value::I64(Matrix { rows, width, data }));
        }
        if !doubles && inputs.count() > 0 {
            let mut data = vec![0.0; rows * width];
            for position in 0..inputs.count() {
                from += place(inputs.get(position)?.f32()?, &mut data, from, width, |&x| x);
            }
            return Ok(Value::F32(Matrix { rows, width, data }));
        }
        let mut data = vec![0.0; rows * width];
        for position in 0..inputs.count() {
            from += match inputs.get(position)? {
                Value::F32(matrix) => place(matrix, &mut data, from, width, |&x| f64::from(x)),
                Value::I64(matrix) => place(matrix, &mut data, from, width, |&x| x as f64),
                other => place(other.f64()?, &mut data, from, width, |&x| x),
            };
        }
        Ok(Value::F64(Matrix { rows, width, data }))
    }
}

/// Writes a matrix into `into` from column `from` on, and says how wide it was.
fn place<S, T>(
    matrix: &Matrix<S>,
    into: &mut [T],
    from: usize,
    width: usize,
    cast: impl Fn(&S) -> T,
) -> usize {
    if matrix.width > 0 {
        for (row, target) in matrix.each_row().zip(into.chunks_exact_mut(width.max(1))) {
            for (element, place) in row.iter().zip(target.iter_mut().skip(from)) {
                *place = cast(element);
            }
        }
    }
    matrix.width
}

impl Step for Select {
    fn describe(&self) -> String {
        format!("select {} columns", self.0.len())
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind != Kind::Input => match self.0.iter().find(|&&index| index >= form.width) {
                Some(index) => Err(format!("column {index} of {}", form.width)),
                None => Ok(Form {
                    kind: form.kind,
                    width: self.0.len(),
                }),
            },
            _ => Err(format!("a matrix expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        fn select<T: Copy>(matrix: &Matrix<T>, columns: &[usize]) -> Matrix<T> {
            let mut data = Vec::with_capacity(matrix.rows * columns.len());
            for row in matrix.each_row() {
                data.extend(columns.iter().filter_map(|&index| row.get(index).copied()));
            }
            Matrix {
                rows: matrix.rows,
                width: columns.len(),
                data,
            }
        }
        Ok(match inputs.get(0)? {
            Value::F32(matrix) => Value::F32(select(matrix, &self.0)),
            Value::F64(matrix) => Value::F64(select(matrix, &self.0)),
            Value::I64(matrix) => Value::I64(select(matrix, &self.0)),
            other => Value::Cells(select(other.cells()?, &self.0)),
        })
    }
}
