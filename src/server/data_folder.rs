//! The data folder: one process uses it, nobody but that process's user reads it, and nothing in it is reached through a link.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::Mode;

use crate::config::ConfigError;
use crate::disk::held::{Held, Kind, OWN_FILE, OWN_FOLDER};
use crate::disk::lock_file::{LockFile, Refused};

/// Says that a folder is in use, and stays in it: a folder that has it was made by localyun, or given to it.
const LOCK: &str = "lock";
/// What others may do with a file: nothing.
const OTHERS: u32 = 0o077;
/// Anybody may put files into the folder (`/tmp`).
const SHARED: u32 = 0o1000;
/// Folders that the service keeps here.
const FOLDERS: [&str; 5] = ["spool", "spool-damaged", "spool-taken", "oss", "tls"];

/// The folder, and the lock on it.
pub struct DataFolder {
    pub held: Held,
    pub lock: LockFile,
}

/// Makes the folder where there is none, and takes it.
pub fn open(path: &Path) -> Result<DataFolder, ConfigError> {
    let named = |error: &dyn std::fmt::Display| {
        ConfigError::new("--data-dir", format!("{}: {error}", path.display()))
    };
    // What the process makes from here on is nobody else's, whatever it was started with.
    rustix::process::umask(Mode::from_raw_mode(OTHERS as _));
    DirBuilder::new()
        .recursive(true)
        .mode(OWN_FOLDER)
        .create(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                named(&"a file lies there; name a folder")
            }
            _ => named(&format!("the folder cannot be made: {error}")),
        })?;
    // The person who starts the service may name its folder by a link.
    let path = path.canonicalize().map_err(|e| named(&e))?;
    let held = Held::open(&path).map_err(|e| named(&e))?;
    let entries = held.entries().map_err(|e| named(&e))?;
    let is_own = entries.is_empty() || entries.iter().any(|(name, _)| name == LOCK);
    for (name, kind) in &entries {
        let expected = if FOLDERS.iter().any(|folder| name == folder) {
            Kind::Folder
        } else if name == LOCK {
            Kind::File
        } else {
            continue;
        };
        if *kind != expected {
            let what = match kind {
                Kind::Link => "is a link, and localyun follows none in its data folder",
                _ => "is not what localyun keeps under that name",
            };
            return Err(named(&format!("{} {what}", name.display())));
        }
    }
    let file = held.write(LOCK, false).map_err(|e| named(&e))?;
    let lock = LockFile::on(file).map_err(|refused| match refused {
        Refused::Held(holder) => named(&format!("{holder} uses this folder")),
        Refused::Io(error) => named(&error),
    })?;
    close_to_others(&held, &path, is_own);
    Ok(DataFolder { held, lock })
}

/// What an earlier version left open to other users is closed; what cannot be is told.
fn close_to_others(held: &Held, path: &Path, is_own: bool) {
    let open = |path: &Path, error: &dyn std::fmt::Display| {
        tracing::warn!(path = %path.display(), why = %error, "other users of this machine may read what localyun keeps here");
    };
    match held.metadata() {
        Ok(found) if found.mode() & OTHERS == 0 => {}
        Ok(found) if is_own && found.mode() & SHARED == 0 => {
            if let Err(error) = held.set_permissions(Permissions::from_mode(OWN_FOLDER)) {
                open(path, &error);
            }
        }
        Ok(_) => open(path, &"the folder is not localyun's own; its mode stays"),
        Err(error) => open(path, &error),
    }
    for (name, kind) in held.entries().unwrap_or_default() {
        if let Err(error) = close_entry(held, &name.to_string_lossy(), kind) {
            open(&path.join(&name), &error);
        }
    }
}

fn close_entry(held: &Held, name: &str, kind: Kind) -> io::Result<()> {
    let is_file = name == LOCK || name.starts_with("localyun.db") || name.starts_with("nonces-");
    match kind {
        Kind::File if is_file => {
            let file = held.read(name)?;
            if file.metadata()?.mode() & OTHERS != 0 {
                file.set_permissions(Permissions::from_mode(OWN_FILE))?;
            }
        }
        Kind::Folder if FOLDERS.contains(&name) => {
            let folder = held.enter(name)?;
            if folder.metadata()?.mode() & OTHERS != 0 {
                folder.set_permissions(Permissions::from_mode(OWN_FOLDER))?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_and_what_was_left_open_is_nobody_elses() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/data");
        drop(open(&path).unwrap());
        assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
        std::fs::create_dir(path.join("spool")).unwrap();
        std::fs::write(path.join("localyun.db"), b"").unwrap();
        std::fs::write(path.join("notes.txt"), b"").unwrap();
        for (name, left) in [
            ("", 0o755),
            ("spool", 0o755),
            ("localyun.db", 0o644),
            ("notes.txt", 0o644),
        ] {
            set(&path.join(name), left);
        }
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("spool")), 0o700);
        assert_eq!(mode(&path.join("localyun.db")), 0o600);
        assert_eq!(mode(&path.join("notes.txt")), 0o644, "somebody else's");
    }

    #[test]
    fn a_folder_of_somebody_elses_keeps_its_mode() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("shared");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("theirs"), b"").unwrap();
        set(&path, 0o755);
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o755);
        // As /tmp, though it was used before.
        set(&path, 0o1777);
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o1777);
    }

    #[test]
    fn a_link_in_the_place_of_what_the_service_keeps_is_refused() {
        for name in ["spool", "spool-damaged", "oss", "tls", LOCK] {
            let place = tempfile::tempdir().unwrap();
            let (path, theirs) = (place.path().join("data"), place.path().join("theirs"));
            std::fs::create_dir(&path).unwrap();
            std::fs::create_dir(&theirs).unwrap();
            symlink(&theirs, path.join(name)).unwrap();
            let error = open(&path).map(|_| ()).unwrap_err();
            assert_eq!(error.setting, "--data-dir");
            assert!(error.problem.contains("link"), "{error}");
        }
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("data")).unwrap();
        symlink(place.path().join("data"), place.path().join("way")).unwrap();
        open(&place.path().join("way")).unwrap();
    }
}
