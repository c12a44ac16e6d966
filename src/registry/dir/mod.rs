//! The embedded registry: a folder with `<name>/<version>/` model directories and `<name>/registry.yaml`.
//!
//! A change reads the file, applies a rule, and puts a new file in its place by a rename, all under one lock for the
//! whole registry: readers see the old file or the new one, and two writers lose nothing. Readers take no lock. What a
//! killed writer leaves behind begins with a dot and is ignored.

mod file;
mod rules;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::files::blocking;
use super::pick::{listed, pick};
use super::{ModelEntry, NewVersion, Registry, RegistryError, Resolved, Selector, Wanted};
use crate::model::location::ArtifactUri;
use crate::model::stage::Stage;
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;

const FILE: &str = "registry.yaml";
const LOCK: &str = ".lock";

/// A registry in a folder.
#[derive(Debug, Clone)]
pub struct DirRegistry {
    root: PathBuf,
    name: String,
}

#[async_trait]
impl Registry for DirRegistry {
    fn name(&self) -> &str {
        &self.name
    }

    async fn wanted(&self, uris: &[ModelUri]) -> Vec<Result<Wanted, RegistryError>> {
        let mut answers = Vec::with_capacity(uris.len());
        for uri in uris {
            let (this, uri) = (self.clone(), uri.clone());
            answers.push(blocking(move || this.version_of(&uri)).await);
        }
        answers
    }

