//! `modelsd inspect`: what a model is, for people and for scripts.

use serde_json::{Value as Json, json};

use super::text::{bytes, plain, table};
use crate::artifact::{ArtifactDir, ArtifactError};
use crate::deploy::parity::Parity;
use crate::deploy::prove::Trial;
use crate::flavor::{Port, Report};
use crate::model::mlmodel::MlModel;
use crate::model::signature::{ParamSpec, Schema};
use crate::model::stage::Stage;
use crate::model::uri::ModelUri;
use crate::model::value::Value;
use crate::model::version::VersionId;
use crate::registry::Resolved;

/// What is known of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The URI asked for.
    pub uri: ModelUri,
    /// The version it means.
    pub id: VersionId,
    /// Stage of the version, if it is registered.
    pub stage: Option<Stage>,
    /// Aliases of the version.
    pub aliases: Vec<String>,
    /// Tags of the version.
    pub tags: Vec<(String, String)>,
    /// Description of the version.
    pub description: String,
    /// Where its files are.
    pub location: String,
    /// Files by path, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Digest of all files: `sha256:…`.
    pub digest: String,
    /// What `MLmodel` says.
    pub mlmodel: MlModel,
    /// What was loaded, or why nothing could be.
    pub loaded: Result<Report, String>,
    /// How the engines did; empty when they were not tried.
    pub trials: Vec<Trial>,
    /// How answers compare with those recorded beside the model, or why that cannot be said; `None` without any.
    pub parity: Option<Result<Parity, String>>,
}

impl Inspection {
    /// Gathers what is known of a model that was loaded; hashes every file.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn new(
        uri: &ModelUri,
        resolved: &Resolved,
        artifact: &ArtifactDir,
        report: &Report,
    ) -> Result<Inspection, ArtifactError> {
        Inspection::gather(uri, resolved, artifact, Ok(report.clone()))
    }

    /// The same of a model that cannot be loaded, for that is when people look closely; `problem` says why.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn not_loaded(
        uri: &ModelUri,
        resolved: &Resolved,
        artifact: &ArtifactDir,
        problem: &str,
    ) -> Result<Inspection, ArtifactError> {
        Inspection::gather(uri, resolved, artifact, Err(problem.to_owned()))
    }

    fn gather(
        uri: &ModelUri,
        resolved: &Resolved,
        artifact: &ArtifactDir,
        loaded: Result<Report, String>,
    ) -> Result<Inspection, ArtifactError> {
        Ok(Inspection {
            uri: uri.clone(),
            id: resolved.id.clone(),
            stage: resolved.stage,
            aliases: resolved.aliases.clone(),
            tags: resolved.tags.clone(),
            description: resolved.description.clone(),
            location: resolved.location.to_string(),
            files: artifact
                .files()
                .iter()
                .map(|file| (file.path.clone(), file.bytes))
                .collect(),
            size_bytes: artifact.size_bytes(),
            digest: artifact.digest()?.to_string(),
            mlmodel: artifact.mlmodel().clone(),
            loaded,
            trials: Vec::new(),
            parity: None,
        })
    }

    /// A page of aligned lines; things that are absent are left out.
    pub fn render_text(&self) -> String {
        let mut page = Page(Vec::new());
        page.one("uri", &self.uri.to_string());
        page.one("model", &self.id.name);
        page.one("version", self.id.version.as_deref().unwrap_or_default());
        page.one("stage", self.stage.map(Stage::name).unwrap_or_default());
        page.one("aliases", &self.aliases.join(", "));
        page.one("description", &self.description);
        page.many(
            "tags",
            self.tags.iter().map(|(key, value)| format!("{key}={value}")),
        );
        page.one("location", &self.location);
        page.one(
            "mlflow",
            self.mlmodel.mlflow_version.as_deref().unwrap_or_default(),
        );
        page.one(
            "created",
            self.mlmodel.utc_time_created.as_deref().unwrap_or_default(),
        );
        page.one("run", self.mlmodel.run_id.as_deref().unwrap_or_default());
        page.one("model id", self.mlmodel.model_id.as_deref().unwrap_or_default());
        page.one("flavors", &self.mlmodel.flavor_names().join(", "));
        page.schema("inputs", self.mlmodel.signature.inputs.as_ref());
        page.schema("outputs", self.mlmodel.signature.outputs.as_ref());
        let params = self.mlmodel.signature.params.iter().flatten();
        page.many(
            "params",
            params.map(|param| format!("{param} = {}", value_json(&param.default))),
        );
        match &self.loaded {
            Ok(report) => {
                page.one("engine", &format!("{} ({})", report.engine, report.flavor));
                page.many("graph inputs", report.inputs.iter().map(port_text));
                page.many("graph outputs", report.outputs.iter().map(port_text));
                page.many("steps", report.steps.iter().cloned());
                page.many("notes", report.notes.iter().cloned());
                match &self.parity {
                    Some(Ok(parity)) => page.one("parity", &parity.to_string()),
                    Some(Err(problem)) => page.one("parity", problem),
                    None => {}
                }
                page.many("tune", self.trials.iter().map(trial_text));
            }
            Err(problem) => page.one("engine", &format!("cannot load the model: {problem}")),
        }
        page.many(
            "files",
            self.files
                .iter()
                .map(|(path, size)| format!("{path} ({})", bytes(*size))),
        );
        let many = if self.files.len() == 1 { "file" } else { "files" };
        page.one(
            "size",
            &format!("{} in {} {many}", bytes(self.size_bytes), self.files.len()),
        );
        page.one("digest", &self.digest);
        table(&page.0)
    }

    /// The same as JSON; things that are absent are null.
    pub fn render_json(&self) -> String {
        let files = self
            .files
            .iter()
            .map(|(path, size)| json!({"path": path, "bytes": size}));
        let tags: serde_json::Map<_, _> = self
            .tags
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let signature = &self.mlmodel.signature;
        let params = signature
            .params
            .as_ref()
            .map(|params| params.iter().map(param_json).collect::<Vec<_>>());
        let ports = |ports: &[Port]| -> Vec<Json> {
            ports
                .iter()
                .map(|port| json!({"name": port.name, "kind": port.kind}))
                .collect()
        };
        let report = self.loaded.as_ref().ok();
        let page = json!({
            "uri": self.uri.to_string(),
            "name": &*self.id.name,
            "version": self.id.version.as_deref(),
            "stage": self.stage.map(Stage::name),
            "aliases": self.aliases,
            "description": self.description,
            "tags": tags,
            "location": self.location,
            "mlflow_version": self.mlmodel.mlflow_version,
            "utc_time_created": self.mlmodel.utc_time_created,
            "run_id": self.mlmodel.run_id,
            "model_id": self.mlmodel.model_id,
            "flavors": self.mlmodel.flavor_names(),
            "signature": {
                "inputs": signature.inputs.as_ref().map(schema_json),
                "outputs": signature.outputs.as_ref().map(schema_json),
                "params": params,
            },
            "flavor": report.map(|report| &report.flavor),
            "engine": report.map(|report| &report.engine),
            "graph_inputs": report.map(|report| ports(&report.inputs)),
            "graph_outputs": report.map(|report| ports(&report.outputs)),
            "steps": report.map(|report| &report.steps),
            "notes": report.map(|report| &report.notes),
            "parity": self.parity.as_ref().map(parity_json),
            "tune": self.trials.iter().map(trial_json).collect::<Vec<_>>(),
            "load_error": self.loaded.as_ref().err(),
            "files": files.collect::<Vec<_>>(),
            "size_bytes": self.size_bytes,
            "digest": self.digest,
        });
        format!("{page:#}\n")
    }
}

