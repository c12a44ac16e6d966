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

use crate::echo::{describe, repr};
use crate::support::{golden_lines, repository};

/// Pairs that differ on purpose, with the reason.
const DELIBERATE: &[(&str, &str)] = &[("py_echo_nosig/split-index", "a batch has no labels of rows")];

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
    hide_sets(&plain_core(message))
}

/// The same with the names of sets.
fn plain_core(message: &str) -> String {
    if message.starts_with("Failed to predict data") {
        return core(message);
    }
    let message = message.split("\nInput: \n").next().unwrap();
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

/// The width of a text array is NumPy's business.
fn without_widths(described: &mut Json) {
    match described {
        Json::Object(members) => {
            if let Some(Json::String(dtype)) = members.get_mut("dtype")
                && dtype.starts_with("<U")
            {
                dtype.truncate(2);
            }
            members.values_mut().for_each(without_widths);
        }
        Json::Array(items) => items.iter_mut().for_each(without_widths),
        _ => {}
    }
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

/// What MLflow's own code makes of generated requests; see the script that made the file.
#[test]
fn generated_requests_are_read_alike() {
    let mut report = Vec::new();
    let pairs = golden_lines(&repository("tests/golden/json.jsonl"));
    for pair in &pairs {
        let signature = Signature::parse(pair["inputs"].as_str(), None, pair["params"].as_str()).unwrap();
        let body = pair["body"].as_str().unwrap();
        let decoded = JsonCodec::default().decode(body.as_bytes(), &signature, Limits::default());
        let (got, wanted) = match decoded {
            Ok(decoded) => {
                let mut described = describe(&decoded.batch.body);
                without_widths(&mut described);
                let params = &decoded.batch.params;
                let mut used: Vec<String> = params
                    .iter()
                    .map(|(name, value)| format!("{name}={}", repr(value)))
                    .collect();
                used.sort();
                let bare = decoded.reply == Reply::Bare;
                let wanted = json!([pair["ok"], pair["bare"], pair.get("used").unwrap_or(&json!([]))]);
                (json!([described, bare, used]), wanted)
            }
            Err(error) => {
                let check = &pair["error"];
                let wanted = json!([format!("{:?}", wanted_kind(check)), check["message_core"]]);
                (
                    json!([format!("{:?}", error.kind()), plain_core(error.message())]),
                    wanted,
                )
            }
        };
        if got != wanted {
            report.push(format!(
                "{}: {body}\n  got    {got}\n  wanted {wanted}",
                pair["id"]
            ));
        }
    }
    println!("{} of {} pairs match", pairs.len() - report.len(), pairs.len());
    assert!(
        report.is_empty(),
        "{} pairs differ:\n{}",
        report.len(),
        report.join("\n")
    );
}