    async fn all(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError> {
        let (this, selector) = (self.clone(), selector.clone());
        blocking(move || this.selected(&selector)).await
    }

    async fn locate(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        let (this, uri, wanted) = (self.clone(), uri.clone(), wanted.clone());
        blocking(move || this.located(&uri, &wanted)).await
    }

    async fn tag(&self, id: &VersionId, tags: &[(&str, &str)]) -> Result<(), RegistryError> {
        let (this, id) = (self.clone(), id.clone());
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let tags: Vec<(String, String)> = tags.iter().map(owned).collect();
        blocking(move || this.change(&id.name, |entry| rules::set_tags(entry, id.version_label(), tags)))
            .await
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// The URI of one version by number; the URI that led to it where that is no number.
fn number_uri(uri: &ModelUri, name: &str, version: &str) -> ModelUri {
    version.parse().map_or_else(
        |_| uri.clone(),
        |version| ModelUri::Version {
            name: name.into(),
            version,
        },
    )
}

impl DirRegistry {
    pub(super) fn new(root: &Path) -> DirRegistry {
        DirRegistry {
            name: root.display().to_string(),
            root: root.to_path_buf(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn selected(&self, selector: &Selector) -> Result<Vec<Wanted>, RegistryError> {
        let mut found = Vec::new();
        for name in self.names()? {
            match self.version_of(&selector.of(&name)) {
                Ok(wanted) => found.push(wanted),
                Err(RegistryError::NoVersion { .. } | RegistryError::NoFiles { .. }) => {}
                // One damaged model must not hide the others.
                Err(error) => tracing::warn!(model = %name, %error, "a registered model is left out"),
            }
        }
        Ok(found)
    }

    fn located(&self, uri: &ModelUri, wanted: &Wanted) -> Result<Resolved, RegistryError> {
        let (name, version) = (&*wanted.id.name, wanted.id.version_label());
        let entry = self.show(name)?;
        let version = pick(&entry, &number_uri(uri, name, version))?;
        let details = entry.versions.get(&version).cloned().unwrap_or_default();
        Ok(Resolved {
            id: wanted.id.clone(),
            stage: Some(details.stage),
            aliases: entry.aliases_of(version),
            location: ArtifactUri::local(&self.version_folder(name, version)?),
            in_place: true,
            tags: details.tags,
            description: details.description,
        })
    }

    fn version_of(&self, uri: &ModelUri) -> Result<Wanted, RegistryError> {
        let Some(name) = uri.name() else {
            return Err(RegistryError::Unsupported(format!(
                "`{uri}` is known to an MLflow server only, and the registry is the folder `{}`; serve a registered \
                 model (models:/NAME/VERSION) or a model directory",
                self.root.display()
            )));
        };
        let version = pick(&self.show(name)?, uri)?;
        let folder = self.version_folder(name, version)?;
        Ok(Wanted {
            id: VersionId::registered(name, &version.to_string()),
            revision: super::files::revision(&folder).into(),
        })
    }

    fn version_folder(&self, name: &str, version: u64) -> Result<PathBuf, RegistryError> {
        let path = self.root.join(name).join(version.to_string());
        if fs::metadata(&path).is_ok_and(|kind| kind.is_dir()) {
            return Ok(path);
        }
        Err(RegistryError::NoFiles {
            name: name.to_owned(),
            version,
            path,
        })
    }

    /// Every model, by name.
    ///
    /// # Errors
    /// When the folder or one of its files cannot be read.
    pub fn list(&self) -> Result<Vec<ModelEntry>, RegistryError> {
        self.names()?.iter().map(|name| self.read(name)).collect()
    }

    /// One model.
    ///
    /// # Errors
    /// When there is no such model, or its file cannot be read.
    pub fn show(&self, name: &str) -> Result<ModelEntry, RegistryError> {
        rules::check_name(name)?;
        if self.has_model(name)? {
            self.read(name)
        } else {
            Err(self.no_model(name))
        }
    }

    /// Adds a version of a model, which may be new, and gives its number: one more than the highest there is. `fill`
    /// writes the files into an empty folder; nothing is registered unless it succeeds.
    ///
    /// # Errors
    /// When the name or the alias is refused, `fill` fails, or the registry cannot be written.
    pub fn register(
        &self,
        name: &str,
        new: &NewVersion<'_>,
        now_ms: i64,
        fill: impl FnOnce(&Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<u64, RegistryError> {
        rules::check_name(name)?;
        new.alias.map_or(Ok(()), rules::check_alias)?;
        fs::create_dir_all(&self.root).map_err(writing(&self.root))?;
        // Outside the lock, for copying can take long; beside the models, for a rename cannot leave its disk.
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(".new-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o777));
        let temporary = builder.tempdir_in(&self.root).map_err(writing(&self.root))?;
        fill(temporary.path()).map_err(|source| RegistryError::Files {
            name: name.to_owned(),
            source,
        })?;
        sync_folder(temporary.path())?;

        let _lock = self.lock()?;
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(writing(&folder))?;
        let mut entry = self.read(name)?;
        let version = rules::next_version(&entry)?;
        rules::add_version(&mut entry, version, new.stage, now_ms);
        if let Some(alias) = new.alias {
            rules::set_alias(&mut entry, alias, version)?;
        }
        // The folder first: a version without a line in the file is in stage None, a line without files is an error.
        let target = folder.join(version.to_string());
        fs::rename(temporary.path(), &target).map_err(writing(&target))?;
        let _ = temporary.keep();
        self.store(&entry)?;
        sync_folder(&self.root)?;
        Ok(version)
    }

    /// Moves a version to a stage; gives the versions that were archived for it.
    ///
    /// # Errors
    /// When there is no such version, or existing versions of None or Archived are to be archived.
    pub fn transition(
        &self,
        name: &str,
        version: u64,
        stage: Stage,
        archive_existing: bool,
        now_ms: i64,
    ) -> Result<Vec<u64>, RegistryError> {
        self.change(name, |entry| {
            rules::transition(entry, version, stage, archive_existing, now_ms)
        })
    }

    /// Points an alias to a version; gives the version it pointed to before.
    ///
    /// # Errors
    /// When there is no such version, or the alias is refused.
    pub fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<Option<u64>, RegistryError> {
        self.change(name, |entry| rules::set_alias(entry, alias, version))
    }

    /// Takes an alias away; gives the version it pointed to.
    ///
    /// # Errors
    /// When there is no such alias.
    pub fn delete_alias(&self, name: &str, alias: &str) -> Result<u64, RegistryError> {
        self.change(name, |entry| rules::delete_alias(entry, alias))
    }

    fn change<T>(
        &self,
        name: &str,
        rule: impl FnOnce(&mut ModelEntry) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.show(name)?;
        let _lock = self.lock()?;
        let mut entry = self.show(name)?;
        let answer = rule(&mut entry)?;
        self.store(&entry)?;
        Ok(answer)
    }

    /// Waits for the lock; it is let go when the file is dropped, or its process ends.
    fn lock(&self) -> Result<File, RegistryError> {
        let path = self.root.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(writing(&path))?;
        file.lock().map_err(writing(&path))?;
        Ok(file)
    }

    fn names(&self) -> Result<Vec<String>, RegistryError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(reading(&self.root))? {
            let name = entry.map_err(reading(&self.root))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if rules::check_name(name).is_ok() && self.has_model(name)? {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether the folder is a model: it has a `registry.yaml` or a version.
    fn has_model(&self, name: &str) -> Result<bool, RegistryError> {
        let folder = self.root.join(name);
        match fs::metadata(&folder) {
            Ok(kind) if kind.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(reading(&folder)(error)),
        }
        let file = folder.join(FILE);
        Ok(file.try_exists().map_err(reading(&file))? || !self.folders(name)?.is_empty())
    }

    fn no_model(&self, name: &str) -> RegistryError {
        let known = match self.names() {
            Ok(names) if names.is_empty() => {
                "it has no models; `modelsd registry register NAME DIR` adds one".into()
            }
            Ok(names) => format!("it has {}", listed(&names, false)),
            Err(RegistryError::Read { source, .. }) => format!("the folder cannot be read: {source}"),
            Err(error) => error.to_string(),
        };
        RegistryError::NoModel {
            registry: self.root.display().to_string(),
            name: name.to_owned(),
            known,
        }
    }

    /// Numbers of the version folders.
    fn folders(&self, name: &str) -> Result<Vec<u64>, RegistryError> {
        let folder = self.root.join(name);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&folder).map_err(reading(&folder))? {
            let entry = entry.map_err(reading(&folder))?;
            let number = entry.file_name().to_str().and_then(file::version_number);
            // Follows links: versions may lie on another disk.
            if let Some(number) = number
                && fs::metadata(entry.path()).is_ok_and(|kind| kind.is_dir())
            {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// What the file says, and in stage None every version folder that it does not mention.
    fn read(&self, name: &str) -> Result<ModelEntry, RegistryError> {
        let path = self.root.join(name).join(FILE);
        let damaged = |problem| RegistryError::Damaged {
            path: path.clone(),
            problem,
        };
        let text = match fs::metadata(&path) {
            Ok(kind) if !kind.is_file() => return Err(damaged("it is no file".into())),
            Ok(_) => read_text(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(reading(&path)(error)),
        };
        let mut entry = match text {
            Some(text) if text.len() > file::MAX_BYTES => {
                return Err(damaged(format!("it has more than {} bytes", file::MAX_BYTES)));
            }
            Some(text) => file::parse(
                name,
                &String::from_utf8(text).map_err(|_| damaged("it is not UTF-8".into()))?,
            )
            .map_err(damaged)?,
            None => ModelEntry {
                name: name.to_owned(),
                ..ModelEntry::default()
            },
        };
        for number in self.folders(name)? {
            entry.versions.entry(number).or_default();
        }
        Ok(entry)
    }

    /// Puts a new file in place of the old one; a crash leaves one of the two, whole.
    fn store(&self, entry: &ModelEntry) -> Result<(), RegistryError> {
        let folder = self.root.join(&entry.name);
        let path = folder.join(FILE);
        let text = file::write(entry);
        // Better no change than a file that nobody can read.
        if text.len() > file::MAX_BYTES || file::parse(&entry.name, &text).as_ref() != Ok(entry) {
            return Err(RegistryError::Refused(format!(
                "the change does not fit into `{}`",
                path.display()
            )));
        }
        let mode = fs::metadata(&path).ok().map(|old| old.permissions());
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(".registry-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o666));
        let put = || -> io::Result<()> {
            let mut file = builder.tempfile_in(&folder)?;
            file.write_all(text.as_bytes())?;
            if let Some(mode) = mode {
                file.as_file().set_permissions(mode)?;
            }
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        put().map_err(writing(&path))?;
        sync_folder(&folder)
    }
}

/// The bytes of a file, one more than allowed at most; `None` when it went away.
fn read_text(path: &Path) -> Result<Option<Vec<u8>>, RegistryError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(file::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(reading(path))?;
    Ok(Some(bytes))
}

/// Makes renames within the folder last through a power cut.
fn sync_folder(path: &Path) -> Result<(), RegistryError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(writing(path))
}

fn reading(path: &Path) -> impl Fn(io::Error) -> RegistryError {
    let path = path.to_path_buf();
    move |source| RegistryError::Read {
        path: path.clone(),
        source,
    }
}

fn writing(path: &Path) -> impl Fn(io::Error) -> RegistryError {
    let path = path.to_path_buf();
    move |source| RegistryError::Write {
        path: path.clone(),
        source,
    }
}