/// Rows of a heading and a line.
struct Page(Vec<Vec<String>>);

impl Page {
    fn one(&mut self, heading: &str, line: &str) {
        if !line.is_empty() {
            self.0.push(vec![heading.to_owned(), plain(line)]);
        }
    }

    /// The heading stands beside the first line only.
    fn many(&mut self, heading: &str, lines: impl IntoIterator<Item = String>) {
        for (position, line) in lines.into_iter().enumerate() {
            self.one(if position == 0 { heading } else { "" }, &line);
        }
    }

    fn schema(&mut self, heading: &str, schema: Option<&Schema>) {
        match schema {
            Some(Schema::Columns(columns)) => {
                self.many(heading, columns.columns().iter().map(ToString::to_string))
            }
            Some(Schema::Tensors(tensors)) => self.many(heading, tensors.iter().map(ToString::to_string)),
            None => self.one(heading, "not declared"),
        }
    }
}

fn trial_text(trial: &Trial) -> String {
    let times = trial.times.iter();
    let times: Vec<String> = times
        .map(|(rows, took)| format!("{rows} rows {:.1} µs", took.as_secs_f64() * 1e6))
        .collect();
    let used = if trial.used { "used" } else { "not used" };
    let (engine, because) = (&trial.engine, &trial.because);
    format!(
        "{engine}: {}{used} ({because})",
        times.iter().map(|time| format!("{time}, ")).collect::<String>()
    )
}

fn parity_json(parity: &Result<Parity, String>) -> Json {
    match parity {
        Ok(parity) => json!({
            "cases": parity.cases,
            "equal": parity.equal,
            "refused_otherwise": parity.refused_otherwise,
            "largest_difference": parity.largest_difference,
            "worst": parity.worst,
        }),
        Err(problem) => json!({ "problem": problem }),
    }
}

fn trial_json(trial: &Trial) -> Json {
    let times = trial.times.iter();
    let times: Vec<Json> = times
        .map(|(rows, took)| json!({"rows": rows, "seconds": took.as_secs_f64()}))
        .collect();
    json!({"engine": trial.engine, "times": times, "used": trial.used, "because": trial.because})
}

