//! Where things lie under the root, and how a key finds its file when a file and a folder want the same name.
//!
//! ```text
//! <root>/<bucket>/<key>                        the bytes
//! <root>/.localyun/meta/<bucket>/<key>%meta    what else is known of the object (`record.rs`)
//! <root>/.localyun/buckets/<bucket>.json       access control and cross-origin rules
//! <root>/.localyun/uploads/<bucket>/<id>/      parts of open multipart uploads
//! <root>/.localyun/tmp/                        unfinished writes, emptied at start
//! ```
//!
//! Symbolic links are never followed below a bucket: they count as absent.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::FolderError;
use super::key::{self, DIR_BESIDE_FILE, EncodedKey, FILE_BESIDE_DIR, Folder};

/// Ending of the file that holds an object's metadata.
const META_ENDING: &str = "%meta";

/// The folders under one root.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

/// What lies at a path, links not followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    File,
    Folder,
    /// A link or device: it holds its name but is neither read nor entered.
    Other,
}

impl Layout {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn tmp(&self) -> PathBuf {
        self.root.join(".localyun/tmp")
    }

    pub fn buckets(&self) -> PathBuf {
        self.root.join(".localyun/buckets")
    }

    pub fn bucket_settings(&self, bucket: &str) -> PathBuf {
        self.buckets().join(format!("{bucket}.json"))
    }

    pub fn uploads(&self, bucket: &str) -> PathBuf {
        self.root.join(".localyun/uploads").join(bucket)
    }

