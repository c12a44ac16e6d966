//! Model URIs: what the operator asks to be served.
//!
//! The rules are those of MLflow's client: stages and `latest` in any case, aliases as written, the name of an alias
//! URI is everything before its last `@`, and nothing is percent-decoded but the path of a `file:` URI. Two of its
//! silent readings are errors here: a suffix that is no stage, and one segment that is no id of a logged model.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::model::location::{file_path, path_text, scheme};
use crate::model::stage::Stage;

/// A URI may be this long: what paths may be on Linux.
const MAX_BYTES: usize = 4096;

/// What to serve; parsed once, and `Display` writes a text that reads back as the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModelUri {
    /// `models:/name/version`
    Version {
        /// Registered name.
        name: Arc<str>,
        /// Version number.
        version: u64,
    },
    /// `models:/name/Stage`: the highest version in that stage.
    Stage {
        /// Registered name.
        name: Arc<str>,
        /// The stage.
        stage: Stage,
    },
    /// `models:/name@alias`
    Alias {
        /// Registered name.
        name: Arc<str>,
        /// The alias; case-sensitive.
        alias: Arc<str>,
    },
    /// `models:/name/latest`: the highest version of all.
    Latest {
        /// Registered name.
        name: Arc<str>,
    },
    /// `models:/m-<id>`: a logged model of MLflow 3, registered or not.
    LoggedModel {
        /// Its id, `m-` included.
        id: Arc<str>,
    },
    /// `runs:/<id>/<path>`: a model that a run logged.
    Run {
        /// The run.
        run: Arc<str>,
        /// Path of the model within the run's artifacts.
        path: Arc<str>,
    },
    /// A model directory on this machine.
    Directory(PathBuf),
    /// A bare `.onnx` file on this machine.
    OnnxFile(PathBuf),
}

/// A text that is no model URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{uri}` is no model URI: {problem}; known forms are models:/NAME/VERSION, models:/NAME/STAGE, \
    models:/NAME@ALIAS, models:/NAME/latest, models:/m-ID, runs:/RUN_ID/PATH, a model directory and an .onnx file"
)]
pub struct ModelUriError {
    /// The text, shortened when it is long.
    pub uri: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ModelUri {
    /// The registered name, for the forms that have one.
    pub fn name(&self) -> Option<&str> {
        match self {
            ModelUri::Version { name, .. }
            | ModelUri::Stage { name, .. }
            | ModelUri::Alias { name, .. }
            | ModelUri::Latest { name } => Some(name),
            _ => None,
        }
    }

    /// The name under which it is served unless another is given: the registered name, the id of a logged model, the
    /// last part of a path, without `.onnx`.
    pub fn slot_name(&self) -> Arc<str> {
        let path = match self {
            ModelUri::Version { name, .. }
            | ModelUri::Stage { name, .. }
            | ModelUri::Alias { name, .. }
            | ModelUri::Latest { name } => return Arc::clone(name),
            ModelUri::LoggedModel { id } => return Arc::clone(id),
            ModelUri::Run { path, .. } => path.rsplit('/').next().map(str::to_owned),
            ModelUri::Directory(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            ModelUri::OnnxFile(path) => path.file_stem().map(|name| name.to_string_lossy().into_owned()),
        };
        path.as_deref().unwrap_or("model").into()
    }
}

impl FromStr for ModelUri {
    type Err = ModelUriError;

    fn from_str(text: &str) -> Result<ModelUri, ModelUriError> {
        parse(text).map_err(|problem| {
            let mut uri: String = text.chars().take(200).flat_map(char::escape_debug).collect();
            if text.chars().nth(200).is_some() {
                uri.push('…');
            }
            ModelUriError { uri, problem }
        })
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelUri::Version { name, version } => write!(out, "models:/{name}/{version}"),
            ModelUri::Stage { name, stage } => write!(out, "models:/{name}/{stage}"),
            ModelUri::Alias { name, alias } => write!(out, "models:/{name}@{alias}"),
            ModelUri::Latest { name } => write!(out, "models:/{name}/latest"),
            ModelUri::LoggedModel { id } => write!(out, "models:/{id}"),
            ModelUri::Run { run, path } => write!(out, "runs:/{run}/{path}"),
            ModelUri::Directory(path) | ModelUri::OnnxFile(path) => out.write_str(&path_text(path)),
        }
    }
}

fn parse(text: &str) -> Result<ModelUri, String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("it has control characters".into());
    }
    match scheme(text) {
        None => local(text.to_owned()),
        Some(("file", rest)) => local(file_path(rest)?),
        Some(("models", rest)) => registered(path_of("models", rest)?),
        Some(("runs", rest)) => run(path_of("runs", rest)?),
        Some((other, _)) => Err(format!(
            "locations with `{other}:` cannot be served directly; a file of that name is `./{text}`"
        )),
    }
}

