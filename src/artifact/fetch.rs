//! Brings the files of a listing into a folder, whatever kind of store they come from.

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use sha2::{Digest as _, Sha256};

use super::progress::Progress;
use super::store::{ArtifactStore, Body, Listing};
use super::{ArtifactError, Digest, FileEntry};

/// Bytes that are hashed and written at once, on a thread for blocking work.
const PIECE: usize = 1 << 20;
/// How often a file is asked for again without having come further by at least a piece.
const MAX_BREAKS: u32 = 6;
/// Longest wait before a file is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How files are fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Files that are fetched at once.
    pub(super) parallel: NonZeroUsize,
    /// Wait after the first break of a file; doubles with each further one.
    pub(super) wait: Duration,
}

/// Brings every file of the listing into an existing empty folder, safely on disk, and gives the digest of them all.
///
/// Cancel-safe: what is dropped leaves files in the folder and nothing else.
///
/// # Errors
/// When a file cannot be had, is not as it was listed, or cannot be written. The folder is left as it is.
pub(super) async fn fetch(
    store: &dyn ArtifactStore,
    listing: &Listing,
    into: &Path,
    manner: Manner,
    progress: &Progress,
) -> Result<Digest, ArtifactError> {
    let files = listing.files();
    progress.begin(files.len() as u64, listing.bytes());
    let ends = Ends(progress);
    let mut contents = vec![[0; 32]; files.len()];
    let jobs: Vec<_> = files
        .iter()
        .zip(&mut contents)
        .map(|(file, hash)| async move {
            *hash = fetch_file(store, file, into, manner, progress).await?;
            Ok::<(), ArtifactError>(())
        })
        .collect();
    let mut arriving = stream::iter(jobs).buffer_unordered(manner.parallel.get());
    while let Some(arrived) = arriving.next().await {
        arrived?;
    }
    drop((arriving, ends));
    let folder = into.to_path_buf();
    blocking(move || sync_folders(&folder)).await?;
    Ok(Digest::of(files.iter().zip(&contents)))
}

/// Ends the bar also when the future is dropped.
struct Ends<'a>(&'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Fetches one file, resuming where it broke off; gives the SHA-256 of its contents.
async fn fetch_file(
    store: &dyn ArtifactStore,
    file: &FileEntry,
    into: &Path,
    manner: Manner,
    progress: &Progress,
) -> Result<[u8; 32], ArtifactError> {
    let problem = |problem: String, may_pass| ArtifactError::NotWhole {
        place: store.place().to_owned(),
        file: file.path.clone(),
        problem,
        may_pass,
    };
    let mut copy = Copy::create(into.join(&file.path), progress.clone()).await?;
    let mut etag: Option<String> = None;
    let (mut breaks, mut furthest) = (0, 0);
    // An empty file has no range to ask for, and nothing to say.
    while copy.bytes < file.bytes || file.bytes == 0 {
        let body = store.read(file, copy.bytes).await?;
        if body.total.is_some_and(|total| total != file.bytes) {
            let total = body.total.unwrap_or_default();
            return Err(problem(
                format!("it has {total} bytes, and was listed with {}", file.bytes),
                false,
            ));
        }
        let other_file = copy.bytes > 0 && body.etag.is_some() && etag.is_some() && body.etag != etag;
        let broke = if other_file {
            // What is here belongs to a file that is no more.
            copy.restart().await?;
            "it was changed while it was read".to_owned()
        } else if body.offset != 0 && body.offset != copy.bytes {
            return Err(problem(format!("the store began at byte {}", body.offset), false));
        } else {
            if body.offset == 0 {
                copy.restart().await?;
            }
            etag = body.etag.clone();
            match receive(&mut copy, body, file.bytes).await? {
                None => break,
                Some(Broke::TooLong) => {
                    return Err(problem(
                        format!("it is longer than the {} bytes listed", file.bytes),
                        false,
                    ));
                }
                Some(Broke::Off(why)) => why,
            }
        };
        if copy.bytes >= furthest + PIECE as u64 {
            (breaks, furthest) = (0, copy.bytes);
        }
        breaks += 1;
        if breaks > MAX_BREAKS {
            return Err(problem(
                format!(
                    "it broke off {breaks} times, last after {} of {} bytes: {broke}",
                    copy.bytes, file.bytes
                ),
                true,
            ));
        }
        let (path, at) = (&file.path, copy.bytes);
        tracing::debug!(file = %path, at, why = broke, "a file broke off and is asked for again");
        tokio::time::sleep(manner.wait.saturating_mul(1 << (breaks - 1)).min(LONGEST_WAIT)).await;
    }
    let hash = copy.finish().await?;
    progress.file();
    Ok(hash)
}

