//! Model directories on disk, read as data and never trusted.
//!
//! [`ArtifactDir::open`] looks at a directory before anything is loaded from it: `MLmodel` is there and readable, every
//! entry is a plain file or folder, no link leads out, and the number and depth of entries have bounds. What a
//! directory holds may still change afterwards: who serves from a folder that others write to must copy it first.

pub(super) mod digest;
pub(super) mod listing;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use self::digest::Digest;
use super::ArtifactError;
use crate::model::mlmodel::{MAX_BYTES, MlModel, MlModelError};

/// A model directory may have this many files.
pub const MAX_FILES: usize = 10_000;
/// Folders of a model directory may nest this deep.
pub const MAX_DEPTH: usize = 32;

/// A model on local disk that was looked through: a directory with an `MLmodel`, or a bare `.onnx` file.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactDir {
    root: PathBuf,
    mlmodel: MlModel,
    files: Vec<FileEntry>,
    folder_links: Vec<String>,
    bare: bool,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// Path within the directory, with `/`.
    pub path: String,
    /// Size in bytes when it was looked at.
    pub bytes: u64,
}

impl ArtifactDir {
    /// Looks through a model directory, or makes one up around a bare `.onnx` file.
    ///
    /// Reads `MLmodel` and the names and sizes of all entries, no other contents. Blocking.
    ///
    /// # Errors
    /// When there is no model, `MLmodel` is bad, or an entry is neither file nor folder, leads out, or is one too many.
    pub fn open(path: &Path) -> Result<ArtifactDir, ArtifactError> {
        let kind = fs::metadata(path).map_err(reading(path))?;
        if kind.is_file() {
            ArtifactDir::bare(path, kind.len())
        } else {
            ArtifactDir::directory(path, &kind)
        }
    }

    fn bare(path: &Path, bytes: u64) -> Result<ArtifactDir, ArtifactError> {
        let no_model = |problem: &str| ArtifactError::NoModel {
            path: path.into(),
            problem: problem.into(),
        };
        if path.file_name().is_some_and(|name| name == "MLmodel") {
            return Err(no_model("name the folder that holds this `MLmodel`"));
        }
        if !path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
        {
            return Err(no_model(
                "it is a file, and of files only `.onnx` is served without an `MLmodel`",
            ));
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| no_model("its name is not UTF-8"))?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mlmodel = MlModel {
            flavors: vec![("onnx".into(), json!({ "data": name }))],
            ..MlModel::default()
        };
        let files = vec![FileEntry {
            path: name.into(),
            bytes,
        }];
        Ok(ArtifactDir {
            root: parent.into(),
            mlmodel,
            files,
            folder_links: Vec::new(),
            bare: true,
        })
    }

    fn directory(path: &Path, kind: &fs::Metadata) -> Result<ArtifactDir, ArtifactError> {
        if !kind.is_dir() {
            return Err(ArtifactError::NoModel {
                path: path.into(),
                problem: "it is neither file nor folder".into(),
            });
        }
        // Entries are looked at before any is opened: opening a pipe would wait for a writer that never comes.
        let listing = listing::list(path)?;
        let Some(entry) = listing.files.iter().find(|file| file.path == "MLmodel") else {
            return Err(ArtifactError::NoModel {
                path: path.into(),
                problem: no_mlmodel(&listing.files),
            });
        };
        let bad = |source| ArtifactError::MlModel {
            path: path.into(),
            source,
        };
        if entry.bytes > MAX_BYTES as u64 {
            return Err(bad(MlModelError::TooLong(
                usize::try_from(entry.bytes).unwrap_or(usize::MAX),
            )));
        }
        let mlmodel = MlModel::parse(&read_text(&path.join("MLmodel"))?).map_err(bad)?;
        let listing::Listing { files, folder_links } = listing;
        Ok(ArtifactDir {
            root: path.into(),
            mlmodel,
            files,
            folder_links,
            bare: false,
        })
    }

