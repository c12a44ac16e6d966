//! Artifacts in object stores: S3 and what speaks its protocol, Google Cloud Storage, Azure.

mod azure;
mod settings;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::OnceCell;

use self::settings::{Vendor, vendor};
use super::store::{ArtifactStore, Body, Listing};
use super::{ArtifactError, FileEntry, MAX_FILES};

/// Longest part of a store's complaint that is shown, in characters.
const SHOWN: usize = 600;
/// What the library asks a machine of the vendor's for when no credentials are set, and what to set.
const NO_CREDENTIALS: [(&str, &str); 3] = [
    (
        "/latest/api/token",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
    ),
    (
        "/metadata/identity/",
        "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY, or AZURE_CLIENT_ID, AZURE_TENANT_ID and \
         AZURE_CLIENT_SECRET, or AZURE_SKIP_SIGNATURE=true for a public container",
    ),
    (
        "/computeMetadata/",
        "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    ),
];

/// What an object store keeps below a prefix, or one object.
pub(super) struct ObjectFiles {
    vendor: std::sync::Mutex<Option<Vendor>>,
    store: OnceCell<Arc<dyn ObjectStore>>,
    prefix: Path,
    /// Whether the prefix is itself an object.
    bare: AtomicBool,
    place: String,
}

impl ObjectFiles {
    /// `scheme://host/prefix`, shown as `place`.
    pub(super) fn new(
        place: &str,
        scheme: &str,
        rest: &str,
        settings: &[(String, String)],
    ) -> Result<ObjectFiles, ArtifactError> {
        let refused =
            |problem: &str| ArtifactError::Unsupported(format!("cannot fetch `{place}`: {problem}"));
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| refused("write SCHEME://BUCKET/PATH"))?;
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = azure::path(scheme, prefix).map_err(|problem| refused(&problem))?;
        let prefix = Path::parse(prefix).map_err(|_| refused("the path has an empty part, `.` or `..`"))?;
        let vendor = vendor(scheme, host, settings).map_err(|problem| refused(&problem))?;
        Ok(ObjectFiles {
            vendor: Some(vendor).into(),
            store: OnceCell::new(),
            prefix,
            bare: AtomicBool::new(false),
            place: place.to_owned(),
        })
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>, ArtifactError> {
        self.store.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Arc<dyn ObjectStore>, ArtifactError> {
        let vendor = self.vendor.lock().map(|mut vendor| vendor.take()).ok().flatten();
        // Taken before by a call that was dropped within; the next fetch makes a store of its own.
        let vendor = vendor.ok_or_else(|| ArtifactError::BrokenOff("the connection was given up".into()))?;
        vendor
            .connect()
            .await
            .map_err(|error| self.failed("open", "", error))
    }

    /// What lies below the prefix, as (path below it, bytes).
    async fn below(&self) -> Result<Vec<(String, u64)>, ArtifactError> {
        let store = self.store().await?;
        let mut found = Vec::new();
        let mut objects = store.list(Some(&self.prefix));
        while let Some(object) = objects.next().await {
            let ObjectMeta { location, size, .. } =
                object.map_err(|error| self.failed("list the files at", "", error))?;
            let path = location.as_ref();
            let path = path.strip_prefix(self.prefix.as_ref()).unwrap_or(path);
            found.push((path.trim_start_matches('/').to_owned(), size));
            if found.len() > 2 * MAX_FILES {
                break; // The listing refuses so many.
            }
        }
        // Consoles of object stores mark folders by empty objects of their names.
        let parents: BTreeSet<&str> = found
            .iter()
            .flat_map(|(path, _)| path.match_indices('/').filter_map(|(end, _)| path.get(..end)))
            .collect();
        let marks = |(path, size): &&(String, u64)| {
            *size == 0 && (path.is_empty() || parents.contains(path.as_str()))
        };
        Ok(found.iter().filter(|object| !marks(object)).cloned().collect())
    }

    fn failed(&self, doing: &str, file: &str, error: object_store::Error) -> ArtifactError {
        let what = if file.is_empty() {
            String::new()
        } else {
            format!("`{file}` at ")
        };
        let mut said = clean(&error);
        if let Some((_, settings)) = NO_CREDENTIALS.iter().find(|(asked, _)| said.contains(asked)) {
            said.push_str("; no credentials are set, and this machine has none: set ");
            said.push_str(settings);
        }
        ArtifactError::Store {
            doing: format!("{doing} {what}`{}`", self.place),
            may_pass: may_pass(&error, &said),
            source: said.into(),
        }
    }
}

/// Whether it may pass with nobody's help. The library's own retries are over by then.
fn may_pass(error: &object_store::Error, said: &str) -> bool {
    // Statuses that the library has no kind for are in its text alone.
    let refused = said.contains("status code: 4");
    let busy = ["status code: 408", "status code: 429"]
        .iter()
        .any(|status| said.contains(status));
    match error {
        object_store::Error::Generic { .. } => !refused || busy,
        object_store::Error::JoinError { .. } => true,
        _ => false,
    }
}

#[async_trait]
impl ArtifactStore for ObjectFiles {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, listing: &mut Listing) -> Result<(), ArtifactError> {
        let found = self.below().await?;
        for (path, bytes) in &found {
            listing.file(path, *bytes)?;
        }
        let name = self.prefix.filename().filter(|_| found.is_empty());
        if let Some(name) = name
            && let Ok(object) = self.store().await?.head(&self.prefix).await
        {
            self.bare.store(true, Relaxed);
            listing.file(name, object.size)?;
        }
        Ok(())
    }

    async fn read(&self, file: &FileEntry, offset: u64) -> Result<Body, ArtifactError> {
        let failed = |error| self.failed("read", &file.path, error);
        let location = if self.bare.load(Relaxed) {
            self.prefix.clone()
        } else {
            let path = format!("{}/{}", self.prefix, file.path);
            Path::parse(path).map_err(|error| failed(error.into()))?
        };
        let range = (offset > 0).then_some(GetRange::Offset(offset));
        let options = GetOptions {
            range,
            ..GetOptions::default()
        };
        let got = self
            .store()
            .await?
            .get_opts(&location, options)
            .await
            .map_err(failed)?;
        let (offset, total, etag) = (got.range.start, got.meta.size, got.meta.e_tag.clone());
        let doing = format!("read `{}` at `{}`", file.path, self.place);
        let bytes = got.into_stream().map_err(move |error| ArtifactError::Store {
            doing: doing.clone(),
            may_pass: true,
            source: clean(&error).into(),
        });
        Ok(Body {
            offset,
            total: Some(total),
            etag,
            bytes: bytes.boxed(),
        })
    }
}

/// An error and its causes on one line, without the queries of addresses, which may hold signatures.
fn clean(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Most of the library's errors repeat their causes.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    without_queries(&text)
}

fn without_queries(text: &str) -> String {
    let word = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?..."),
        _ => word.to_owned(),
    };
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .map(word)
        .collect();
    words.join(" ").chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_refuses_does_not_pass() {
        let error = object_store::Error::Generic {
            store: "S3",
            source: "x".into(),
        };
        for (said, wanted) in [
            ("no connection", true),
            ("returned non-2xx status code: 403 Forbidden", false),
            ("returned non-2xx status code: 429 Too Many Requests", true),
            ("returned non-2xx status code: 503 Slow Down", true),
        ] {
            assert_eq!(may_pass(&error, said), wanted, "{said}");
        }
    }

    #[test]
    fn signatures_are_not_shown() {
        let text = "error sending request for url (https://a.blob/c/x?sv=1&sig=secret) after\n2 retries?";
        let shown = without_queries(text);
        assert_eq!(
            shown,
            "error sending request for url (https://a.blob/c/x?... after 2 retries?"
        );
    }
}
