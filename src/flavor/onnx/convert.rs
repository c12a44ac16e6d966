//! Elements of one type into elements of another, wherever no value changes its meaning.
//!
//! MLflow casts `float64` to `float32` and nothing else. Whole numbers and booleans to floats, floats to `float16` and
//! whole numbers to another width are converted here too, where MLflow answers with an error: JSON does not tell 1
//! from 1.0, and the client cannot either.

use half::{bf16, f16};

use crate::model::tensor::{DType, Elements};
use crate::model::value::Value;

use super::element::Element;

/// Which elements of a vector: every `step`th from `start` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Every {
    pub(super) start: usize,
    pub(super) step: usize,
}

impl Every {
    /// All of them.
    pub(super) const ONE: Every = Every { start: 0, step: 1 };
}

/// Whether an array of this type may feed that input, by its type alone.
pub(super) fn fits(actual: DType, wanted: Element) -> bool {
    match wanted {
        Element::Bool => actual == DType::Bool,
        Element::Str => matches!(actual, DType::Str | DType::Object),
        Element::F16 | Element::BF16 | Element::F32 | Element::F64 => {
            actual.is_float() || actual.is_integer() || actual == DType::Bool
        }
        _ => actual.is_integer() || actual == DType::Bool,
    }
}

/// Converts the elements of `from` at `read` into those of `to` at `write`, as many as the shorter side has.
///
/// # Errors
/// Names the first value that cannot be converted.
pub(super) fn convert(
    from: &Elements,
    read: Every,
    to: &mut Elements,
    write: Every,
    wanted: Element,
) -> Result<(), String> {
    let misfit = |value: &dyn std::fmt::Display| format!("`{value}` is no value of {}", wanted.onnx_name());
    // Every float target goes by way of double, as NumPy's promotion of mixed columns does.
    macro_rules! floats {
        ($target:expr, $cast:expr) => {
            match from {
                Elements::F64(v) => each(v, read, $target, write, |&x| $cast(x)),
                Elements::F32(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::F16(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::I64(v) => each(v, read, $target, write, |&x| $cast(x as f64)),
                Elements::U64(v) => each(v, read, $target, write, |&x| $cast(x as f64)),
                Elements::I32(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::U32(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::I16(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::U16(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::I8(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::U8(v) => each(v, read, $target, write, |&x| $cast(f64::from(x))),
                Elements::Bool(v) => each(v, read, $target, write, |&x| $cast(f64::from(u8::from(x)))),
                other => return Err(misfit(&other.dtype())),
            }
        };
    }
    macro_rules! integers {
        ($target:expr, $type:ty) => {
            match from {
                Elements::I64(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::U64(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::I32(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::U32(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::I16(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::U16(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::I8(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::U8(v) => try_each(v, read, $target, write, |&x| {
                    <$type>::try_from(x).map_err(|_| misfit(&x))
                }),
                Elements::Bool(v) => {
                    each(v, read, $target, write, |&x| <$type>::from(x));
                    Ok(())
                }
                other => Err(misfit(&other.dtype())),
            }
        };
    }
    match to {
        Elements::F32(to) if wanted == Element::BF16 => floats!(to, |x| bf16::from_f64(x).to_f32()),
        Elements::F32(to) => match from {
            Elements::F32(from) => each(from, read, to, write, |&x| x),
            _ => floats!(to, |x| x as f32),
        },
        Elements::F64(to) => floats!(to, |x| x),
        Elements::F16(to) => floats!(to, f16::from_f64),
        Elements::I64(to) => return integers!(to, i64),
        Elements::U64(to) => return integers!(to, u64),
        Elements::I32(to) => return integers!(to, i32),
        Elements::U32(to) => return integers!(to, u32),
        Elements::I16(to) => return integers!(to, i16),
        Elements::U16(to) => return integers!(to, u16),
        Elements::I8(to) => return integers!(to, i8),
        Elements::U8(to) => return integers!(to, u8),
        Elements::Bool(to) => match from {
            Elements::Bool(from) => each(from, read, to, write, |&x| x),
            other => return Err(misfit(&other.dtype())),
        },
        Elements::Str(to) => return texts(from, read, to, write),
        Elements::Datetime(_) | Elements::Object(_) => return Err(misfit(&from.dtype())),
    }
    Ok(())
}

/// As `str()` of each cell of an object array reads, which is how ONNX Runtime takes objects for text.
fn texts(from: &Elements, read: Every, to: &mut [String], write: Every) -> Result<(), String> {
    match from {
        Elements::Str(v) => each(v, read, to, write, String::clone),
        Elements::Object(v) => return try_each(v, read, to, write, object_text),
        Elements::Bool(v) => each(v, read, to, write, |&x| python_bool(x).to_owned()),
        Elements::I8(v) => each(v, read, to, write, i8::to_string),
        Elements::I16(v) => each(v, read, to, write, i16::to_string),
        Elements::I32(v) => each(v, read, to, write, i32::to_string),
        Elements::I64(v) => each(v, read, to, write, i64::to_string),
        Elements::U8(v) => each(v, read, to, write, u8::to_string),
        Elements::U16(v) => each(v, read, to, write, u16::to_string),
        Elements::U32(v) => each(v, read, to, write, u32::to_string),
        Elements::U64(v) => each(v, read, to, write, u64::to_string),
        Elements::F16(v) => each(v, read, to, write, |&x| python_float(x.into())),
        Elements::F32(v) => each(v, read, to, write, |&x| python_float(x.into())),
        Elements::F64(v) => each(v, read, to, write, |&x| python_float(x)),
        Elements::Datetime(_) => return Err("a point in time is no value of tensor(string)".into()),
    }
    Ok(())
}

fn object_text(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => "None".to_owned(),
        Value::Bool(value) => python_bool(*value).to_owned(),
        Value::Int(value) => value.to_string(),
        Value::BigInt(digits) => digits.to_string(),
        Value::Float(value) => python_float(*value),
        Value::Str(text) => text.to_string(),
        other => return Err(format!("a {} is no value of tensor(string)", other.python_type())),
    })
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Python's `repr` of a float.
fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn each<S, T>(from: &[S], read: Every, to: &mut [T], write: Every, cast: impl Fn(&S) -> T) {
    // The plain loop is the one the compiler turns into vector instructions.
    if read.step == 1 && write.step == 1 && read.start == 0 && write.start == 0 {
        to.iter_mut()
            .zip(from)
            .for_each(|(slot, value)| *slot = cast(value));
        return;
    }
    let slots = to.iter_mut().skip(write.start).step_by(write.step.max(1));
    let values = from.iter().skip(read.start).step_by(read.step.max(1));
    slots.zip(values).for_each(|(slot, value)| *slot = cast(value));
}

fn try_each<S, T>(
    from: &[S],
    read: Every,
    to: &mut [T],
    write: Every,
    cast: impl Fn(&S) -> Result<T, String>,
) -> Result<(), String> {
    let slots = to.iter_mut().skip(write.start).step_by(write.step.max(1));
    let values = from.iter().skip(read.start).step_by(read.step.max(1));
    for (slot, value) in slots.zip(values) {
        *slot = cast(value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(from: Elements, mut to: Elements, wanted: Element) -> Result<Elements, String> {
        convert(&from, Every::ONE, &mut to, Every::ONE, wanted).map(|()| to)
    }

    #[test]
    fn whole_numbers_become_floats() {
        let to = converted(
            Elements::I64(vec![1, -2]),
            Elements::F32(vec![0.0; 2]),
            Element::F32,
        );
        assert_eq!(to, Ok(Elements::F32(vec![1.0, -2.0])));
    }

    #[test]
    fn widths_change_only_without_loss() {
        let to = converted(Elements::I64(vec![127]), Elements::I8(vec![0]), Element::I8);
        assert_eq!(to, Ok(Elements::I8(vec![127])));
        let error = converted(Elements::I64(vec![128]), Elements::I8(vec![0]), Element::I8).unwrap_err();
        assert_eq!(error, "`128` is no value of tensor(int8)");
    }

    #[test]
    fn objects_become_the_text_python_shows() {
        let cells = vec![
            Value::Null,
            Value::Int(7),
            Value::Float(f64::NAN),
            Value::Float(1e16),
            Value::Float(2.0),
            Value::Float(1.5e-5),
            Value::Bool(true),
            Value::Str("x".into()),
        ];
        let to = converted(
            Elements::Object(cells),
            Elements::Str(vec![String::new(); 8]),
            Element::Str,
        );
        let wanted = ["None", "7", "nan", "1e+16", "2.0", "1.5e-05", "True", "x"].map(String::from);
        assert_eq!(to, Ok(Elements::Str(wanted.to_vec())));
    }

    #[test]
    fn columns_are_interleaved() {
        let mut to = Elements::F32(vec![0.0; 4]);
        let second = Every { start: 1, step: 2 };
        convert(
            &Elements::F64(vec![1.0, 2.0]),
            Every::ONE,
            &mut to,
            second,
            Element::F32,
        )
        .unwrap();
        assert_eq!(to, Elements::F32(vec![0.0, 1.0, 0.0, 2.0]));
    }
}
