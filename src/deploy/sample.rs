//! Rows to warm a version up with: its input example, recent requests, and rows made from its signature.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::artifact::ArtifactDir;
use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::mlmodel::MlModel;
use crate::model::signature::{ColumnType, DataType, Schema, Signature};
use crate::model::tensor::{DType, Elements, Shape, Tensor};

/// An example that a version is proved with may be this long; the ones MLflow writes have a few rows.
pub const MAX_EXAMPLE_BYTES: u64 = 16 << 20;
/// Elements of a made-up row; a signature that declares more gets none.
const MAX_ELEMENTS: usize = 1 << 20;

/// Reads a request body in the server's own protocol, as JSON, into what a model with that signature is handed.
pub type ReadBody = Arc<dyn Fn(&[u8], &Signature) -> Result<Batch, String> + Send + Sync>;

/// What a version is proved and warmed up with.
#[derive(Debug, Default)]
pub struct Samples {
    /// The input example it was logged with: it must work.
    pub example: Option<Batch>,
    /// Others, which need not: made-up rows may be outside of what the model knows.
    pub others: Vec<Batch>,
}

impl Samples {
    /// Gathers them; `recent` are requests with the same inputs.
    ///
    /// # Errors
    /// When the model has an input example that does not satisfy its own signature.
    pub fn gather(dir: &ArtifactDir, recent: Vec<Batch>, read: &ReadBody) -> Result<Samples, String> {
        let signature = &dir.mlmodel().signature;
        let example = match example_body(dir, MAX_EXAMPLE_BYTES) {
            Some((file, body)) => Some(read(&body, signature).map_err(|problem| {
                format!("its own input example `{file}` does not satisfy its signature: {problem}")
            })?),
            None => None,
        };
        let mut others = recent;
        others.extend(made(signature));
        Ok(Samples { example, others })
    }
}

/// The input example as a request body. A file that is not there, has more than `most` bytes or is of another form is no
/// example: MLflow itself serves such models.
pub fn example_body(dir: &ArtifactDir, most: u64) -> Option<(String, Vec<u8>)> {
    let MlModel {
        input_example,
        serving_input,
        ..
    } = dir.mlmodel();
    // MLflow 3 writes a ready-made body; it is made from the example, with the signature applied.
    if let Some(file) = serving_input
        && let Some(body) = small_file(dir, file, most)
    {
        return Some((file.clone(), body));
    }
    let file = input_example.as_ref()?;
    let example: Json = serde_json::from_slice(&small_file(dir, file, most)?).ok()?;
    let body = match &example {
        Json::Object(members) if members.contains_key("columns") && members.contains_key("data") => {
            json!({ "dataframe_split": example })
        }
        Json::Object(members) if members.contains_key("data") && members.len() <= 2 => {
            json!({ "dataframe_split": example })
        }
        Json::Object(members) if members.contains_key("inputs") || members.contains_key("instances") => {
            example
        }
        _ => return None,
    };
    Some((file.clone(), body.to_string().into_bytes()))
}

fn small_file(dir: &ArtifactDir, file: &str, most: u64) -> Option<Vec<u8>> {
    // Only names that were listed are opened, so that none leads out of the directory.
    let entry = dir.files().iter().find(|entry| entry.path == file)?;
    if entry.bytes > most {
        return None;
    }
    std::fs::read(dir.path().join(Path::new(file))).ok()
}

/// One row and eight rows of ones, empty texts and the like; none where a type has no obvious value.
pub fn made(signature: &Signature) -> Vec<Batch> {
    let row = |rows: usize| -> Option<Batch> {
        let body = match signature.inputs.as_ref()? {
            Schema::Columns(schema) => {
                let columns: Option<Vec<Tensor>> = schema
                    .columns()
                    .iter()
                    .map(|column| match &column.kind {
                        ColumnType::Scalar(DataType::Binary) => None,
                        ColumnType::Scalar(kind) => tensor(kind.dtype(), &[-1], rows),
                        _ => None,
                    })
                    .collect();
                let names = Arc::clone(schema.names());
                Body::Frame(Frame::new(rows, names, Columns::Separate(columns?)).ok()?)
            }
            Schema::Tensors(specs) => match &specs[..] {
                [only] if only.name.is_none() => Body::Array(tensor(only.dtype, &only.shape, rows)?),
                many => Body::Named(
                    many.iter()
                        .map(|spec| Some((spec.name.clone()?, tensor(spec.dtype, &spec.shape, rows)?)))
                        .collect::<Option<Vec<_>>>()?,
                ),
            },
        };
        Some(Batch::new(body))
    };
    [1, 8].into_iter().filter_map(row).collect()
}