    pub fn data(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    pub fn meta(&self, bucket: &str) -> PathBuf {
        self.root.join(".localyun/meta").join(bucket)
    }

    /// A fresh name for an unfinished write.
    pub fn fresh_tmp(&self) -> PathBuf {
        self.tmp().join(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Path of the metadata that belongs to the file at `place`.
    pub fn meta_of(&self, bucket: &str, place: &Path) -> PathBuf {
        let mut path = self.meta(bucket).join(place).into_os_string();
        path.push(META_ENDING);
        path.into()
    }

    /// Refuses names that are no bucket here.
    pub fn check_bucket(&self, bucket: &str) -> Result<(), FolderError> {
        if key::is_bucket_name(bucket) && found(&self.data(bucket))? == Found::Folder {
            return Ok(());
        }
        Err(FolderError::NoSuchBucket(bucket.to_owned()))
    }

    /// Path, below the bucket, of a key's existing file.
    pub fn find(&self, bucket: &str, key: &EncodedKey) -> Result<Option<PathBuf>, FolderError> {
        let base = self.data(bucket);
        let mut place = PathBuf::new();
        for folder in &key.folders {
            match existing_folder(&base, &place, folder)? {
                Some(next) => place = next,
                None => return Ok(None),
            }
        }
        let plain = place.join(&key.file);
        if found(&base.join(&plain))? == Found::File {
            return Ok(Some(plain));
        }
        let beside = place.join(format!("{}{FILE_BESIDE_DIR}", key.file));
        Ok((found(&base.join(&beside))? == Found::File).then_some(beside))
    }

    /// The folder that a key's folders lead to, if it is there.
    pub fn folder(&self, bucket: &str, folders: &[Folder]) -> Result<Option<PathBuf>, FolderError> {
        let base = self.data(bucket);
        let mut place = PathBuf::new();
        for folder in folders {
            match existing_folder(&base, &place, folder)? {
                Some(next) => place = next,
                None => return Ok(None),
            }
        }
        Ok(Some(base.join(place)))
    }

    /// Path, below the bucket, where a key's file goes; makes the folders on the way there, for data. Those for metadata are made by
    /// [`Layout::put_meta`].
    /// The caller holds the bucket's name lock.
    pub fn place(&self, bucket: &str, key: &EncodedKey) -> Result<PathBuf, FolderError> {
        let base = self.data(bucket);
        let mut place = PathBuf::new();
        for folder in &key.folders {
            place = match existing_folder(&base, &place, folder)? {
                Some(next) => next,
                None => {
                    let name = match folder {
                        Folder::Start(name) => name.clone(),
                        Folder::Segment(name)
                            if found(&base.join(&place).join(name))? == Found::Nothing =>
                        {
                            name.clone()
                        }
                        Folder::Segment(name) => format!("{name}{DIR_BESIDE_FILE}"),
                    };
                    let next = place.join(name);
                    make_folder(&base.join(&next))?;
                    next
                }
            };
        }
        let beside = place.join(format!("{}{FILE_BESIDE_DIR}", key.file));
        let plain = place.join(&key.file);
        let taken = found(&base.join(&plain))? == Found::Folder
            || found(&base.join(&beside))? == Found::File;
        Ok(if taken { beside } else { plain })
    }

    /// Makes the store's own folders, and refuses a link in the place of one: what is unfinished in them is removed.
    ///
    /// # Errors
    /// When a folder cannot be made, or a link or a file lies in its place: the store does not open.
    pub fn make_own_folders(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        let own = self.root.join(".localyun");
        let folders = [
            self.root.clone(),
            own.clone(),
            self.tmp(),
            self.buckets(),
            own.join("uploads"),
            own.join("meta"),
        ];
        for folder in folders {
            own_folder(&folder)?;
        }
        Ok(())
    }

    /// The folder of a bucket's open uploads, where it is one.
    pub fn own_uploads(&self, bucket: &str) -> Result<PathBuf, FolderError> {
        let folder = self.uploads(bucket);
        match found(&folder)? {
            Found::Nothing | Found::Folder => Ok(folder),
            Found::File | Found::Other => Err(not_own(&folder).into()),
        }
    }

    /// The folder that holds the metadata of the file at `place`; where some level on the way is no folder, that level and what it is. What
    /// changes metadata asks here first: behind a link lies somebody else's.
    fn meta_folder(&self, bucket: &str, place: &Path) -> Result<(PathBuf, Found), FolderError> {
        let mut folder = self.meta(bucket);
        let above = place.parent().into_iter().flat_map(Path::iter);
        for level in std::iter::once(None).chain(above.map(Some)) {
            folder.extend(level);
            let there = found(&folder)?;
            if there != Found::Folder {
                return Ok((folder, there));
            }
        }
        Ok((folder, Found::Folder))
    }

    /// Renames a finished file into the place of the metadata that belongs to the file at `place`, and makes the folders on the way, not
    /// through links; gives its path. The caller holds the bucket's name lock.
    pub fn put_meta(
        &self,
        bucket: &str,
        place: &Path,
        file: &Path,
    ) -> Result<PathBuf, FolderError> {
        let path = self.meta_of(bucket, place);
        match self.meta_folder(bucket, place)? {
            (_, Found::Folder) => {}
            (_, Found::Nothing) => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
            }
            (level, Found::File | Found::Other) => return Err(not_own(&level).into()),
        }
        fs::rename(file, &path)?;
        Ok(path)
    }

    /// Removes the metadata of the file at `place`, not through links.
    pub fn remove_meta(&self, bucket: &str, place: &Path) -> Result<(), FolderError> {
        match self.meta_folder(bucket, place)? {
            (_, Found::Folder) => Ok(remove_file(&self.meta_of(bucket, place))?),
            _ => Ok(()),
        }
    }

    /// Removes the folders of `place` that became empty, inside out, not through links. The caller holds the bucket's name lock and has
    /// found `place` under the bucket.
    pub fn prune(&self, bucket: &str, place: &Path) {
        let own_meta = matches!(self.meta_folder(bucket, place), Ok((_, Found::Folder)));
        let meta = own_meta.then(|| self.meta(bucket));
        for base in std::iter::once(self.data(bucket)).chain(meta) {
            let mut folder = place.parent();
            while let Some(inner) = folder.filter(|inner| !inner.as_os_str().is_empty()) {
                if fs::remove_dir(base.join(inner)).is_err() {
                    break;
                }
                folder = inner.parent();
            }
        }
    }
}

/// The folder that a level of a key uses now. At most one of the two names exists as a folder: the second is made
/// only while a file holds the first, and it stays in use until it is empty.
fn existing_folder(
    base: &Path,
    place: &Path,
    folder: &Folder,
) -> Result<Option<PathBuf>, FolderError> {
    let names = match folder {
        Folder::Start(name) => [Some(name.clone()), None],
        Folder::Segment(name) => [Some(name.clone()), Some(format!("{name}{DIR_BESIDE_FILE}"))],
    };
    for name in names.into_iter().flatten() {
        let next = place.join(name);
        if found(&base.join(&next))? == Found::Folder {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

fn found(path: &Path) -> Result<Found, FolderError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Found::File),
        Ok(metadata) if metadata.is_dir() => Ok(Found::Folder),
        Ok(_) => Ok(Found::Other),
        Err(error) if is_absent(&error) => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    }
}

fn make_folder(path: &Path) -> Result<(), FolderError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => {
            if let Some(parent) = path.parent() {
                sync_folder(parent)?;
            }
            Ok(())
        }
    }
}

/// A folder of the store's own, made where nothing is.
fn own_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(not_own(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        },
        Err(error) => Err(error),
    }
}

fn not_own(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} is a link or a file where the store keeps a folder of its own",
        path.display()
    ))
}

/// Reads a small file of the store's own: nothing but a regular one, and none that is longer than `most`.
///
/// # Errors
/// When the file is there and cannot be read. One that is absent, too long or no regular file is none, and no error.
pub fn read_own(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= most => {}
        Ok(_) => return Ok(None),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says that nothing is there (a file in the middle of a path included).
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Makes renames and removals in a folder durable.
///
/// # Errors
/// When the disk does not confirm. The caller must not say that anything is stored.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a tree, or nothing when there is none.
///
/// # Errors
/// When something in it stays. Whoever began it says so; a second call goes on with what is left.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file, or nothing when there is none.
///
/// # Errors
/// When the file stays where it is.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}