fn local(path: String) -> Result<ModelUri, String> {
    // Escapes of a `file:` URI can hide what was refused above.
    if path.trim().is_empty() || path.chars().any(char::is_control) {
        return Err("its path is empty or has control characters".into());
    }
    // Written with escapes it is longer, and must be read again.
    if path_text(Path::new(&path)).len() > MAX_BYTES {
        return Err(format!("written as a URI it is longer than {MAX_BYTES} bytes"));
    }
    let is_onnx = path.len() > 5
        && path
            .get(path.len() - 5..)
            .is_some_and(|end| end.eq_ignore_ascii_case(".onnx"));
    Ok(if is_onnx {
        ModelUri::OnnxFile(path.into())
    } else {
        ModelUri::Directory(path.into())
    })
}

/// The path after the scheme, without leading slashes.
fn path_of<'a>(scheme: &str, rest: &'a str) -> Result<&'a str, String> {
    let path = match rest.strip_prefix("//") {
        // `models://host/…` names a host, which only Databricks has; `models:///name/1` names none.
        Some(after) if !after.starts_with('/') => {
            let path = after.trim_end_matches('/');
            return Err(format!("one slash follows `{scheme}:`, as in `{scheme}:/{path}`"));
        }
        Some(after) => after,
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(format!("a slash follows `{scheme}:`, as in `{scheme}:/{path}`"));
    }
    // MLflow reads what follows as the query of a URL and drops it.
    if path.contains('?') {
        return Err("names in it cannot have `?`".into());
    }
    Ok(path.trim_start_matches('/'))
}

fn registered(path: &str) -> Result<ModelUri, String> {
    let mut segments = path.split('/');
    let first = segments.next().unwrap_or_default();
    let suffix = segments.next();
    if segments.next().is_some() {
        return Err("it has more than two segments after `models:/`".into());
    }
    if first.trim().is_empty() {
        return Err("the name is missing".into());
    }
    let Some(suffix) = suffix else {
        return alias_or_id(first);
    };
    let name = model_name(first)?;
    if suffix.trim().is_empty() {
        return Err("the version is missing after the last slash".into());
    }
    if suffix.bytes().all(|byte| byte.is_ascii_digit()) {
        let version = suffix
            .parse()
            .map_err(|_| format!("version {suffix} is too large"))?;
        return Ok(ModelUri::Version { name, version });
    }
    if suffix.eq_ignore_ascii_case("latest") {
        return Ok(ModelUri::Latest { name });
    }
    match suffix.parse() {
        Ok(stage) => Ok(ModelUri::Stage { name, stage }),
        Err(_) => Err(format!(
            "`{suffix}` is neither a version number, nor `latest`, nor one of the stages None, Staging, Production and \
            Archived; an alias is written `models:/{name}@{}`",
            suffix.trim_start_matches('@')
        )),
    }
}

