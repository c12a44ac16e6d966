//! CSV and Parquet bodies against what MLflow's server handed its models, or answered.

use std::path::PathBuf;

use base64::Engine as _;
use modelsd::model::batch::Body;
use modelsd::model::mlmodel::MlModel;
use modelsd::model::signature::Signature;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::protocol::mlflow::csv::CsvCodec;
use modelsd::protocol::mlflow::parquet::ParquetCodec;
use modelsd::protocol::{Codec, Limits};
use modelsd::serve::error::{Error, Kind};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::echo::describe;

fn golden(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(path)
}

fn signature(model: &str) -> Signature {
    let text = std::fs::read_to_string(golden(&format!("models/{model}/MLmodel"))).unwrap();
    MlModel::parse(&text).unwrap().signature
}

/// Every pair whose body has this media type.
fn pairs(media: &str) -> Vec<Json> {
    let mut found = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden("protocol"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"))
    {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let pair: Json = serde_json::from_str(line).unwrap();
            let header = pair["request"]["headers"]["Content-Type"]
                .as_str()
                .unwrap_or_default();
            if header.split(';').next() == Some(media) {
                found.push(pair);
            }
        }
    }
    found
}

fn body(pair: &Json) -> Vec<u8> {
    match pair["request"]["body"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => {
            let base64 = pair["request"]["body_b64"].as_str().unwrap();
            base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
        }
    }
}

/// Decodes every pair and compares: the batch with what `py_echo*` saw, an error with the one that was answered.
fn check_pairs(media: &str, codec: &dyn Codec) -> usize {
    let mut matched = 0;
    for pair in pairs(media) {
        let name = format!("{} {}", pair["model"], pair["id"]);
        let model = pair["model"].as_str().unwrap();
        let result = codec.decode(&body(&pair), &signature(model), Limits::default());
        match (&pair["response"]["status"], result) {
            (status, Ok(decoded)) if *status == 200 => {
                if model.starts_with("py_echo") {
                    let answer: Json =
                        serde_json::from_str(pair["response"]["body"].as_str().unwrap()).unwrap();
                    let wanted = without_text_types(answer["predictions"].clone());
                    assert_eq!(
                        without_text_types(describe(&decoded.batch.body)),
                        wanted,
                        "{name}"
                    );
                }
            }
            // The model failed, not the decoder.
            (_, Ok(_)) if core(&pair).starts_with("Encountered an unexpected error") => {}
            (status, Err(error)) if *status != 200 => check_error(&name, &pair, &error),
            (status, result) => panic!("{name}: answered {status}, decoded {result:?}"),
        }
        matched += 1;
    }
    matched
}

fn core(pair: &Json) -> &str {
    pair["check"]["message_core"].as_str().unwrap_or_default()
}

fn check_error(name: &str, pair: &Json, error: &Error) {
    let kind = match pair["check"]["error_class"].as_str().unwrap() {
        "SCHEMA_ENFORCEMENT_FAILED" => Kind::SchemaViolation,
        _ => Kind::InvalidInput,
    };
    assert_eq!(error.kind(), kind, "{name}: {error}");
    let (message, wanted) = (sorted_extras(error.message()), sorted_extras(core(pair)));
    assert!(message.ends_with(&wanted), "{name}: {message} is not {wanted}");
    if pair["check"]["stack_trace"] == true {
        let answer: Json = serde_json::from_str(pair["response"]["body"].as_str().unwrap()).unwrap();
        let trace = answer["stack_trace"].as_str().unwrap();
        assert_eq!(error.detail(), trace.strip_prefix("... "), "{name}");
    }
}

/// Extra inputs are listed in the order of a Python set, which is anybody's guess.
fn sorted_extras(message: &str) -> String {
    let Some((head, list)) = message.split_once("extra inputs: [") else {
        return message.to_owned();
    };
    let mut names: Vec<&str> = list.trim_end_matches(['.', ']']).split("', ").collect();
    names
        .iter_mut()
        .for_each(|name| *name = name.trim_end_matches('\''));
    names.sort_unstable();
    format!("{head}{names:?}")
}

