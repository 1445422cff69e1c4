//! A folder for one run, which goes away with it.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::CliError;

/// A folder that goes away with this value.
#[derive(Debug)]
pub(super) struct Throwaway(PathBuf);

impl Throwaway {
    /// Makes the folder, which must not be there yet.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn make(path: PathBuf) -> Result<Self, CliError> {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| CliError::failed(format!("no folder {}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // No link is followed on the way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
