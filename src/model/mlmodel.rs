//! `MLmodel`: the file that says what a model directory holds.
//!
//! YAML as PyYAML's `safe_dump` writes it. Unknown keys are tolerated, as MLflow tolerates them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;

use crate::model::classes::Classes;
use crate::model::signature::{Signature, SignatureError};
use crate::model::yaml;

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
    /// The list `classes` in the model's metadata: the names of what it tells apart.
    pub classes: Option<Classes>,
}

/// Why a text is no `MLmodel`.
#[derive(Debug, thiserror::Error)]
pub enum MlModelError {
    /// Longer than [`MAX_BYTES`].
    #[error("`MLmodel` has {0} bytes, at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// Not YAML, or no mapping.
    #[error("`MLmodel` cannot be read: {0}")]
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
        let file: File = yaml::parse(text).map_err(MlModelError::Yaml)?;
        let flavors = match file.flavors {
            Some(Json::Object(flavors)) => flavors.into_iter().collect(),
            Some(_) => return Err(MlModelError::Shape("`flavors` is no mapping".into())),
            None => return Err(MlModelError::Shape("no `flavors`".into())),
        };
        let example = file.saved_input_example_info.as_ref();
        let example_text = |key: &str| {
            example
                .and_then(|example| example.get(key)?.as_str())
                .map(str::to_owned)
        };
        Ok(MlModel {
            flavors,
            signature: signature(file.signature.as_ref())?,
            input_example: example_text("artifact_path"),
            serving_input: example_text("serving_input_path"),
            mlflow_version: file.mlflow_version,
            model_id: file.model_id,
            model_uuid: file.model_uuid,
            run_id: file.run_id,
            utc_time_created: file.utc_time_created,
            classes: match file.metadata {
                Some(Metadata::Names { classes }) => Classes::of_json(&Json::Array(classes)),
                Some(Metadata::Other(_)) | None => None,
            },
        })
    }

    /// The configuration of the flavor of that name.
    pub fn flavor(&self, name: &str) -> Option<&Json> {
        self.flavors
            .iter()
            .find(|(flavor, _)| flavor == name)
            .map(|(_, config)| config)
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
        Some(other) => Err(MlModelError::Shape(format!(
            "signature `{key}` is `{other}`, expected text"
        ))),
    };
    let (inputs, outputs, params) = (side("inputs")?, side("outputs")?, side("params")?);
    Ok(Signature::parse(
        inputs.as_deref(),
        outputs.as_deref(),
        params.as_deref(),
    )?)
}

/// The keys of the file that are read, as they stand there.
#[derive(Default)]
struct File {
    flavors: Option<Json>,
    signature: Option<Json>,
    saved_input_example_info: Option<Json>,
    mlflow_version: Option<String>,
    model_id: Option<String>,
    model_uuid: Option<String>,
    run_id: Option<String>,
    utc_time_created: Option<String>,
    metadata: Option<Metadata>,
}

/// What the model's author wrote: anything, so that nothing in it may fail.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Metadata {
    Names { classes: Vec<Json> },
    Other(IgnoredAny),
}

/// By hand, because texts must be asked for as texts: read without a type, the version `1.30` is the number 1.3, and
/// the run `12345678e90` overflows, which PyYAML writes without quotes.
impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<File, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = File;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a mapping at the top")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut file = File::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "flavors" => file.flavors = map.next_value()?,
                        "signature" => file.signature = map.next_value()?,
                        "saved_input_example_info" => file.saved_input_example_info = map.next_value()?,
                        "mlflow_version" => file.mlflow_version = map.next_value()?,
                        "model_id" => file.model_id = map.next_value()?,
                        "model_uuid" => file.model_uuid = map.next_value()?,
                        "run_id" => file.run_id = map.next_value()?,
                        "utc_time_created" => file.utc_time_created = map.next_value()?,
                        "metadata" => file.metadata = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(file)
            }
        }

        deserializer.deserialize_map(Keys)
    }
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
    fn texts_that_look_like_numbers_stay_texts() {
        let model =
            MlModel::parse("flavors: {}\nmlflow_version: 1.30\nrun_id: 12345678e901234\nmodel_uuid: 0123\n");
        let model = model.unwrap();
        assert_eq!(model.mlflow_version.as_deref(), Some("1.30"));
        assert_eq!(model.run_id.as_deref(), Some("12345678e901234"));
        assert_eq!(model.model_uuid.as_deref(), Some("0123"));
    }

    #[test]
    fn names_of_classes_are_in_the_metadata() {
        let names = |text: &str| {
            let classes = MlModel::parse(&format!("flavors: {{}}\n{text}"))
                .unwrap()
                .classes?;
            Some(classes.names().map(str::to_owned).collect::<Vec<_>>().join(","))
        };
        assert_eq!(names("metadata: {classes: [M, F, 1]}").as_deref(), Some("M,F,1"));
        assert_eq!(names("metadata: {classes: {a: 1}}"), None);
        assert_eq!(names("metadata: null"), None);
        assert_eq!(names("metadata: [classes]"), None);
        assert_eq!(
            names("metadata: {1: .inf, classes: [{2: .nan}], ? [a] : b}"),
            None
        );
        assert_eq!(names("metadata: {1: x, classes: [a]}").as_deref(), Some("a"));
        assert_eq!(names(""), None);
    }

    #[test]
    fn a_model_without_signature_declares_nothing() {
        assert_eq!(
            MlModel::parse("flavors: {onnx: {}}").unwrap().signature,
            Signature::default()
        );
    }

    #[test]
    fn what_is_no_mlmodel_says_why() {
        for (text, wanted) in [
            ("- 1", "expected mapping"),
            ("a: 1", "no `flavors`"),
            ("flavors: [", "`MLmodel` cannot be read"),
            ("flavors: {}\nsignature: {inputs: 3}", "signature `inputs` is `3`"),
        ] {
            let message = MlModel::parse(text).unwrap_err().to_string();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }
}