/// `csv.jsonl` holds bodies made at random, signatures, and what pandas 3.1 and MLflow 3.17 made of them.
#[test]
fn csv_is_read_as_pandas_reads_it() {
    let mut differences = Vec::new();
    let mut count = 0;
    for line in std::fs::read_to_string(golden("csv.jsonl")).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let signature = Signature::parse(case["inputs"].as_str(), None, None).unwrap();
        let body = case["body"].as_str().unwrap();
        let got = match CsvCodec::default().decode(body.as_bytes(), &signature, Limits::default()) {
            Ok(decoded) => json!({"ok": without_text_types(describe(&decoded.batch.body))}),
            Err(error) if error.kind() == Kind::SchemaViolation => {
                json!({"schema": sorted_extras(error.message().rsplit_once("Error: ").unwrap().1)})
            }
            Err(error) => json!({"parse": error.message().split_once("Error: ").unwrap().1}),
        };
        let wanted = match (&case["ok"], &case["schema"], &case["parse"]) {
            (Json::Object(_), _, _) => json!({"ok": without_text_types(case["ok"].clone())}),
            (_, Json::String(text), _) => json!({"schema": sorted_extras(text)}),
            (_, _, parse) => json!({"parse": parse}),
        };
        if got != wanted {
            differences.push(format!(
                "{body:?} {}\n  got    {got}\n  wanted {wanted}",
                case["inputs"]
            ));
        }
        count += 1;
    }
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// MLflow refuses CSV for models that take tensors; a table of numbers has one reading only.
#[test]
fn a_table_of_numbers_is_a_tensor() {
    let tensor = |text: &str| {
        CsvCodec::default().decode(text.as_bytes(), &signature("onnx_tensor"), Limits::default())
    };
    let decoded = tensor("x0,x1,x2,x3\n5.8,2.8,5.1,2.4\n6,2,4,1\n").unwrap();
    let elements = Elements::F32(vec![5.8, 2.8, 5.1, 2.4, 6.0, 2.0, 4.0, 1.0]);
    assert_eq!(
        decoded.batch.body,
        Body::Array(Tensor::new([2, 4].as_slice(), elements).unwrap())
    );
    assert_eq!(tensor("a,b\n1,2\n").unwrap_err().kind(), Kind::SchemaViolation);
    assert_eq!(
        tensor("a,b,c,d\n1,2,3,x\n").unwrap_err().kind(),
        Kind::InvalidInput
    );
}

/// A text column is `object` to pandas when its type was forced, else `str`; a batch does not tell the two apart.
fn without_text_types(mut described: Json) -> Json {
    for column in described["columns"].as_array_mut().unwrap() {
        match column["dtype"].as_str().unwrap() {
            "str" | "category" => column["dtype"] = json!("object"),
            // All moments are nanoseconds to us.
            "datetime64[ms]" | "datetime64[us]" => column["dtype"] = json!("datetime64[ns]"),
            _ => {}
        }
    }
    described
}

#[test]
fn csv_pairs_match() {
    assert_eq!(check_pairs("text/csv", &CsvCodec::default()), 22);
}

#[test]
#[cfg(feature = "parquet")]
fn parquet_pairs_match() {
    assert_eq!(
        check_pairs("application/vnd.apache.parquet", &ParquetCodec::default()),
        12
    );
}

/// What pandas reads and we refuse, by name.
#[cfg(feature = "parquet")]
const PARQUET_REFUSED: [(&str, &str); 10] = [
    (
        "bomb-cells",
        "5000000 rows of 1 columns are more than a body may hold",
    ),
    (
        "bomb-text",
        "the text of the columns is longer than a body may be",
    ),
    (
        "bomb-page",
        "the columns unpack to more bytes than a body may hold",
    ),
    ("delta", "DELTA_BYTE_ARRAY, is not supported"),
    (
        "pandas-date",
        "column `c` is of type Date, which is not supported",
    ),
    ("decimal", "column `d` is of type Decimal"),
    ("nested", "column `l` is nested, which is not supported"),
    ("struct", "column `l` is nested, which is not supported"),
    ("lz4", "lz4"),
    ("brotli", "brotli"),
];

