//! `MLmodel`: the file that says what a model directory holds.
//!
//! YAML as PyYAML's `safe_dump` writes it. Unknown keys are tolerated, as MLflow tolerates them.

use serde_json::Value as Json;

use crate::model::signature::{Signature, SignatureError};

/// An `MLmodel` may be this long; real ones have a few kilobytes.
pub const MAX_BYTES: usize = 4 << 20;

/// What `MLmodel` says, as far as serving needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MlModel {
    /// Flavors by name, in order of appearance; the values as written.
    pub flavors: Vec<(String, Json)>,
    /// The signature; empty when the file has none.
    pub signature: Signature,
    /// `mlflow_version` that wrote the file.
    pub mlflow_version: Option<String>,
    /// `model_id` of a logged model (3.x).
    pub model_id: Option<String>,
    /// `model_uuid`.
    pub model_uuid: Option<String>,
    /// `run_id` that logged the model.
    pub run_id: Option<String>,
    /// `utc_time_created`, as written.
    pub utc_time_created: Option<String>,
    /// Path of the input example within the directory.
    pub input_example: Option<String>,
    /// Path of the ready-made `/invocations` body within the directory (3.x).
    pub serving_input: Option<String>,
}

/// Why a text is no `MLmodel`.
#[derive(Debug, thiserror::Error)]
pub enum MlModelError {
    /// Longer than [`MAX_BYTES`].
    #[error("`MLmodel` has {0} bytes, at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// Not YAML.
    #[error("`MLmodel` is not YAML: {0}")]
    Yaml(String),
    /// YAML of another shape.
    #[error("`MLmodel`: {0}")]
    Shape(String),
    /// A bad signature.
    #[error("`MLmodel`: bad signature")]
    Signature(#[from] SignatureError),
}

impl MlModel {
    /// Reads the text of an `MLmodel` file.
    pub fn parse(text: &str) -> Result<MlModel, MlModelError> {
        if text.len() > MAX_BYTES {
            return Err(MlModelError::TooLong(text.len()));
        }
        let root: Json = serde_saphyr::from_str(text).map_err(|error| MlModelError::Yaml(first_line(&error)))?;
        let Json::Object(root) = root else {
            return Err(MlModelError::Shape("expected a mapping at the top".into()));
        };
        let flavors = match root.get("flavors") {
            Some(Json::Object(flavors)) => flavors.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            Some(_) => return Err(MlModelError::Shape("`flavors` is no mapping".into())),
            None => return Err(MlModelError::Shape("no `flavors`".into())),
        };
        let text_of = |key: &str| root.get(key).and_then(scalar_text);
        let example = root.get("saved_input_example_info");
        let example_text = |key: &str| example.and_then(|example| example.get(key)).and_then(scalar_text);
        Ok(MlModel {
            flavors,
            signature: signature(root.get("signature"))?,
            mlflow_version: text_of("mlflow_version"),
            model_id: text_of("model_id"),
            model_uuid: text_of("model_uuid"),
            run_id: text_of("run_id"),
            utc_time_created: text_of("utc_time_created"),
            input_example: example_text("artifact_path"),
            serving_input: example_text("serving_input_path"),
        })
    }

    /// The configuration of the flavor of that name.
    pub fn flavor(&self, name: &str) -> Option<&Json> {
        self.flavors.iter().find(|(flavor, _)| flavor == name).map(|(_, config)| config)
    }

    /// Names of the flavors, in order of appearance.
    pub fn flavor_names(&self) -> Vec<&str> {
        self.flavors.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn signature(value: Option<&Json>) -> Result<Signature, MlModelError> {
    let side = |key: &str| match value.and_then(|signature| signature.get(key)) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        // Some hand-written files hold the list itself instead of its text.
        Some(list @ Json::Array(_)) => Ok(Some(list.to_string())),
        Some(other) => Err(MlModelError::Shape(format!("signature `{key}` is `{other}`, expected text"))),
    };
    let (inputs, outputs, params) = (side("inputs")?, side("outputs")?, side("params")?);
    Ok(Signature::parse(inputs.as_deref(), outputs.as_deref(), params.as_deref())?)
}

/// Text of a scalar; an unquoted version such as `1.30` reads as a number in YAML.
fn scalar_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The parser's own message without its drawing of the source.
fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "flavors:\n  onnx: {data: model.onnx, providers: [CPUExecutionProvider]}\n  \
        python_function: {loader_module: mlflow.onnx}\nmlflow_version: 3.17.2\nmodel_id: null\nsomething_new: [1]\n\
        signature:\n  inputs: '[{\"type\": \"double\", \"name\": \"a\", \"required\": true}]'\n  outputs: null\n\
        saved_input_example_info: {artifact_path: input_example.json, type: dataframe}\n";

    #[test]
    fn unknown_keys_are_tolerated() {
        let model = MlModel::parse(TEXT).unwrap();
        assert_eq!(model.flavor_names(), ["onnx", "python_function"]);
        assert_eq!(model.mlflow_version.as_deref(), Some("3.17.2"));
        assert_eq!(model.model_id, None);
        assert_eq!(model.input_example.as_deref(), Some("input_example.json"));
        assert!(model.signature.inputs.is_some());
    }

    #[test]
    fn a_model_without_signature_declares_nothing() {
        assert_eq!(MlModel::parse("flavors: {onnx: {}}").unwrap().signature, Signature::default());
    }

    #[test]
    fn what_is_no_mlmodel_says_why() {
        for (text, wanted) in [
            ("- 1", "expected a mapping"),
            ("a: 1", "no `flavors`"),
            ("flavors: [", "is not YAML"),
            ("flavors: {}\nsignature: {inputs: 3}", "signature `inputs` is `3`"),
        ] {
            let message = MlModel::parse(text).unwrap_err().to_string();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }
}
