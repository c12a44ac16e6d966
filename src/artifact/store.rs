//! What every store of artifacts offers: a list of files, and each file from any offset on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{ArtifactError, FileEntry, MAX_DEPTH, MAX_FILES};

/// Longest name of a file or folder, in bytes: what common file systems take.
const MAX_NAME: usize = 255;
/// Longest path within a model, in bytes.
const MAX_PATH: usize = 2048;

/// The place that one artifact URI names. Nothing it says is trusted. All methods are cancel-safe.
#[async_trait]
pub(super) trait ArtifactStore: Send + Sync {
    /// The place for people: without credentials and queries.
    fn place(&self) -> &str;

    /// Lists every file under the place.
    ///
    /// # Errors
    /// When the store cannot be asked, or the listing refuses an entry.
    async fn list(&self, listing: &mut Listing) -> Result<(), ArtifactError>;

    /// Begins to read a listed file from an offset on, where the store can; else from its beginning.
    ///
    /// # Errors
    /// When the store cannot be asked, after its own retries.
    async fn read(&self, file: &FileEntry, offset: u64) -> Result<Body, ArtifactError>;
}

/// A file on its way.
pub(super) struct Body {
    /// Where the bytes begin in the file.
    pub(super) offset: u64,
    /// Length of the whole file in bytes, when the store says it.
    pub(super) total: Option<u64>,
    /// Tells whether two answers are of the same file.
    pub(super) etag: Option<String>,
    /// The bytes; an error ends them, and may pass if it is an outage.
    pub(super) bytes: BoxStream<'static, Result<Bytes, ArtifactError>>,
}

/// The files that a store says it has, as far as they can be written down as a folder without harm.
#[derive(Debug)]
pub(super) struct Listing {
    place: String,
    max_bytes: u64,
    bytes: u64,
    files: BTreeMap<String, u64>,
    folders: BTreeSet<String>,
}

impl Listing {
    /// An empty list of files at a place, of at most so many bytes together.
    pub(super) fn new(place: &str, max_bytes: u64) -> Listing {
        Listing {
            place: place.to_owned(),
            max_bytes,
            bytes: 0,
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
        }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When its path could harm, is there already, or there are too many files or bytes.
    pub(super) fn file(&mut self, path: &str, bytes: u64) -> Result<(), ArtifactError> {
        self.check(path, MAX_DEPTH + 1)?;
        if self.files.contains_key(path) || self.folders.contains(path) {
            return Err(self.refused(path, "it is listed twice".into()));
        }
        self.parents(path)?;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes {
            return Err(ArtifactError::CacheFull {
                needed: self.bytes,
                limit: self.max_bytes,
                held: String::new(),
            });
        }
        self.files.insert(path.to_owned(), bytes);
        self.count(path)
    }

    /// Adds a folder, which counts and is otherwise known by its files.
    ///
    /// # Errors
    /// When its path could harm, is there already, or there are too many.
    pub(super) fn folder(&mut self, path: &str) -> Result<(), ArtifactError> {
        self.check(path, MAX_DEPTH)?;
        if self.files.contains_key(path) || !self.folders.insert(path.to_owned()) {
            return Err(self.refused(path, "it is listed twice".into()));
        }
        self.parents(path)?;
        self.count(path)
    }

    /// The path of an entry of a folder by its name there.
    ///
    /// # Errors
    /// When the name is a path.
    pub(super) fn child(&self, folder: &str, name: &str) -> Result<String, ArtifactError> {
        if name.contains('/') {
            return Err(self.refused(name, "the name of an entry has a slash".into()));
        }
        Ok(joined(folder, name))
    }

    /// Bytes of all files together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The files in the order of their paths.
    pub(super) fn files(&self) -> Vec<FileEntry> {
        let entry = |(path, bytes): (&String, &u64)| FileEntry {
            path: path.clone(),
            bytes: *bytes,
        };
        self.files.iter().map(entry).collect()
    }

    fn parents(&mut self, path: &str) -> Result<(), ArtifactError> {
        for (end, _) in path.match_indices('/') {
            let parent = path.get(..end).unwrap_or_default();
            if self.files.contains_key(parent) {
                return Err(self.refused(path, format!("`{parent}` is a file as well")));
            }
            self.folders.insert(parent.to_owned());
        }
        Ok(())
    }

    fn count(&self, path: &str) -> Result<(), ArtifactError> {
        if self.files.len() + self.folders.len() > MAX_FILES {
            return Err(self.refused(path, format!("there are more than {MAX_FILES} files and folders")));
        }
        Ok(())
    }

    fn check(&self, path: &str, max_depth: usize) -> Result<(), ArtifactError> {
        match harm(path) {
            Some(problem) => Err(self.refused(path, problem.into())),
            None if path.split('/').count() > max_depth => {
                Err(self.refused(path, format!("folders nest deeper than {MAX_DEPTH}")))
            }
            None => Ok(()),
        }
    }

    fn refused(&self, path: &str, problem: String) -> ArtifactError {
        // Names are shown escaped and cut: they may hold anything.
        let shown: String = path.chars().take(200).collect();
        let shown = shown.escape_debug();
        ArtifactError::Refused {
            path: PathBuf::from(format!("{}: {shown}", self.place)),
            problem,
        }
    }
}

/// Why a path must not be written below a folder; `None` when it may.
pub(super) fn harm(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("the path is empty");
    }
    if path.starts_with('/') {
        return Some("the path is absolute");
    }
    if path.len() > MAX_PATH {
        return Some("the path is too long");
    }
    path.split('/').find_map(part_harm)
}

