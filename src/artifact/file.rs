//! Artifacts in folders of this machine, or of disks it has mounted.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::fetch::blocking;
use super::files::{listing, reading};
use super::store::{ArtifactStore, Body, Listing};
use super::{ArtifactError, FileEntry};

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// A folder, or a bare file.
pub(super) struct FileStore {
    path: PathBuf,
    place: String,
}

impl FileStore {
    pub(super) fn new(path: PathBuf) -> FileStore {
        FileStore {
            place: path.display().to_string(),
            path,
        }
    }
}

#[async_trait]
impl ArtifactStore for FileStore {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, listing: &mut Listing) -> Result<(), ArtifactError> {
        let path = self.path.clone();
        for file in blocking(move || list(&path)).await? {
            listing.file(&file.path, file.bytes)?;
        }
        Ok(())
    }

    async fn read(&self, file: &FileEntry, offset: u64) -> Result<Body, ArtifactError> {
        let (root, name) = (self.path.clone(), file.path.clone());
        let (file, path, total) = blocking(move || open(&root, &name, offset)).await?;
        let pieces = stream::unfold(Some(file), move |file| {
            let path = path.clone();
            async move {
                let file = file?;
                match blocking(move || read_piece(file, &path)).await {
                    Ok((_, piece)) if piece.is_empty() => None,
                    Ok((file, piece)) => Some((Ok(piece), Some(file))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        Ok(Body {
            offset,
            total: Some(total),
            etag: None,
            bytes: pieces.boxed(),
        })
    }
}

fn list(path: &Path) -> Result<Vec<FileEntry>, ArtifactError> {
    let kind = fs::metadata(path).map_err(reading(path))?;
    if kind.is_dir() {
        let found = listing::list(path)?;
        return match found.folder_links.first() {
            None => Ok(found.files),
            Some(link) => Err(ArtifactError::Refused {
                path: path.join(link),
                problem: "a link to a folder is not copied; put the folder in its place".into(),
            }),
        };
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name
        .filter(|_| kind.is_file())
        .ok_or_else(|| ArtifactError::NoModel {
            path: path.into(),
            problem: "it is neither a folder nor a file with a name in UTF-8".into(),
        })?;
    Ok(vec![FileEntry {
        path: name.into(),
        bytes: kind.len(),
    }])
}

/// The file from an offset on, where it lies, and its length in bytes.
fn open(root: &Path, name: &str, offset: u64) -> Result<(File, PathBuf, u64), ArtifactError> {
    let kind = fs::metadata(root).map_err(reading(root))?;
    let path = if kind.is_dir() {
        root.join(name)
    } else {
        root.into()
    };
    // A link that was made after the listing shall not lead out either.
    let real = fs::canonicalize(&path).map_err(reading(&path))?;
    if !real.starts_with(fs::canonicalize(root).map_err(reading(root))?) {
        return Err(ArtifactError::Refused {
            path,
            problem: "it has become a link out of the model".into(),
        });
    }
    let mut file = listing::open_file(&real)?;
    let total = file.metadata().map_err(reading(&path))?.len();
    file.seek(SeekFrom::Start(offset)).map_err(reading(&path))?;
    Ok((file, path, total))
}

fn read_piece(mut file: File, path: &Path) -> Result<(File, Bytes), ArtifactError> {
    let mut piece = Vec::new();
    let got = file.by_ref().take(PIECE).read_to_end(&mut piece);
    got.map_err(reading(path))?;
    Ok((file, piece.into()))
}
