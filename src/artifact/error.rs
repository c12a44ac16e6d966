//! Why the files of a model cannot be had or used.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::mlmodel::MlModelError;

/// Why the files of a model cannot be had or used. No variant holds a credential or the query of a presigned address.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing is there, or it cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The copy could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// The disk, the quota or the longest allowed file is used up.
    #[error("no room to write `{path}`; free some, or put the cache on another disk with --cache-dir")]
    NoRoom {
        /// What was written.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// There is something, but no model.
    #[error("`{path}` is no model directory: {problem}")]
    NoModel {
        /// The place.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// `MLmodel` is there and says nothing usable.
    #[error("the model `{path}` cannot be used")]
    MlModel {
        /// The model directory.
        path: PathBuf,
        /// What is wrong with the file.
        #[source]
        source: MlModelError,
    },
    /// An entry that no model has, and that could harm.
    #[error("`{path}` is refused: {problem}")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The store did not give what was asked for.
    #[error("cannot {doing}")]
    Store {
        /// What was attempted, and where: `list the files at ...`.
        doing: String,
        /// Whether it may pass with nobody's help: no connection, a server that is overloaded.
        may_pass: bool,
        /// What the store or the network said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file did not arrive as the store listed it.
    #[error("`{file}` at `{place}` did not arrive: {problem}")]
    NotWhole {
        /// The store.
        place: String,
        /// The file in it.
        file: String,
        /// What went wrong.
        problem: String,
        /// Whether the next attempt may succeed with nobody's help.
        may_pass: bool,
    },
    /// The model does not fit into what the cache may hold.
    #[error(
        "{needed} bytes do not fit into the cache of at most {limit} bytes{held}; allow more with --max-cache-bytes"
    )]
    CacheFull {
        /// Bytes of the model.
        needed: u64,
        /// Bytes that the cache may hold.
        limit: u64,
        /// What keeps it full, in words after a comma; else empty.
        held: String,
    },
    /// The cache folder cannot be used.
    #[error("cannot use `{path}` as cache of models; name a folder that can be written with --cache-dir")]
    Cache {
        /// The folder or file of it.
        path: PathBuf,
        /// The system's complaint.
        #[source]
        source: io::Error,
    },
    /// Nothing here can fetch from such a place.
    #[error("{0}")]
    Unsupported(String),
    /// A thread that worked on files panicked or was ended.
    #[error("the work on the files of a model was broken off")]
    BrokenOff(#[source] Box<dyn Error + Send + Sync>),
}

impl ArtifactError {
    /// Whether the store cannot be reached now, as opposed to: it holds nothing that can be used. It may pass with
    /// nobody's help.
    pub fn is_outage(&self) -> bool {
        match self {
            ArtifactError::Store { may_pass, .. } | ArtifactError::NotWhole { may_pass, .. } => *may_pass,
            _ => false,
        }
    }

    /// An error of writing, told apart by whether there was room.
    pub(super) fn writing(path: &Path, source: io::Error) -> ArtifactError {
        let path = path.to_path_buf();
        match source.kind() {
            // The last is a limit on the size of files, by the system or by who started us.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ArtifactError::NoRoom { path, source }
            }
            _ => ArtifactError::Write { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_complaints() {
        let (no_space, quota, too_large, denied) = (28, 122, 27, 13);
        for code in [no_space, quota, too_large] {
            let error = ArtifactError::writing(Path::new("/cache/x"), io::Error::from_raw_os_error(code));
            assert!(matches!(error, ArtifactError::NoRoom { .. }), "{error}");
            assert!(error.to_string().contains("--cache-dir"));
        }
        let error = ArtifactError::writing(Path::new("x"), io::Error::from_raw_os_error(denied));
        assert!(matches!(error, ArtifactError::Write { .. }));
    }
}
