//! The files of a model, found and checked before an engine opens any of them.

use std::alloc::System;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use crate::flavor::LoadError;

use super::walk::{Survey, walk};

/// Protobuf messages end at 2 GiB; bigger models keep their tensors in external files.
const MAX_MODEL_BYTES: u64 = (2 << 30) - 1;

/// How ONNX Runtime marks tensors that lie at an address in its memory. A file that says so means to read what it
/// should not.
const MEMORY_MARK: &str = "_ORT_MEM_ADDR_";

/// Bytes asked for at a time: while the kernel copies, nothing else may run on that core.
const PIECE: usize = 256 << 10;

/// Bytes that are given back to the system as soon as they are dropped: the process's own allocator keeps hundreds of
/// megabytes for later, which never comes.
type Bytes = allocator_api2::vec::Vec<u8, System>;

/// A model file whose every reference stays within the model directory.
pub(super) struct ModelFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What is in it. Engines read these bytes and not the file, which may be another by then.
    pub(super) bytes: Bytes,
}

/// Finds and checks the model file that `MLmodel` names.
///
/// # Errors
/// When it is missing or no ONNX model, or when it or its external data lie outside the directory.
pub(super) fn open(dir: &Path, name: &str) -> Result<ModelFile, LoadError> {
    let root = canonical(dir)?;
    let mut path = within(&root, &root, name)?;
    // MLflow's `data` may name a folder.
    if path.is_dir() {
        path = within(&root, &path, "model.onnx")?;
    }
    // ONNX Runtime takes such a file for its own format, which is not read here.
    if path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ort"))
    {
        return Err(LoadError::Refused(format!(
            "`{name}` is in ONNX Runtime's own format; export it as .onnx"
        )));
    }
    let read = |source| LoadError::Read {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    if length > MAX_MODEL_BYTES {
        return Err(LoadError::Refused(format!(
            "`{name}` has {length} bytes, an ONNX file has at most {MAX_MODEL_BYTES}; keep tensors as external data"
        )));
    }
    let bytes = read_pieces(file, length).map_err(read)?;
    let survey = walk(Cursor::new(&bytes), length).map_err(|error| LoadError::Engine {
        engine: "modelsd".into(),
        file: name.to_owned(),
        source: Box::new(error),
    })?;
    check(&root, &path, &survey)?;
    Ok(ModelFile { path, bytes })
}

fn read_pieces(mut file: File, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Bytes::new_in(System);
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    while bytes.len() < length {
        let from = bytes.len();
        bytes.resize(length.min(from + PIECE), 0);
        file.read_exact(&mut bytes[from..])?;
    }
    Ok(bytes)
}

fn check(root: &Path, path: &Path, survey: &Survey) -> Result<(), LoadError> {
    if let Some((name, kind)) = survey.exotic.first() {
        return Err(LoadError::Refused(format!(
            "`{name}` of the graph is an {kind}, which is not supported"
        )));
    }
    let folder = path.parent().unwrap_or(root);
    for location in &survey.external {
        if location.contains(MEMORY_MARK) {
            return Err(outside(location));
        }
        let file = within(root, folder, location)?;
        if !file.is_file() {
            return Err(LoadError::Refused(format!(
                "external data `{location}` is not a file"
            )));
        }
    }
    Ok(())
}

fn outside(name: &str) -> LoadError {
    LoadError::Refused(format!("`{name}` is not a path within the model directory"))
}

fn canonical(path: &Path) -> Result<PathBuf, LoadError> {
    path.canonicalize().map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The file `name` of `folder`, symbolic links resolved, when that lies within `root`.
fn within(root: &Path, folder: &Path, name: &str) -> Result<PathBuf, LoadError> {
    let relative = Path::new(name);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || name.contains('\0') || !relative.components().all(plain) {
        return Err(outside(name));
    }
    let path = canonical(&folder.join(relative))?;
    if path.starts_with(root) {
        Ok(path)
    } else {
        Err(outside(name))
    }
}

impl ModelFile {
    /// The file's name, for messages.
    pub(super) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}
