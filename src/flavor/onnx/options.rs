//! What the `onnx` entry of `MLmodel` says: the model's file, session options, execution providers.
//!
//! An option is honoured or refused by name, never dropped in silence. Settings that name files or make the engine
//! write any are not on the list of those honoured: a model directory is data, and reading it must not do anything.

use serde_json::Value as Json;

use crate::flavor::LoadError;

/// The file MLflow writes, and what an entry without `data` means.
const DEFAULT_FILE: &str = "model.onnx";

/// Settings of a session, from `onnx_session_options`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SessionOptions {
    pub(super) intra_op_threads: Option<usize>,
    pub(super) inter_op_threads: Option<usize>,
    pub(super) parallel: Option<bool>,
    pub(super) optimization: Option<Optimization>,
    /// Configuration entries, in order of appearance.
    pub(super) entries: Vec<(String, String)>,
}

/// `graph_optimization_level`, by ONNX Runtime's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Optimization {
    Disabled,
    Basic,
    Extended,
    Layout,
    All,
}

/// The whole entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Path of the model file within the model directory, not yet checked.
    pub(super) file: String,
    pub(super) session: SessionOptions,
    /// What the operator should know.
    pub(super) notes: Vec<String>,
}

/// Configuration entries that only tune how the graph is computed.
const ENTRIES: [&str; 27] = [
    "mlas.disable_kleidiai",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "mlas.nchwc_pointwise_conv_max_input_channel_batch",
    "mlas.use_lut_gemm",
    "optimization.disable_specified_optimizers",
    "optimization.enable_cast_chain_elimination",
    "optimization.enable_dq_matmulnbits_fusion",
    "optimization.enable_gelu_approximation",
    "optimization.enable_memory_optimizer",
    "optimization.enable_memory_probe_recompute_config",
    "optimization.memory_optimizer_config",
    "session.allow_released_opsets_only",
    "session.disable_aot_function_inlining",
    "session.disable_double_qdq_remover",
    "session.disable_prepacking",
    "session.disable_qdq_constant_folding",
    "session.disable_quant_qdq",
    "session.dynamic_block_base",
    "session.enable_quant_qdq_cleanup",
    "session.force_spinning_stop",
    "session.inter_op.allow_spinning",
    "session.intra_op.allow_spinning",
    "session.intra_op_thread_affinities",
    "session.set_denormal_as_zero",
    "session.strict_shape_type_inference",
    "session.use_device_allocator_for_initializers",
    "session.x64quantprecision",
];

impl Options {
    /// Reads the entry.
    ///
    /// # Errors
    /// [`LoadError::Refused`] names what cannot be honoured.
    pub(super) fn read(config: &Json) -> Result<Options, LoadError> {
        let field = |key: &str| config.get(key).filter(|value| !value.is_null());
        let file = match field("data") {
            None => DEFAULT_FILE.to_owned(),
            Some(Json::String(path)) if path.is_empty() => DEFAULT_FILE.to_owned(),
            Some(Json::String(path)) => path.clone(),
            Some(other) => {
                return Err(refused(format!(
                    "`data` of flavor onnx is `{other}`, expected a path"
                )));
            }
        };
        let session = field("onnx_session_options").map_or(Ok(SessionOptions::default()), session)?;
        let notes = field("providers").map_or(Ok(Vec::new()), providers)?;
        Ok(Options { file, session, notes })
    }
}

fn refused(message: String) -> LoadError {
    LoadError::Refused(message)
}

fn session(config: &Json) -> Result<SessionOptions, LoadError> {
    let Json::Object(config) = config else {
        return Err(refused(format!(
            "`onnx_session_options` is `{config}`, expected a mapping"
        )));
    };
    let mut options = SessionOptions::default();
    for (key, value) in config.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "intra_op_num_threads" => options.intra_op_threads = threads(key, value)?,
            "inter_op_num_threads" => options.inter_op_threads = threads(key, value)?,
            "execution_mode" => options.parallel = Some(parallel(value)?),
            "graph_optimization_level" => options.optimization = Some(optimization(value)?),
            "extra_session_config" => options.entries = entries(value)?,
            other => {
                return Err(refused(format!(
                    "session option `{other}` is not supported; known are intra_op_num_threads, \
                     inter_op_num_threads, execution_mode, graph_optimization_level, extra_session_config"
                )));
            }
        }
    }
    Ok(options)
}

/// A thread count; 0 means not set, as it does to MLflow.
fn threads(key: &str, value: &Json) -> Result<Option<usize>, LoadError> {
    match value.as_u64() {
        Some(0) => Ok(None),
        // Beyond this a typing error is more likely than a machine.
        Some(count @ 1..=1024) => Ok(usize::try_from(count).ok()),
        _ => Err(refused(format!(
            "session option `{key}` is `{value}`, expected a number of threads up to 1024"
        ))),
    }
}

