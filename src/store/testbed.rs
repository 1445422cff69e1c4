//! A store for unit tests, on a database of its own.

use super::Store;

/// The store, and the folder that it lies in, which goes with what is returned here.
pub async fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    (store, folder)
}

/// What was stored in a folder before, once more.
pub async fn open(folder: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}/t.db?mode=rwc", folder.path().display());
    Store::open(&url).await.unwrap()
}