    /// The model directory; of a bare file, the folder it lies in.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// What `MLmodel` says; of a bare file, that there is an ONNX graph and nothing else.
    pub fn mlmodel(&self) -> &MlModel {
        &self.mlmodel
    }

    /// The files in the order of their paths. Of a bare file that file alone: data that it keeps beside itself is
    /// known to ONNX only.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Whether this is a bare file.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Bytes of all files together.
    pub fn size_bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
    }

    /// Hashes every file. Blocking; reads everything.
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer as long as it was.
    pub fn digest(&self) -> Result<Digest, ArtifactError> {
        let mut digests = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let mut hash = Sha256::new();
            self.stream(file, |chunk| {
                hash.update(chunk);
                Ok(())
            })?;
            digests.push(hash.finalize().into());
        }
        Ok(Digest::of(self.files.iter().zip(&digests)))
    }

    /// Copies every file into an existing empty folder and asks the disk to keep them. Links within the model become
    /// files. Blocking.
    ///
    /// # Errors
    /// When a file cannot be read or written; when the model is a bare file or has links to folders.
    pub fn copy_to(&self, into: &Path) -> Result<(), ArtifactError> {
        if self.bare {
            let path = self
                .files
                .first()
                .map_or(self.root.clone(), |file| self.root.join(&file.path));
            return Err(ArtifactError::NoModel {
                path,
                problem: "a bare file has no `MLmodel` to copy".into(),
            });
        }
        if let Some(link) = self.folder_links.first() {
            return Err(ArtifactError::Refused {
                path: self.root.join(link),
                problem: "a link to a folder is not copied; put the folder in its place".into(),
            });
        }
        for file in &self.files {
            let target = into.join(&file.path);
            let writing = |source| ArtifactError::Write {
                path: target.clone(),
                source,
            };
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(writing)?;
            }
            let mut copy = File::create_new(&target).map_err(writing)?;
            self.stream(file, |chunk| copy.write_all(chunk).map_err(writing))?;
            copy.sync_all().map_err(writing)?;
        }
        Ok(())
    }

    /// Hands over the contents of a file, which must still be as long as it was: an endless one is not followed.
    fn stream(
        &self,
        file: &FileEntry,
        mut take: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let path = self.root.join(&file.path);
        let mut source = listing::open_file(&path)?.take(file.bytes.saturating_add(1));
        let mut buffer = vec![0; 256 << 10];
        let mut seen: u64 = 0;
        loop {
            let got = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading(&path)(error)),
            };
            seen += got as u64;
            take(buffer.get(..got).unwrap_or_default())?;
        }
        if seen != file.bytes {
            return Err(ArtifactError::Refused {
                path,
                problem: "it changed while it was read".into(),
            });
        }
        Ok(())
    }
}

pub(super) fn reading(path: &Path) -> impl Fn(io::Error) -> ArtifactError {
    let path = path.to_path_buf();
    move |source| ArtifactError::Read {
        path: path.clone(),
        source,
    }
}

fn read_text(path: &Path) -> Result<String, ArtifactError> {
    let mut bytes = Vec::new();
    let file = listing::open_file(path)?;
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(reading(path))?;
    String::from_utf8(bytes).map_err(|_| ArtifactError::Refused {
        path: path.into(),
        problem: "it is not UTF-8 text".into(),
    })
}

/// Says what the folder has instead of an `MLmodel`, for that is usually a folder up or down.
pub(super) fn no_mlmodel(files: &[FileEntry]) -> String {
    let below = files.iter().find_map(|file| file.path.strip_suffix("/MLmodel"));
    let graph = files
        .iter()
        .find(|file| file.path.to_ascii_lowercase().ends_with(".onnx"));
    match (below, graph) {
        (Some(folder), _) => format!("it has no `MLmodel`, but its folder `{folder}` has"),
        (None, Some(graph)) => format!(
            "it has no `MLmodel`; name the file `{}` itself to serve it",
            graph.path
        ),
        (None, None) => "it has no `MLmodel`".into(),
    }
}

#[cfg(test)]
mod tests;