fn parallel(value: &Json) -> Result<bool, LoadError> {
    match value.as_str().map(str::to_ascii_uppercase).as_deref() {
        Some("SEQUENTIAL") => Ok(false),
        Some("PARALLEL") => Ok(true),
        _ => Err(refused(format!(
            "session option `execution_mode` is `{value}`, expected sequential or parallel"
        ))),
    }
}

fn optimization(value: &Json) -> Result<Optimization, LoadError> {
    Ok(match value.as_i64() {
        Some(0) => Optimization::Disabled,
        Some(1) => Optimization::Basic,
        Some(2) => Optimization::Extended,
        Some(3) => Optimization::Layout,
        Some(99) => Optimization::All,
        _ => {
            let message = "session option `graph_optimization_level` is";
            return Err(refused(format!("{message} `{value}`, expected 0, 1, 2, 3 or 99")));
        }
    })
}

fn entries(value: &Json) -> Result<Vec<(String, String)>, LoadError> {
    let Json::Object(config) = value else {
        return Err(refused(format!(
            "session option `extra_session_config` is `{value}`, expected a mapping"
        )));
    };
    let mut entries = Vec::new();
    for (key, value) in config {
        if !ENTRIES.contains(&key.as_str()) {
            return Err(refused(format!("session configuration `{key}` is not supported")));
        }
        let text = match value {
            Json::String(text) if !text.contains('\0') => text.clone(),
            Json::Number(number) => number.to_string(),
            other => {
                return Err(refused(format!(
                    "session configuration `{key}` is `{other}`, expected text"
                )));
            }
        };
        entries.push((key.clone(), text));
    }
    Ok(entries)
}

/// The CPU serves; whatever else is asked for is noted, as MLflow drops providers its build has not.
fn providers(config: &Json) -> Result<Vec<String>, LoadError> {
    let entries = match config {
        Json::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut dropped = Vec::new();
    for entry in entries {
        let name = match entry {
            Json::String(name) => Some(name),
            // A name with options: `[CUDAExecutionProvider, {device_id: 0}]`.
            Json::Array(pair) => pair.first().and_then(|name| match name {
                Json::String(name) => Some(name),
                _ => None,
            }),
            _ => None,
        };
        match name {
            Some(name) if name == "CPUExecutionProvider" => {}
            Some(name) => dropped.push(name.as_str()),
            None => {
                return Err(refused(format!(
                    "`providers` of flavor onnx has `{entry}`, expected a name"
                )));
            }
        }
    }
    if dropped.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "execution providers not available here: {}; serving with CPUExecutionProvider",
        dropped.join(", ")
    )])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_entry_means_defaults() {
        for config in [
            json!({}),
            json!({"data": null, "providers": null, "onnx_session_options": null}),
        ] {
            let options = Options::read(&config).unwrap();
            assert_eq!(
                options,
                Options {
                    file: "model.onnx".into(),
                    ..Options::default()
                }
            );
        }
    }

    #[test]
    fn session_options_are_honoured() {
        let config = json!({"onnx_session_options": {
            "intra_op_num_threads": 2, "inter_op_num_threads": 0, "execution_mode": "Parallel",
            "graph_optimization_level": 99, "extra_session_config": {"session.disable_prepacking": "1"},
        }});
        let session = Options::read(&config).unwrap().session;
        assert_eq!(
            (session.intra_op_threads, session.inter_op_threads),
            (Some(2), None)
        );
        assert_eq!(
            (session.parallel, session.optimization),
            (Some(true), Some(Optimization::All))
        );
        assert_eq!(
            session.entries,
            [("session.disable_prepacking".to_owned(), "1".to_owned())]
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (options, wanted) in [
            (json!({"enable_profiling": true}), "`enable_profiling`"),
            (json!({"execution_mode": "fast"}), "`execution_mode`"),
            (
                json!({"graph_optimization_level": 7}),
                "`graph_optimization_level`",
            ),
            (json!({"intra_op_num_threads": -1}), "`intra_op_num_threads`"),
            (
                json!({"extra_session_config": {"ep.context_enable": "1"}}),
                "`ep.context_enable`",
            ),
            (json!([1]), "`onnx_session_options`"),
        ] {
            let error = Options::read(&json!({"onnx_session_options": options}))
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn providers_that_are_missing_are_noted() {
        let notes =
            |providers: Json| Options::read(&json!({"providers": providers})).map(|options| options.notes);
        assert_eq!(notes(json!("CPUExecutionProvider")).unwrap(), [""; 0]);
        assert_eq!(notes(json!([])).unwrap(), [""; 0]);
        let mixed = json!([["CUDAExecutionProvider", {"device_id": 0}], "CPUExecutionProvider", "X"]);
        let notes = notes(mixed).unwrap();
        assert!(notes[0].contains("CUDAExecutionProvider, X;"), "{notes:?}");
        assert!(Options::read(&json!({"providers": [3]})).is_err());
    }
}
