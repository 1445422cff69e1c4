//! A lock on a file that ends with its process, however that ends, and says whose it is.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::held::Held;

/// Bytes of a holder's name that are read.
const NAME: u64 = 300;

/// A lock that is held.
pub struct LockFile(File);

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// By whom it is held.
    #[error("{0}")]
    Held(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LockFile {
    /// Takes the lock on a file, which is made where it is not there; not through a link.
    pub fn take(path: &Path) -> Result<Self, Refused> {
        let (folder, name) = path
            .parent()
            .zip(path.file_name())
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Self::on(Held::open(folder)?.write(name, false)?)
    }

    /// Takes the lock on an open file.
    pub fn on(file: File) -> Result<Self, Refused> {
        match file.try_lock() {
            Ok(()) => {
                let mut lock = Self(file);
                lock.name_holder(&format!("process {}", std::process::id()))?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => {
                let mut name = String::new();
                let read = (&file).take(NAME).read_to_string(&mut name);
                let named = read.is_ok() && !name.trim().is_empty();
                Err(Refused::Held(if named {
                    name.trim().to_owned()
                } else {
                    "another localyun".to_owned()
                }))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Writes down whose the lock is, for those that it keeps away.
    pub fn name_holder(&mut self, name: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        writeln!(self.0, "{name}")
    }

    /// What tells this lock from all others, on this machine since its start and on others: whoever said that he held the same one, and
    /// does not any more, is dead.
    /// None where the system gives its starts no name.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let file = self.0.metadata().ok()?;
        Some(format!("{}:{}:{}", boot.trim(), file.dev(), file.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_is_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = LockFile::take(&path).unwrap();
        first.name_holder("localyun at http://127.0.0.1:1").unwrap();
        let refused = LockFile::take(&path).err().unwrap();
        assert_eq!(refused.to_string(), "localyun at http://127.0.0.1:1");
        let identity = first.identity();
        drop(first);
        let second = LockFile::take(&path).unwrap();
        assert_eq!(second.identity(), identity);
        let other = LockFile::take(&folder.path().join("other")).unwrap();
        assert!(identity.is_none() || other.identity() != identity);
    }
}
