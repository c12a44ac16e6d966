//! Lists a directory that may be hostile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::super::{ArtifactError, FileEntry, MAX_DEPTH, MAX_FILES};
use super::reading;

/// What a model directory holds.
pub(in crate::artifact) struct Listing {
    /// Its files, links to files included, sorted by path.
    pub(in crate::artifact) files: Vec<FileEntry>,
    /// Links to folders within, which are not followed: they could run in circles, and what they lead to is listed
    /// where it lies. Mounted volumes of Kubernetes are made of such links.
    pub(in crate::artifact) folder_links: Vec<String>,
}

/// Lists every file under `root`.
pub(in crate::artifact) fn list(root: &Path) -> Result<Listing, ArtifactError> {
    let real_root = fs::canonicalize(root).map_err(reading(root))?;
    let mut listing = Listing {
        files: Vec::new(),
        folder_links: Vec::new(),
    };
    let mut entries = 0;
    let mut pending = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            return Err(refused(folder, format!("folders nest deeper than {MAX_DEPTH}")));
        }
        for entry in fs::read_dir(&folder).map_err(reading(&folder))? {
            let path = entry.map_err(reading(&folder))?.path();
            entries += 1;
            if entries > MAX_FILES {
                return Err(refused(
                    root.into(),
                    format!("it has more than {MAX_FILES} files and folders"),
                ));
            }
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(refused(path, "its name is not UTF-8".into()));
            };
            let relative = format!("{prefix}{name}");
            let kind = fs::symlink_metadata(&path).map_err(reading(&path))?;
            let is_link = kind.is_symlink();
            let kind = if is_link { follow(&path, &real_root)? } else { kind };
            if kind.is_file() {
                listing.files.push(FileEntry {
                    path: relative,
                    bytes: kind.len(),
                });
            } else if !kind.is_dir() {
                return Err(refused(path, "it is neither file nor folder".into()));
            } else if is_link {
                listing.folder_links.push(relative);
            } else {
                pending.push((path, format!("{relative}/"), depth + 1));
            }
        }
    }
    listing.files.sort();
    listing.folder_links.sort();
    Ok(listing)
}

/// What a link leads to, which must be inside.
fn follow(link: &Path, real_root: &Path) -> Result<fs::Metadata, ArtifactError> {
    let target = fs::canonicalize(link).map_err(reading(link))?;
    if !target.starts_with(real_root) {
        return Err(refused(
            link.into(),
            format!("it is a link out of the model, to `{}`", target.display()),
        ));
    }
    fs::metadata(&target).map_err(reading(link))
}

/// Opens what was listed as a file, and still is one.
pub(in crate::artifact) fn open_file(path: &Path) -> Result<File, ArtifactError> {
    let kind = fs::metadata(path).map_err(reading(path))?;
    if !kind.is_file() {
        return Err(refused(path.into(), "it is no longer a file".into()));
    }
    File::open(path).map_err(reading(path))
}

fn refused(path: PathBuf, problem: String) -> ArtifactError {
    ArtifactError::Refused { path, problem }
}