fn port_text(port: &Port) -> String {
    format!("{}: {}", port.name, port.kind)
}

fn schema_json(schema: &Schema) -> Json {
    let columns = |columns: &crate::model::signature::ColumnSchema| -> Vec<Json> {
        let column = columns.columns().iter();
        column
            .map(|column| json!({"name": column.name.as_deref(), "type": column.kind.to_string(), "required": column.required}))
            .collect()
    };
    match schema {
        Schema::Columns(table) => json!(columns(table)),
        Schema::Tensors(tensors) => tensors
            .iter()
            .map(|tensor| {
                json!({"name": tensor.name.as_deref(), "type": "tensor", "dtype": tensor.dtype.to_string(), "shape": tensor.shape})
            })
            .collect(),
    }
}

fn param_json(param: &ParamSpec) -> Json {
    let shape = if param.list { json!([-1]) } else { Json::Null };
    json!({"name": &*param.name, "type": param.kind.to_string(), "default": value_json(&param.default), "shape": shape})
}

/// A default as JSON; the kinds that a signature cannot hold are null.
fn value_json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Bytes(_) | Value::Tensor(_) => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::BigInt(digits) => json!(digits),
        Value::Float(value) => json!(value),
        Value::Str(text) => json!(text),
        Value::List(items) => items.iter().map(value_json).collect(),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|(k, v)| (k.to_string(), value_json(v)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::location::ArtifactUri;

    fn inspection(loaded: Result<Report, &str>) -> Inspection {
        let dir = tempfile::TempDir::new().unwrap();
        let text = r#"{flavors: {onnx: {}, python_function: {}}, mlflow_version: 3.17.2, signature: {
            inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "s"}]',
            outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]',
            params: '[{"name": "n", "default": [2], "shape": [-1], "type": "long"}]'}}"#;
        fs::write(dir.path().join("MLmodel"), text).unwrap();
        let resolved = Resolved {
            id: VersionId::registered("iris", "2"),
            stage: Some(Stage::Staging),
            aliases: vec!["challenger".into()],
            location: ArtifactUri::new("models/iris/2"),
            in_place: true,
            tags: vec![("algorithm".into(), "forest\u{1b}".into())],
            description: "Species".into(),
        };
        let artifact = ArtifactDir::open(dir.path()).unwrap();
        let uri = "models:/iris/staging".parse().unwrap();
        match loaded {
            Ok(report) => Inspection::new(&uri, &resolved, &artifact, &report).unwrap(),
            Err(problem) => Inspection::not_loaded(&uri, &resolved, &artifact, problem).unwrap(),
        }
    }

    fn report() -> Report {
        let port = Port {
            name: "X".into(),
            kind: "float32[-1, 4]".into(),
        };
        Report {
            flavor: "onnx".into(),
            engine: "onnxruntime 1.31.1".into(),
            inputs: vec![port],
            outputs: Vec::new(),
            steps: vec!["scale 4 columns".into()],
            notes: vec!["provider dropped".into()],
        }
    }

    #[test]
    fn the_page_says_what_is_known() {
        let page = inspection(Ok(report())).render_text();
        for wanted in [
            "uri           models:/iris/Staging\n",
            "stage         Staging\n",
            "tags          algorithm=forest\\u{1b}\n",
            "flavors       onnx, python_function\n",
            "inputs        'age': double (required)\n              's': string (required)\n",
            "outputs       Tensor('float32', (-1, 3))\n",
            "params        'n': long (shape: (-1,)) = [2]\n",
            "engine        onnxruntime 1.31.1 (onnx)\ngraph inputs  X: float32[-1, 4]\nsteps         scale 4 columns\nnotes         provider dropped\n",
            "in 1 file\ndigest        sha256:",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
    }

    #[test]
    fn json_has_the_same() {
        let page: Json = serde_json::from_str(&inspection(Ok(report())).render_json()).unwrap();
        assert_eq!(
            page["signature"]["inputs"][1],
            json!({"name": "s", "type": "string", "required": true})
        );
        assert_eq!(page["signature"]["outputs"][0]["shape"], json!([-1, 3]));
        assert_eq!(page["signature"]["params"][0]["default"], json!([2]));
        assert_eq!(
            (&page["version"], &page["engine"]),
            (&json!("2"), &json!("onnxruntime 1.31.1"))
        );
        assert_eq!(page["load_error"], Json::Null);
    }

    #[test]
    fn a_model_that_cannot_be_loaded_is_shown_with_the_reason() {
        let inspection = inspection(Err("no engine"));
        assert!(
            inspection
                .render_text()
                .contains("engine       cannot load the model: no engine\n")
        );
        assert!(inspection.render_json().contains("\"load_error\": \"no engine\""));
    }
}
