//! Where the files of a version are, as a registry says it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The location of a model directory, or of a bare `.onnx` file: a path, a `file:` URI, later `s3:` and others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactUri(String);

impl ArtifactUri {
    /// The location as a registry wrote it.
    pub fn new(text: impl Into<String>) -> ArtifactUri {
        ArtifactUri(text.into())
    }

    /// A path on this machine; one that reads like a URI becomes a `file:` URI, so that it stays a path.
    pub fn local(path: &Path) -> ArtifactUri {
        ArtifactUri(path_text(path))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, when the location is on this machine.
    pub fn local_path(&self) -> Option<PathBuf> {
        match scheme(&self.0) {
            None => Some(PathBuf::from(&self.0)),
            Some(("file", rest)) => file_path(rest).ok().map(PathBuf::from),
            Some(_) => None,
        }
    }
}

impl fmt::Display for ArtifactUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Splits `scheme:rest`, the scheme in lower case where it is one of ours; `None` for a plain path.
pub(super) fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let well_formed = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !well_formed {
        return None;
    }
    let known = ["models", "runs", "file"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(scheme));
    Some((known.unwrap_or(scheme), rest))
}

/// The path of a `file:` URI, given without `file:`. Percent escapes are decoded, as MLflow does for these URIs only.
pub(super) fn file_path(rest: &str) -> Result<String, String> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(after) => {
            let (host, path) = after.find('/').map_or((after, ""), |slash| after.split_at(slash));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err(format!(
                    "`file://{host}` names another machine; write file:///path"
                ));
            }
            path
        }
    };
    if path.contains(['?', '#']) {
        return Err("`?` and `#` in a file: URI are written `%3F` and `%23`".into());
    }
    percent_decode(path).ok_or_else(|| "the percent escapes of the path are not UTF-8".into())
}

/// A path as text that reads back as the same path.
pub(super) fn path_text(path: &Path) -> String {
    let text = path.to_string_lossy();
    match scheme(&text) {
        None => text.into_owned(),
        Some(_) => format!("file:{}", percent_encode(&text)),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = after.get(2..).unwrap_or_default();
            }
            // A percent sign that begins no escape stands for itself, as in Python.
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_locations_have_a_path() {
        for (text, wanted) in [
            ("/models/iris/1", Some("/models/iris/1")),
            ("models/100%", Some("models/100%")),
            ("file:///a%20b/%C3%A9", Some("/a b/é")),
            ("file://localhost/a", Some("/a")),
            ("FILE:/a", Some("/a")),
            ("file://elsewhere/a", None),
            ("file:/%FF", None),
            ("s3://bucket/model", None),
        ] {
            assert_eq!(
                ArtifactUri::new(text).local_path(),
                wanted.map(PathBuf::from),
                "{text}"
            );
        }
    }

    #[test]
    fn a_path_that_looks_like_a_uri_stays_a_path() {
        let uri = ArtifactUri::local(Path::new("s3:odd/50%"));
        assert_eq!(uri.as_str(), "file:s3%3Aodd/50%25");
        assert_eq!(uri.local_path(), Some(PathBuf::from("s3:odd/50%")));
    }
}