/// A tensor of neutral values; the first unknown axis has `rows`, further ones 1.
fn tensor(dtype: DType, shape: &[i64], rows: usize) -> Option<Tensor> {
    let axes = shape
        .iter()
        .enumerate()
        .map(|(axis, length)| match (axis, usize::try_from(*length)) {
            (_, Ok(length)) => length,
            (0, Err(_)) => rows,
            (_, Err(_)) => 1,
        });
    let shape: Shape = axes.collect();
    let count = shape
        .iter()
        .try_fold(1usize, |product, axis| product.checked_mul(*axis))
        .filter(|count| *count <= MAX_ELEMENTS)?;
    let elements = match dtype {
        DType::Bool => Elements::Bool(vec![false; count]),
        DType::I8 => Elements::I8(vec![1; count]),
        DType::I16 => Elements::I16(vec![1; count]),
        DType::I32 => Elements::I32(vec![1; count]),
        DType::I64 => Elements::I64(vec![1; count]),
        DType::U8 => Elements::U8(vec![1; count]),
        DType::U16 => Elements::U16(vec![1; count]),
        DType::U32 => Elements::U32(vec![1; count]),
        DType::U64 => Elements::U64(vec![1; count]),
        DType::F16 => Elements::F16(vec![half::f16::ONE; count]),
        DType::F32 => Elements::F32(vec![1.0; count]),
        DType::F64 => Elements::F64(vec![1.0; count]),
        DType::Str => Elements::Str(vec![String::new(); count]),
        DType::Datetime => Elements::Datetime(vec![0; count]),
        DType::Object => return None,
    };
    Tensor::new(shape, elements).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(inputs: &str) -> Signature {
        Signature::parse(Some(inputs), None, None).unwrap()
    }

    #[test]
    fn rows_are_made_for_columns_and_tensors() {
        for (inputs, wanted) in [
            (
                r#"[{"type": "double", "name": "a"}, {"type": "string", "name": "b"}]"#,
                2,
            ),
            (
                r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 8, 8]}}]"#,
                2,
            ),
            (
                r#"[{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]"#,
                2,
            ),
            (
                r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1048577]}}]"#,
                0,
            ),
            (r#"[{"type": "binary", "name": "a"}]"#, 0),
        ] {
            let made = made(&signature(inputs));
            assert_eq!(made.len(), wanted, "{inputs}");
            if let [one, eight] = &made[..] {
                assert_eq!((one.rows(), eight.rows()), (1, 8));
            }
        }
        assert!(made(&Signature::default()).is_empty());
    }

    #[test]
    fn examples_of_every_age_become_request_bodies() {
        for (mlmodel, file, text, wanted) in [
            (
                "saved_input_example_info: {artifact_path: input_example.json, type: dataframe}",
                "input_example.json",
                r#"{"columns": ["a"], "data": [[1]]}"#,
                Some(r#"{"dataframe_split":{"columns":["a"],"data":[[1]]}}"#),
            ),
            (
                "saved_input_example_info: {artifact_path: input_example.json, type: ndarray, format: tf-serving}",
                "input_example.json",
                r#"{"inputs": [[1]]}"#,
                Some(r#"{"inputs":[[1]]}"#),
            ),
            (
                "saved_input_example_info: {artifact_path: x.json, serving_input_path: serving.json}",
                "serving.json",
                r#"{"inputs": [1]}"#,
                Some(r#"{"inputs": [1]}"#),
            ),
            (
                "saved_input_example_info: {artifact_path: ../x.json}",
                "x.json",
                "{}",
                None,
            ),
            (
                "saved_input_example_info: {artifact_path: x.json}",
                "x.json",
                "no JSON",
                None,
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(
                folder.path().join("MLmodel"),
                format!("flavors: {{onnx: {{}}}}\n{mlmodel}\n"),
            )
            .unwrap();
            std::fs::write(folder.path().join(file), text).unwrap();
            let dir = ArtifactDir::open(folder.path()).unwrap();
            let body =
                example_body(&dir, MAX_EXAMPLE_BYTES).map(|(_, body)| String::from_utf8(body).unwrap());
            assert_eq!(body.as_deref(), wanted, "{mlmodel}");
        }
    }

    #[test]
    fn an_example_that_does_not_satisfy_the_signature_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = "flavors: {onnx: {}}\nsaved_input_example_info: {artifact_path: e.json}\n";
        std::fs::write(folder.path().join("MLmodel"), text).unwrap();
        std::fs::write(folder.path().join("e.json"), r#"{"inputs": []}"#).unwrap();
        let dir = ArtifactDir::open(folder.path()).unwrap();
        let read: ReadBody = Arc::new(|_, _| Err("too few".into()));
        let problem = Samples::gather(&dir, Vec::new(), &read).unwrap_err();
        assert!(
            problem.contains("`e.json`") && problem.contains("too few"),
            "{problem}"
        );
    }
}