/// `parquet.jsonl` holds files of many kinds, and what pandas 3.1 read from them.
#[test]
#[cfg(feature = "parquet")]
fn parquet_is_read_as_pandas_reads_it() {
    let mut matched = 0;
    for line in std::fs::read_to_string(golden("parquet.jsonl")).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        // Nullable types of pandas are plain ones to us, names that occur twice and time zones are read.
        if ["pandas-nullable", "dup", "zoned"].contains(&id) {
            continue;
        }
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(case["body_b64"].as_str().unwrap())
            .unwrap();
        let result = ParquetCodec::default().decode(&bytes, &Signature::default(), Limits::default());
        if let Some((_, words)) = PARQUET_REFUSED.iter().find(|(refused, _)| *refused == id) {
            let error = result.unwrap_err();
            assert!(error.message().contains(words), "{id}: {error}");
        } else if case["ok"].is_object() {
            let described = without_text_types(describe(&result.unwrap().batch.body));
            assert_eq!(described, without_text_types(case["ok"].clone()), "{id}");
        } else {
            let error = result.unwrap_err();
            assert_eq!(
                error.message().split_once("Error: ").unwrap().1,
                case["parse"],
                "{id}"
            );
        }
        matched += 1;
    }
    assert_eq!(matched, 34);
}

#[cfg(feature = "parquet")]
proptest! {
    #[test]
    fn any_damage_to_a_parquet_file_is_answered(
        at in any::<prop::sample::Index>(), damage in prop::collection::vec(any::<u8>(), 1..4), cut in any::<bool>()
    ) {
        let mut bytes = body(&pairs("application/vnd.apache.parquet")[0]);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        }
        let end = bytes.len().min(at + damage.len());
        let start = at.min(end);
        bytes.splice(start..end, damage);
        for model in ["onnx_cols", "py_echo_nosig"] {
            let _ = ParquetCodec::default().decode(&bytes, &signature(model), Limits::default());
        }
    }
}

#[test]
#[cfg(not(feature = "parquet"))]
fn parquet_is_refused_by_the_name_of_its_feature() {
    let error = ParquetCodec::default()
        .decode(b"PAR1", &Signature::default(), Limits::default())
        .unwrap_err();
    assert_eq!(error.kind(), Kind::UnsupportedMedia);
    assert!(error.message().contains("feature `parquet`"), "{error}");
}

#[test]
fn a_body_that_is_not_utf8_is_refused_as_python_refuses_it() {
    for (body, reason) in [
        (&b"a\n\xff"[..], r"b'a\n\xff', 2, 3, 'invalid start byte'"),
        (b"a\n\xc3(", r"b'a\n\xc3(', 2, 3, 'invalid continuation byte'"),
        (b"a\n\xe4\xb8", r"b'a\n\xe4\xb8', 2, 4, 'unexpected end of data'"),
        (
            b"a\n\xed\xa0\x80",
            r"b'a\n\xed\xa0\x80', 2, 3, 'invalid continuation byte'",
        ),
    ] {
        let error = CsvCodec::default()
            .decode(body, &Signature::default(), Limits::default())
            .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        let expected = format!("Error: 'UnicodeDecodeError('utf-8', {reason})'");
        assert!(error.message().ends_with(&expected), "{error}");
        assert_eq!(error.detail(), None);
    }
}

#[test]
fn rows_too_short_for_a_wide_table_are_refused_before_they_fill_memory() {
    let mut body = vec![b','; 100_000];
    body.extend(b"\n1".repeat(100_000));
    let error = CsvCodec::default()
        .decode(&body, &Signature::default(), Limits::default())
        .unwrap_err();
    assert!(
        error.message().contains("100000 rows padded to 100001 columns"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for model in ["onnx_cols", "py_echo_nosig", "py_echo", "onnx_cols_unnamed", "onnx_tensor"] {
            let _ = CsvCodec::default().decode(&bytes, &signature(model), Limits::default());
        }
    }

    #[test]
    fn any_csv_like_text_is_answered(text in "[ab,\"\n\r 1.e+-]{0,60}") {
        for model in ["onnx_cols", "py_echo_nosig", "onnx_cols_unnamed", "onnx_tensor"] {
            let _ = CsvCodec::default().decode(text.as_bytes(), &signature(model), Limits::default());
        }
    }
}
