//! What the echo models answer: the types and the Python `repr` of what they are handed.

use modelsd::model::batch::{Body, Columns, Frame, Name};
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::model::value::Value;
use serde_json::{Value as Json, json};

fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn repr_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut out = format!("b{quote}");
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            _ if char::from(byte) == quote => out.extend(['\\', quote]),
            0x20..=0x7e => out.push(char::from(byte)),
            b'\n' => out.push_str("\\n"),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(quote);
    out
}

fn repr_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!(
        "{mantissa}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

fn repr_time(nanoseconds: i64) -> String {
    if nanoseconds == i64::MIN {
        return "NaT".into();
    }
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    let fraction = match fraction {
        0 => String::new(),
        _ if fraction % 1000 == 0 => format!(".{:06}", fraction / 1000),
        _ => format!(".{fraction:09}"),
    };
    let (date, clock) = (time.date(), time.time());
    format!(
        "Timestamp('{date} {:02}:{:02}:{:02}{fraction}')",
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// Elements as `ndarray.tolist()` gives them, printed.
fn element(elements: &Elements, index: usize) -> String {
    let boolean = |value: bool| if value { "True" } else { "False" }.to_owned();
    match elements {
        Elements::Bool(values) => boolean(values[index]),
        Elements::I8(values) => values[index].to_string(),
        Elements::I16(values) => values[index].to_string(),
        Elements::I32(values) => values[index].to_string(),
        Elements::I64(values) => values[index].to_string(),
        Elements::U8(values) => values[index].to_string(),
        Elements::U16(values) => values[index].to_string(),
        Elements::U32(values) => values[index].to_string(),
        Elements::U64(values) => values[index].to_string(),
        Elements::F16(values) => repr_float(values[index].to_f64()),
        Elements::F32(values) => repr_float(values[index].into()),
        Elements::F64(values) => repr_float(values[index]),
        Elements::Str(values) => repr_text(&values[index]),
        Elements::Datetime(values) => repr_time(values[index]),
        Elements::Object(values) => repr(&values[index]),
    }
}

/// Python's `repr` of a value.
pub fn repr(value: &Value) -> String {
    let join = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(integer) => integer.to_string(),
        Value::BigInt(digits) => digits.to_string(),
        Value::Float(float) => repr_float(*float),
        Value::Str(text) => repr_text(text),
        Value::Bytes(bytes) => repr_bytes(bytes),
        Value::List(items) => format!("[{}]", join(items.iter().map(repr).collect())),
        Value::Map(entries) => {
            let entry = |(key, value): &(Box<str>, Value)| format!("{}: {}", repr_text(key), repr(value));
            format!("{{{}}}", join(entries.iter().map(entry).collect()))
        }
        Value::Tensor(tensor) if tensor.shape().is_empty() => match tensor.elements() {
            Elements::Bool(values) => format!("np.{}_", if values[0] { "True" } else { "False" }),
            Elements::Str(values) => format!("np.str_({})", repr_text(&values[0])),
            Elements::Object(values) => match &values[0] {
                Value::Bytes(bytes) => format!("np.bytes_({})", repr_bytes(bytes)),
                other => repr(other),
            },
            Elements::Datetime(values) => repr_time(values[0]),
            elements => format!("np.{}({})", tensor.dtype(), element(elements, 0)),
        },
        Value::Tensor(tensor) => format!("array({})", array_text(tensor)),
    }
}

/// NumPy's print of a small array: floats share a width, rows are under one another.
fn array_text(tensor: &Tensor) -> String {
    let count = tensor.elements().len();
    let mut texts: Vec<String> = (0..count)
        .map(|index| element(tensor.elements(), index))
        .collect();
    if tensor.dtype().is_float() {
        for text in &mut texts {
            *text = text
                .strip_suffix('0')
                .filter(|head| head.ends_with('.'))
                .unwrap_or(text)
                .to_owned();
        }
    }
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    if tensor.dtype().is_float() {
        for text in &mut texts {
            *text = format!("{text:<width$}");
        }
    }
    let row = |row: &[String]| format!("[{}]", row.join(", "));
    match tensor.shape() {
        [_] => row(&texts),
        [_, length] => {
            let rows: Vec<String> = texts.chunks(*length).map(row).collect();
            format!("[{}]", rows.join(",\n       "))
        }
        shape => panic!("no print of an array of shape {shape:?}"),
    }
}

fn nested(tensor: &Tensor) -> String {
    fn level(shape: &[usize], elements: &Elements, from: usize) -> String {
        match shape {
            [] => element(elements, from),
            [extent, inner @ ..] => {
                let step: usize = inner.iter().product();
                let items: Vec<String> = (0..*extent)
                    .map(|at| level(inner, elements, from + at * step))
                    .collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
    level(tensor.shape(), tensor.elements(), 0)
}

fn numpy_dtype(tensor: &Tensor) -> String {
    match tensor.elements() {
        Elements::Str(values) => {
            format!(
                "<U{}",
                values
                    .iter()
                    .map(|text| text.chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(1)
            )
        }
        _ => tensor.dtype().to_string(),
    }
}

/// pandas 3 calls a column of text `str`, with missing values or without.
fn pandas_dtype(elements: &Elements) -> String {
    match elements {
        Elements::Object(values) => {
            let text = |value: &Value| matches!(value, Value::Str(_));
            let missing = |value: &Value| matches!(value, Value::Float(float) if float.is_nan());
            let is_text = values.iter().any(text) && values.iter().all(|value| text(value) || missing(value));
            if is_text { "str".into() } else { "object".into() }
        }
        other => other.dtype().to_string(),
    }
}

fn describe_tensor(tensor: &Tensor) -> Json {
    json!({"type": "ndarray", "dtype": numpy_dtype(tensor), "shape": tensor.shape(), "values": nested(tensor)})
}

fn describe_frame(frame: &Frame) -> Json {
    let column = |position: usize, name: &Name| {
        let name = match name {
            Name::Text(text) => json!(&**text),
            Name::Index(index) => json!(index),
        };
        let (dtype, values): (String, Vec<String>) = match frame.columns() {
            Columns::Matrix(matrix) => {
                let index = |row: usize| row * frame.width() + position;
                let values = (0..frame.rows())
                    .map(|row| element(matrix.elements(), index(row)))
                    .collect();
                (matrix.dtype().to_string(), values)
            }
            Columns::Separate(tensors) => {
                let elements = tensors[position].elements();
                let values = (0..frame.rows()).map(|row| element(elements, row)).collect();
                (pandas_dtype(elements), values)
            }
        };
        json!({"name": name, "dtype": dtype, "values": values})
    };
    let columns: Vec<Json> = frame
        .names()
        .iter()
        .enumerate()
        .map(|(at, name)| column(at, name))
        .collect();
    let index: Vec<String> = (0..frame.rows()).map(|row| row.to_string()).collect();
    json!({"type": "DataFrame", "index": index, "columns": columns})
}

fn describe_value(value: &Value) -> Json {
    match value {
        Value::Tensor(tensor) => describe_tensor(tensor),
        Value::List(items) => {
            json!({"type": "list", "items": items.iter().map(describe_value).collect::<Vec<_>>()})
        }
        Value::Map(entries) => {
            let items = entries
                .iter()
                .map(|(key, value)| (key.to_string(), describe_value(value)));
            json!({"type": "dict", "items": items.collect::<serde_json::Map<_, _>>()})
        }
        other => json!({"type": other.python_type(), "value": repr(other)}),
    }
}

/// What an echo model answers when it is handed this.
pub fn describe(body: &Body) -> Json {
    match body {
        Body::Frame(frame) => describe_frame(frame),
        Body::Array(tensor) => describe_tensor(tensor),
        Body::Named(members) => {
            let items = members
                .iter()
                .map(|(key, tensor)| (key.to_string(), describe_tensor(tensor)));
            json!({"type": "dict", "items": items.collect::<serde_json::Map<_, _>>()})
        }
        Body::Value(value) => describe_value(value),
    }
}
