//! Where a tool puts what it fetches: standard output, or a file that is whole from the moment it has its name.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{CliError, printed};
use crate::ids;

/// Letters and digits by which an unfinished file differs from those of other runs. By the number of the process it would not: in a container each
/// run has the same one, and what one left behind that was killed would be in the way of all later ones.
const MARK: usize = 8;

/// A place for bytes. A file that is not finished goes away with this value, and one that had its name before stays as it was.
#[derive(Debug)]
pub(super) enum Output {
    Stdout,
    /// A new file beside the place, which takes its name at the end.
    Beside {
        file: File,
        beside: PathBuf,
        place: PathBuf,
        is_whole: bool,
    },
    /// A pipe or a device, which is written as it is.
    Direct {
        file: File,
        place: PathBuf,
    },
}

fn of(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |error| CliError::failed(format!("{}: {error}", path.display()))
}

impl Output {
    /// Opens a place; none and `-` are standard output.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(super) fn open(place: Option<&Path>) -> Result<Self, CliError> {
        let Some(named) = place.filter(|place| *place != Path::new("-")) else {
            return Ok(Self::Stdout);
        };
        // A link leads to what is meant.
        let place = std::fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
        match std::fs::metadata(&place) {
            Ok(there) if there.is_dir() => {
                let problem = format!("{}: that is a folder; write a file's name", named.display());
                return Err(CliError::usage(problem));
            }
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(&place);
                return Ok(Self::Direct {
                    file: file.map_err(of(named))?,
                    place,
                });
            }
            _ => {}
        }
        let mut beside = place.as_os_str().to_owned();
        let mark: String = ids::nonce().chars().take(MARK).collect();
        beside.push(format!(".part-{mark}"));
        let beside = PathBuf::from(beside);
        let file = File::create_new(&beside).map_err(of(named))?;
        Ok(Self::Beside {
            file,
            beside,
            place,
            is_whole: false,
        })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Takes bytes. False: nobody reads standard output any more.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<bool, CliError> {
        match self {
            Self::Stdout => Ok(printed::put(bytes)),
            Self::Beside { file, place, .. } | Self::Direct { file, place } => {
                file.write_all(bytes).map_err(of(place))?;
                Ok(true)
            }
        }
    }

    /// Everything is there.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        if let Self::Beside {
            beside,
            place,
            is_whole,
            ..
        } = &mut self
        {
            std::fs::rename(beside, &place).map_err(of(place))?;
            *is_whole = true;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Self::Beside {
            beside,
            is_whole: false,
            ..
        } = self
        {
            // It was made by us a moment ago.
            let _ = std::fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a");
        std::fs::write(&place, "before").unwrap();
        let mut given_up = Output::open(Some(&place)).unwrap();
        assert!(given_up.put(b"half").unwrap());
        drop(given_up);
        assert_eq!(std::fs::read(&place).unwrap(), b"before");
        assert_eq!(names(folder.path()), ["a"]);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&place, &link).unwrap();
        let mut whole = Output::open(Some(&link)).unwrap();
        whole.put(b"af").unwrap();
        whole.put(b"ter").unwrap();
        whole.finish().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"after");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["a", "link"]);
    }

    #[test]
    fn what_a_killed_run_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a");
        // Who is killed removes nothing.
        std::mem::forget(Output::open(Some(&place)).unwrap());
        let mut whole = Output::open(Some(&place)).unwrap();
        whole.put(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"whole");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_as_it_is_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let told = Output::open(Some(folder.path())).unwrap_err().to_string();
        assert!(told.contains("that is a folder"), "{told}");
        let absent = folder.path().join("no/such");
        let told = Output::open(Some(&absent)).unwrap_err().to_string();
        assert!(
            told.starts_with(&absent.display().to_string()) && !told.contains("part"),
            "{told}"
        );
        assert!(Output::open(Some(Path::new("-"))).unwrap().is_stdout());
        let mut device = Output::open(Some(Path::new("/dev/null"))).unwrap();
        assert!(device.put(b"x").unwrap() && !device.is_stdout());
        device.finish().unwrap();
    }
}