enum Broke {
    /// It may be asked for again.
    Off(String),
    /// More came than there should be.
    TooLong,
}

/// Takes what comes until the file is whole or broke.
async fn receive(copy: &mut Copy, mut body: Body, whole: u64) -> Result<Option<Broke>, ArtifactError> {
    loop {
        let Some(next) = body.bytes.next().await else {
            copy.flush().await?;
            return Ok((copy.bytes < whole).then(|| Broke::Off("the store sent no more".into())));
        };
        match next {
            Ok(piece) => {
                if piece.len() as u64 > whole - copy.bytes {
                    return Ok(Some(Broke::TooLong));
                }
                copy.take(&piece).await?;
            }
            Err(error) if error.is_outage() => {
                copy.flush().await?;
                let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                return Ok(Some(Broke::Off(cause)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A file that is written and hashed.
struct Copy {
    path: PathBuf,
    /// Bytes taken, written or not.
    bytes: u64,
    waiting: Vec<u8>,
    /// Moves to the thread that writes, and back.
    written: Option<(File, Sha256)>,
    progress: Progress,
}

impl Copy {
    async fn create(path: PathBuf, progress: Progress) -> Result<Copy, ArtifactError> {
        let at = path.clone();
        let create = move || {
            if let Some(parent) = at.parent() {
                fs::create_dir_all(parent).map_err(|source| ArtifactError::writing(parent, source))?;
            }
            File::create_new(&at).map_err(|source| ArtifactError::writing(&at, source))
        };
        let file = blocking(create).await?;
        Ok(Copy {
            path,
            bytes: 0,
            waiting: Vec::new(),
            written: Some((file, Sha256::new())),
            progress,
        })
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), ArtifactError> {
        self.waiting.extend_from_slice(piece);
        self.bytes += piece.len() as u64;
        self.progress.more(piece.len() as u64);
        if self.waiting.len() >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ArtifactError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.waiting);
        self.on_thread(move |file, hash| {
            hash.update(&piece);
            file.write_all(&piece)
        })
        .await
    }

    async fn restart(&mut self) -> Result<(), ArtifactError> {
        self.waiting.clear();
        if self.bytes == 0 {
            return Ok(());
        }
        self.progress.less(self.bytes);
        self.bytes = 0;
        self.on_thread(|file, hash| {
            *hash = Sha256::new();
            file.set_len(0)?;
            std::io::Seek::rewind(file)
        })
        .await
    }

    async fn finish(mut self) -> Result<[u8; 32], ArtifactError> {
        self.flush().await?;
        self.on_thread(|file, _| file.sync_all()).await?;
        let hash = self.written.take().map(|(_, hash)| hash).unwrap_or_default();
        Ok(hash.finalize().into())
    }

    async fn on_thread(
        &mut self,
        work: impl FnOnce(&mut File, &mut Sha256) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), ArtifactError> {
        // Missing only after an error, which ends the copy.
        let Some((mut file, mut hash)) = self.written.take() else {
            return Err(ArtifactError::BrokenOff("a write before it failed".into()));
        };
        let path = self.path.clone();
        let done = blocking(move || match work(&mut file, &mut hash) {
            Ok(()) => Ok((file, hash)),
            Err(source) => Err(ArtifactError::writing(&path, source)),
        });
        self.written = Some(done.await?);
        Ok(())
    }
}

/// Asks the disk to keep the names of all files below.
fn sync_folders(folder: &Path) -> Result<(), ArtifactError> {
    let failed = |source| ArtifactError::writing(folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// Runs what blocks on a thread for it. Dropped, the work goes on to its end and nobody learns of it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ArtifactError::BrokenOff(Box::new(error))),
    }
}
