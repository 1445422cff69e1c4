//! Listing a bucket page by page: prefix, delimiter roll-up and markers, in order of UTF-8 bytes.

use super::error::FolderError;
use super::model::{ListPage, ListQuery};
use super::walk::{Route, Step, Walk};
use super::{FolderStore, Inner, key};

impl FolderStore {
    /// One page of objects and common prefixes.
    pub async fn list(&self, bucket: &str, query: ListQuery) -> Result<ListPage, FolderError> {
        let bucket = bucket.to_owned();
        self.blocking(move |store| store.list(&bucket, &query))
            .await
    }
}

/// The common prefix that a key rolls up into, if any.
pub(super) fn rolled_up<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    if delimiter.is_empty() {
        return None;
    }
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

impl Inner {
    fn list(&self, bucket: &str, query: &ListQuery) -> Result<ListPage, FolderError> {
        self.layout.check_bucket(bucket)?;
        let mut page = ListPage::default();
        let Some(mut walk) = self.walk(bucket, query)? else {
            return Ok(page);
        };
        // The last page ended with this common prefix: all of it has been told.
        if rolled_up(&query.after, &query.prefix, &query.delimiter) == Some(query.after.as_str()) {
            walk.skip_prefix(query.after.clone());
        }
        let mut last = None;
        while let Some(step) = walk.next_step()? {
            if page.objects.len() + page.common_prefixes.len() >= query.max_keys {
                page.next = last;
                break;
            }
            let common = match &step {
                Step::Folder(text) => Some(text.as_str()),
                Step::Key(key) => rolled_up(key, &query.prefix, &query.delimiter),
            };
            if let Some(common) = common {
                walk.skip_prefix(common.to_owned());
                page.common_prefixes.push(common.to_owned());
                last = Some(common.to_owned());
                continue;
            }
            let Step::Key(key) = step else {
                continue;
            };
            // Deleted since the folder was read: not part of the page.
            let Some(loaded) = self.load(bucket, &key)? else {
                continue;
            };
            page.objects.push(self.info(bucket, &key, &loaded)?);
            last = Some(key);
        }
        Ok(page)
    }

    /// The way through what a query asks for; none where there is no folder for it.
    pub(super) fn walk(
        &self,
        bucket: &str,
        query: &ListQuery,
    ) -> Result<Option<Walk<'_>>, FolderError> {
        let inside = query.prefix.rfind('/').map_or(0, |at| at + 1);
        let text = query.prefix.get(..inside).unwrap_or_default();
        let folder = if text.is_empty() {
            Some(self.layout.data(bucket))
        } else {
            // A prefix that is no part of a key has nothing below it.
            match key::folders_of(text) {
                Ok(folders) => self.layout.folder(bucket, &folders)?,
                Err(_) => None,
            }
        };
        let route = Route {
            prefix: query.prefix.clone(),
            after: query.after.clone(),
            fold: query.delimiter == "/",
        };
        Ok(folder.map(|folder| Walk::new(&self.runs, folder, text.to_owned(), route)))
    }
}
