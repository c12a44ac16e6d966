//! The golden pairs of `mlflow models serve` for every ONNX model, sent to a running server.
//!
//! Each pair is compared as its `check` says. An answer with predictions must be the same text but for the rounding of
//! numbers, which may depend on the processor; an error must have the same status, code, class, SQL state, and the
//! comparable part of the message.

use serde_json::Value;

use crate::support::{Answer, Server, differ, golden_lines, repository, send};

/// Pairs that are answered otherwise on purpose, with the reason.
const DELIBERATE: &[(&str, &str)] = &[
    (
        "onnx_cols/gzip-encoding",
        "MLflow reads a compressed body as if it were none",
    ),
    ("onnx_cols/metrics", "modelsd has metrics"),
    ("onnx_cols/version", "modelsd answers its own version"),
    ("onnx_cols/root", "modelsd has a page"),
    ("onnx_cols/docs", "modelsd has no FastAPI page"),
    ("onnx_cols/openapi", "modelsd has no FastAPI page"),
    (
        "onnx_clf_cols/split",
        "MLflow cannot make a table of outputs of different width",
    ),
    (
        "onnx_clf_cols/records",
        "MLflow cannot make a table of outputs of different width",
    ),
    (
        "onnx_clf_cols/inputs",
        "MLflow cannot make a table of outputs of different width",
    ),
    (
        "onnx_clf_nosig/split",
        "MLflow cannot make a table of outputs of different width",
    ),
    (
        "onnx_nosig/inputs-ints",
        "MLflow does not convert whole numbers for a float graph",
    ),
    (
        "onnx_nosig/csv-ints",
        "MLflow does not convert whole numbers for a float graph",
    ),
    (
        "onnx_cols_long/ints",
        "MLflow does not convert whole numbers for a float graph",
    ),
    (
        "onnx_cols_unnamed/ints",
        "MLflow does not convert whole numbers for a float graph",
    ),
    (
        "onnx_cols/csv-no-header",
        "Python's set order of the extra columns depends on its hash seed",
    ),
    (
        "onnx_cols/csv-json-body",
        "Python's set order of the extra columns depends on its hash seed",
    ),
];

/// The comparable part of a message: without the echo of the data, and without the names of a Python set.
fn core(message: &str) -> String {
    let message = message.split("\nInput: \n").next().unwrap_or_default();
    let after = |text: &str| {
        message
            .rfind(text)
            .map(|at| message[at + text.len()..].to_string())
    };
    if message.contains("Failed to enforce schema of data") && message.contains("' with schema '") {
        let text = if message.contains("Hint") {
            message.split_once("'. Error: ").map(|(_, rest)| rest.to_string())
        } else {
            after("Error: ")
        };
        return text.unwrap_or_default();
    }
    if message.starts_with("Failed to predict data") {
        return after("\nError: ").unwrap_or_default();
    }
    let text = message
        .split(". IMPORTANT: The MLflow Model scoring protocol")
        .next()
        .unwrap_or_default();
    without_sets(text)
}

/// Replaces `{'a', 'b'}` by `{set}`.
fn without_sets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{'") {
        let Some(end) = rest[start..].find("'}") else {
            break;
        };
        let inner = &rest[start + 2..start + end];
        let is_set = inner
            .split("', '")
            .all(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        out.push_str(&rest[..start]);
        out.push_str(if is_set {
            "{set}"
        } else {
            &rest[start..start + end + 2]
        });
        rest = &rest[start + end + 2..];
    }
    out + rest
}

/// What differs, if anything.
fn judge(pair: &Value, answer: &Answer) -> Result<(), String> {
    let check = &pair["check"];
    let preferred = check
        .get("prefer_response")
        .filter(|preferred| preferred.is_object());
    let wanted = preferred.unwrap_or(&pair["response"]);
    let status = match preferred {
        Some(preferred) => &preferred["status"],
        None => &check["status"],
    };
    let kind = if preferred.is_some_and(|preferred| preferred["status"] == 200) {
        "json"
    } else {
        check["kind"].as_str().unwrap()
    };
    let body = wanted["body"].as_str().unwrap_or_default();
    let text = answer.text();
    if status.as_u64() != Some(answer.status.into()) {
        return Err(format!("status {} for {status}: {text}", answer.status));
    }
    match kind {
        "json" => differ(&text, body, 1e-6).map_or(Ok(()), Err),
        "text" if pair["request"]["method"] != "HEAD" && text.trim() != body.trim() => {
            Err(format!("`{text}` for `{body}`"))
        }
        "error" => {
            let error = answer.json();
            for key in ["error_code", "error_class", "sqlstate"] {
                if error.get(key) != check.get(key) {
                    return Err(format!("{key} {:?} for {:?}", error.get(key), check.get(key)));
                }
            }
            let got = core(error["message"].as_str().unwrap());
            let wanted = check["message_core"].as_str().unwrap();
            if got == wanted {
                Ok(())
            } else {
                Err(format!("message `{got}` for `{wanted}`"))
            }
        }
        _ => Ok(()),
    }
}

/// Every pair of one model, against one server.
fn check_model(model: &str) {
    let server = Server::start(&format!("tests/golden/models/{model}"), &[]);
    check_answers(&server, "/invocations", model);
}

/// Every pair of one model, against a server that answers for it at this path.
pub fn check_answers(server: &Server, path: &str, model: &str) {
    let mut pairs = golden_lines(&repository(&format!("tests/golden/protocol/{model}.jsonl")));
    if path != "/invocations" {
        pairs.retain(|pair| pair["request"]["path"] == "/invocations");
        pairs
            .iter_mut()
            .for_each(|pair| pair["request"]["path"] = path.into());
    }
    let mut problems = Vec::new();
    let mut judged = 0;
    for pair in pairs.iter().filter(|pair| pair["check"].is_object()) {
        let id = format!("{model}/{}", pair["id"].as_str().unwrap());
        let deliberate = DELIBERATE.iter().any(|(name, _)| *name == id);
        match judge(pair, &send(server, &pair["request"])) {
            Ok(()) if deliberate => problems.push(format!("{id}: listed as different, but equal")),
            Err(problem) if !deliberate => problems.push(format!("{id}: {problem}")),
            _ => {}
        }
        judged += 1;
    }
    assert!(judged > 0, "no pairs for {model}");
    assert!(
        problems.is_empty(),
        "{} of {judged} differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

macro_rules! golden {
    ($($model:ident)*) => {
        $(#[test] fn $model() { check_model(stringify!($model)); })*

        #[test]
        fn no_model_is_left_out() {
            let listed = [$(stringify!($model)),*];
            for entry in std::fs::read_dir(repository("tests/golden/models")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!name.starts_with("onnx_") || listed.contains(&name.as_str()), "{name}");
            }
        }
    };
}

golden! {
    onnx_clf_cols onnx_clf_nosig onnx_clf_tensor onnx_clf_zipmap onnx_cols onnx_cols_long onnx_cols_mixed
    onnx_cols_unnamed onnx_external onnx_img onnx_multi onnx_nosig onnx_tensor onnx_tensor_named onnx_two_tensors
}