fn part_harm(part: &str) -> Option<&'static str> {
    match part {
        "" => Some("a part of the path is empty"),
        "." | ".." => Some("the path has a part `.` or `..`"),
        _ if part.len() > MAX_NAME => Some("a name is longer than 255 bytes"),
        _ if part.contains('\\') => Some("a name has a backslash"),
        _ if part.chars().any(char::is_control) => Some("a name has a control character"),
        _ => None,
    }
}

/// A path within a folder; the empty one is the top.
pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 1000;

    fn listing(files: &[(&str, u64)]) -> Result<Listing, ArtifactError> {
        let mut listing = Listing::new("store", MAX);
        for (path, bytes) in files {
            match path.strip_suffix('/') {
                Some(folder) => listing.folder(folder)?,
                None => listing.file(path, *bytes)?,
            }
        }
        Ok(listing)
    }

    #[track_caller]
    fn refused(files: &[(&str, u64)], wanted: &str) {
        let message = listing(files).unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }

    #[test]
    fn a_listing_is_sorted_and_summed() {
        let listing = listing(&[("b/c", 2), ("MLmodel", 1), ("ü ~%.x", 3), ("d/", 0)]).unwrap();
        let paths: Vec<String> = listing.files().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["MLmodel", "b/c", "ü ~%.x"]);
        assert_eq!(listing.bytes(), 6);
    }

    #[test]
    fn paths_that_could_harm_are_refused() {
        refused(&[("", 0)], "empty");
        refused(&[("/etc/passwd", 0)], "absolute");
        refused(&[("../x", 0)], "`..`");
        refused(&[("a/../../x", 0)], "`..`");
        refused(&[("a/./b", 0)], "`.`");
        refused(&[("a//b", 0)], "part of the path is empty");
        refused(&[("a\\..\\b", 0)], "backslash");
        refused(&[("a\0b", 0)], "control");
        refused(&[("a\nb", 0)], "control");
        refused(&[(&"x".repeat(256), 0)], "255 bytes");
        refused(&[(&"x/".repeat(1025), 0)], "too long");
        refused(&[(&format!("{}x", "a/".repeat(33)), 0)], "deeper than 32");
        assert!(listing(&[(&format!("{}x", "a/".repeat(32)), 0)]).is_ok());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        refused(&[("a", 0), ("a", 0)], "listed twice");
        refused(&[("a/b", 0), ("a", 0)], "listed twice");
        refused(&[("a", 0), ("a/b", 0)], "`a` is a file as well");
        refused(&[("a/", 0), ("a", 0)], "listed twice");
        refused(&[("a/", 0), ("a/", 0)], "listed twice");
        refused(&[("a", 0), ("a/", 0)], "listed twice");
    }

    #[test]
    fn counts_and_bytes_have_a_bound() {
        let mut many = Listing::new("store", MAX);
        let error = (0..=MAX_FILES).find_map(|number| many.file(&format!("f{number}"), 0).err());
        assert!(error.unwrap().to_string().contains("more than 10000"));
        refused(&[("a", 900), ("b", 101)], "--max-cache-bytes");
        refused(&[("a", u64::MAX), ("b", u64::MAX)], "--max-cache-bytes");
        assert!(listing(&[("a", 900), ("b", 100)]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_below_its_folder(
            path in r#"(\.|\.\.|/|\\|a|é|\x00|\n|[^/]){0,12}"#,
        ) {
            if listing(&[(&path, 1)]).is_ok_and(|listing| listing.files().len() == 1) {
                let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
                prop_assert!(Path::new(&path).components().all(plain), "{path:?}");
                prop_assert_eq!(Path::new(&path).components().count(), path.split('/').count());
                prop_assert!(!path.contains(['\0', '\\', '\n']));
            }
        }
    }
}