fn alias_or_id(segment: &str) -> Result<ModelUri, String> {
    if let Some((name, alias)) = segment.rsplit_once('@') {
        if alias.trim().is_empty() {
            return Err("the alias is missing after `@`".into());
        }
        return Ok(ModelUri::Alias {
            name: model_name(name)?,
            alias: alias.into(),
        });
    }
    if segment.strip_prefix("m-").is_some_and(|id| !id.is_empty()) {
        return Ok(ModelUri::LoggedModel { id: segment.into() });
    }
    Err(format!(
        "it has neither version, stage nor alias, and `{segment}` is no id of a logged model (those begin with `m-`); \
        the newest version is `models:/{segment}/latest`"
    ))
}

fn model_name(name: &str) -> Result<Arc<str>, String> {
    if name.trim().is_empty() {
        return Err("the name is missing".into());
    }
    if name.contains(':') {
        return Err(format!("the name `{name}` has a `:`, which names cannot have"));
    }
    Ok(name.into())
}

fn run(path: &str) -> Result<ModelUri, String> {
    let (run, path) = path.split_once('/').unwrap_or((path, ""));
    let path = path.trim_matches('/');
    if run.trim().is_empty() || path.is_empty() {
        return Err("a run's model is `runs:/RUN_ID/PATH`".into());
    }
    if path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(format!("the path `{path}` has an empty part, `.` or `..`"));
    }
    Ok(ModelUri::Run {
        run: run.into(),
        path: path.into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, wanted: ModelUri) {
        let uri: ModelUri = text.parse().unwrap();
        assert_eq!(uri, wanted, "{text}");
        assert_eq!(
            uri.to_string().parse::<ModelUri>().unwrap(),
            wanted,
            "{text} as {uri}"
        );
    }

    fn version(name: &str, version: u64) -> ModelUri {
        ModelUri::Version {
            name: name.into(),
            version,
        }
    }

    fn stage(name: &str, stage: Stage) -> ModelUri {
        ModelUri::Stage {
            name: name.into(),
            stage,
        }
    }

    fn alias(name: &str, alias: &str) -> ModelUri {
        ModelUri::Alias {
            name: name.into(),
            alias: alias.into(),
        }
    }

    #[test]
    fn what_is_written_is_never_too_long_to_be_read() {
        // Each of its percent signs is three bytes when it is written, as a path with a colon is.
        let text = |signs: usize| format!("file:models:/{}", "%".repeat(signs));
        let short: ModelUri = text(1000).parse().unwrap();
        assert_eq!(short.to_string().parse(), Ok(short));
        let long = text(2000).parse::<ModelUri>().unwrap_err();
        assert!(long.problem.contains("4096 bytes"), "{long}");
    }

    #[test]
    fn every_form_is_read_and_written() {
        check("models:/iris/3", version("iris", 3));
        check("models:/iris/003", version("iris", 3));
        check("models:/a b.é@x/3", version("a b.é@x", 3));
        check("models:///iris/3", version("iris", 3));
        check("MODELS:/iris/3", version("iris", 3));
        check("models:/iris/pRoDuction", stage("iris", Stage::Production));
        check("models:/iris/none", stage("iris", Stage::None));
        check("models:/iris/LATEST", ModelUri::Latest { name: "iris".into() });
        check("models:/iris@Champion", alias("iris", "Champion"));
        check("models:/me@work@champion", alias("me@work", "champion"));
        check("models:/iris%20a@latest", alias("iris%20a", "latest"));
        check("models:/m-74b6", ModelUri::LoggedModel { id: "m-74b6".into() });
        check(
            "runs:/abc/model",
            ModelUri::Run {
                run: "abc".into(),
                path: "model".into(),
            },
        );
        check(
            "runs:/abc/a/b/",
            ModelUri::Run {
                run: "abc".into(),
                path: "a/b".into(),
            },
        );
        check("models/iris/1", ModelUri::Directory("models/iris/1".into()));
        check("/srv/100%", ModelUri::Directory("/srv/100%".into()));
        check("file:///srv/a%20b", ModelUri::Directory("/srv/a b".into()));
        check("file:odd%3Aname", ModelUri::Directory("odd:name".into()));
        check("./odd:name", ModelUri::Directory("./odd:name".into()));
        check("graph.ONNX", ModelUri::OnnxFile("graph.ONNX".into()));
        check("file:/g.onnx", ModelUri::OnnxFile("/g.onnx".into()));
        check("graph.onnx/", ModelUri::Directory("graph.onnx/".into()));
        check(".onnx", ModelUri::Directory(".onnx".into()));
    }

    #[test]
    fn a_slot_is_named_after_its_model() {
        for (uri, wanted) in [
            ("models:/a b/3", "a b"),
            ("models:/n@a", "n"),
            ("models:/m-74b6", "m-74b6"),
            ("runs:/abc/path/model", "model"),
            ("/srv/iris/", "iris"),
            ("..", "model"),
            ("a/graph.onnx", "graph"),
        ] {
            assert_eq!(&*uri.parse::<ModelUri>().unwrap().slot_name(), wanted, "{uri}");
        }
    }

    #[test]
    fn an_alias_keeps_its_case() {
        assert_ne!(
            "models:/n@A".parse::<ModelUri>(),
            "models:/n@a".parse::<ModelUri>()
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_the_known_forms() {
        for (text, wanted) in [
            ("", "it is empty"),
            ("models:/n/Prod", "models:/n@Prod"),
            ("models:/n/Prod", "None, Staging, Production and Archived"),
            ("models:/n/@champion", "models:/n@champion"),
            ("models:/a/b/c", "more than two segments"),
            ("models:/n/1/", "more than two segments"),
            ("models:/n/", "the version is missing"),
            ("models:/", "the name is missing"),
            ("models:/ /1", "the name is missing"),
            ("models:/@a", "the name is missing"),
            ("models:/n@", "the alias is missing"),
            ("models:/n", "models:/n/latest"),
            ("models:/m-", "no id of a logged model"),
            ("models:/a:b/1", "has a `:`"),
            ("models:/n?x/1", "cannot have `?`"),
            ("models:n/1", "as in `models:/n/1`"),
            ("models://n/1", "as in `models:/n/1`"),
            ("models:/n/99999999999999999999", "too large"),
            ("models:/n\n/1", "control characters"),
            ("runs:/abc", "RUN_ID/PATH"),
            ("runs:/abc/../x", "`..`"),
            ("s3://bucket/x", "`s3:`"),
            ("file://host/x", "another machine"),
            ("file:/a%00b", "control characters"),
        ] {
            let message = text.parse::<ModelUri>().unwrap_err().to_string();
            assert!(message.contains(wanted), "{text}: {message}");
            assert!(
                message.contains("known forms are models:/NAME/VERSION"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_long_text_is_shortened_in_the_message() {
        let message = format!("models:/{}", "é".repeat(100_000))
            .parse::<ModelUri>()
            .unwrap_err();
        assert!(message.uri.chars().count() < 300 && message.problem == "it is longer than 4096 bytes");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_what_is_read_reads_back(
            text in "(models:|runs:|file:|FILE:|)/{0,3}[a-z0-9@:/.%? é\u{0}-]{0,12}(/|@|)(latest|production|12|)"
        ) {
            if let Ok(uri) = text.parse::<ModelUri>() {
                prop_assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri));
            }
        }

        #[test]
        fn any_text_at_all_never_panics(text in any::<String>()) {
            if let Ok(uri) = text.parse::<ModelUri>() {
                prop_assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri));
            }
        }

        #[test]
        fn names_and_aliases_survive(name in "[^/:?@\\pC\\s]{1,20}", alias_text in "[A-Za-z0-9_-]{1,20}") {
            let uri = alias(&name, &alias_text);
            prop_assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri));
            let uri = version(&name, 7);
            prop_assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri));
        }
    }
}
