//! JSON bodies against what MLflow's server handed its models (the `py_echo` pairs).
//!
//! The echo models answer with the types and the Python `repr` of what they were handed. The same is written here of
//! what the codec decodes, so that an answer of MLflow's is compared word for word, without a server.

use modelsd::model::mlmodel::MlModel;
use modelsd::model::signature::Signature;
use modelsd::protocol::mlflow::json::JsonCodec;
use modelsd::protocol::{Codec, Limits, Reply};
use modelsd::serve::error::Kind;
use serde_json::{Value as Json, json};

use crate::echo::describe;
use crate::support::{golden_lines, repository};

/// Pairs that differ on purpose, with the reason.
const DELIBERATE: &[(&str, &str)] = &[("py_echo_nosig/split-index", "a batch has no labels of rows")];

<<<<<<< HEAD
=======
// === what Python prints ===

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

fn repr(value: &Value) -> String {
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

fn describe(body: &Body) -> Json {
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

// === comparison ===

>>>>>>> main
fn signature(model: &str) -> Signature {
    let text = std::fs::read_to_string(repository(&format!("tests/golden/models/{model}/MLmodel"))).unwrap();
    MlModel::parse(&text).unwrap().signature
}

fn body_of(pair: &Json) -> Vec<u8> {
    use base64::Engine as _;
    let request = &pair["request"];
    match (request["body"].as_str(), request["body_b64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        (None, None) => Vec::new(),
    }
}

fn is_json(pair: &Json) -> bool {
    let Some(headers) = pair["request"]["headers"].as_object() else {
        return false;
    };
    headers.iter().any(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        name.eq_ignore_ascii_case("content-type") && value.split(';').next() == Some("application/json")
    })
}

/// The comparable part of a message, as the goldens have it.
fn core(message: &str) -> String {
    if message.contains("Failed to enforce schema of data") && message.contains("' with schema '") {
        let cut = if message.contains("Hint") {
            message.split_once("'. Error: ").map(|(_, rest)| rest)
        } else {
            message.rsplit_once("Error: ").map(|(_, rest)| rest)
        };
        return cut.unwrap().to_owned();
    }
    if message.starts_with("Failed to predict data") {
        return message.rsplit_once("\nError: ").unwrap().1.to_owned();
    }
    let message = message.split("\nInput: \n").next().unwrap();
    let message = hide_sets(message);
    message
        .split(". IMPORTANT: The MLflow Model scoring protocol")
        .next()
        .unwrap()
        .to_owned()
}

/// Sets of words print in an order of their own.
fn hide_sets(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((head, tail)) = rest.split_once('{') {
        out.push_str(head);
        let word = |word: &str| {
            word.strip_prefix('\'')
                .and_then(|word| word.strip_suffix('\''))
                .is_some_and(|word| {
                    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                })
        };
        match tail.split_once('}') {
            Some((inside, after)) if inside.split(", ").all(word) => {
                out.push_str("{set}");
                rest = after;
            }
            _ => {
                out.push('{');
                rest = tail;
            }
        }
    }
    out + rest
}

fn wanted_kind(check: &Json) -> Kind {
    match (check["error_class"].as_str(), check["error_code"].as_str()) {
        (Some("SCHEMA_ENFORCEMENT_FAILED"), _) => Kind::SchemaViolation,
        (_, Some("INVALID_PARAMETER_VALUE")) => Kind::InvalidParams,
        _ => Kind::InvalidInput,
    }
}

/// What differs between the answer of MLflow's server and what the codec decodes.
fn difference(pair: &Json, signature: &Signature) -> Option<String> {
    let check = &pair["check"];
    let decoded = JsonCodec::default().decode(&body_of(pair), signature, Limits::default());
    if check["kind"] == "error" {
        return match decoded {
            Ok(decoded) => Some(format!("decoded {:?}", decoded.batch.body)),
            Err(error) if error.kind() != wanted_kind(check) => {
                Some(format!("{:?}: {}", error.kind(), error.message()))
            }
            Err(error) => {
                let (got, wanted) = (core(error.message()), check["message_core"].as_str().unwrap());
                (got != wanted).then(|| format!("\n  got    {got}\n  wanted {wanted}"))
            }
        };
    }
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Some(format!("refused: {}", error.message())),
    };
    let described = describe(&decoded.batch.body);
    let got = match decoded.reply {
        Reply::Wrapped => json!({"predictions": described}),
        Reply::Bare => described,
    };
    let wanted: Json = serde_json::from_str(pair["response"]["body"].as_str().unwrap()).unwrap();
    (got != wanted).then(|| format!("\n  got    {got}\n  wanted {wanted}"))
}

fn compare(models: &[&str], relevant: fn(&Json) -> bool) {
    let mut report = Vec::new();
    let (mut matched, mut total) = (0, 0);
    for model in models {
        let signature = signature(model);
        let (mut here, mut of) = (0, 0);
        for pair in golden_lines(&repository(&format!("tests/golden/protocol/{model}.jsonl"))) {
            if !is_json(&pair) || !relevant(&pair) {
                continue;
            }
            of += 1;
            let id = format!("{model}/{}", pair["id"].as_str().unwrap());
            match difference(&pair, &signature) {
                None => here += 1,
                Some(_) if DELIBERATE.iter().any(|(known, _)| *known == id) => here += 1,
                Some(difference) => report.push(format!("{id}: {difference}")),
            }
        }
        println!("{model}: {here} of {of}");
        matched += here;
        total += of;
    }
    println!("{matched} of {total} pairs match");
    assert!(total > 0);
    assert!(
        report.is_empty(),
        "{} pairs differ:\n{}",
        report.len(),
        report.join("\n")
    );
}

#[test]
fn models_are_handed_what_mlflow_hands_them() {
    let models = [
        "py_echo",
        "py_echo_nested",
        "py_echo_nosig",
        "py_echo_required",
        "py_echo_single",
        "py_echo_tensors",
    ];
    compare(&models, |_| true);
}

#[test]
fn requests_that_never_reach_a_model_are_refused_alike() {
    let models = [
        "onnx_clf_cols",
        "onnx_clf_nosig",
        "onnx_clf_tensor",
        "onnx_clf_zipmap",
        "onnx_cols",
        "onnx_cols_long",
        "onnx_cols_mixed",
        "onnx_cols_unnamed",
        "onnx_img",
        "onnx_multi",
        "onnx_nosig",
        "onnx_tensor",
        "onnx_tensor_named",
        "onnx_two_tensors",
    ];
    compare(&models, |pair| {
        // A failure inside the model has passed the codec.
        let message = pair["check"]["message_core"].as_str().unwrap_or_default();
        pair["check"]["kind"] == "error"
            && !message.starts_with("Encountered an unexpected error while evaluating")
    });
}

#[test]
fn requests_that_reach_a_model_are_decoded() {
    for model in [
        "onnx_cols",
        "onnx_multi",
        "onnx_tensor",
        "onnx_tensor_named",
        "onnx_two_tensors",
        "onnx_img",
    ] {
        let signature = signature(model);
        for pair in golden_lines(&repository(&format!("tests/golden/protocol/{model}.jsonl"))) {
            if is_json(&pair) && pair["check"]["kind"] == "json" && pair["check"]["status"] == 200 {
                let decoded = JsonCodec::default().decode(&body_of(&pair), &signature, Limits::default());
                assert!(
                    decoded.is_ok(),
                    "{model}/{}: {}",
                    pair["id"],
                    decoded.unwrap_err()
                );
            }
        }
    }
}
