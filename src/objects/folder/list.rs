//! Listing a bucket page by page: prefix, delimiter roll-up and markers, in order of UTF-8 bytes.

use super::error::FolderError;
use super::model::{ListPage, ListQuery};
use super::walk::Walk;
use super::{FolderStore, Inner};

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
        let mut walk = Walk::new(self.layout.data(bucket), &query.prefix, &query.after);
        // The last page ended with this common prefix: all of it has been told.
        if rolled_up(&query.after, &query.prefix, &query.delimiter) == Some(query.after.as_str()) {
            walk.skip_prefix(query.after.clone());
        }
        let mut last = None;
        while let Some(key) = walk.next_key()? {
            if page.objects.len() + page.common_prefixes.len() >= query.max_keys {
                page.next = last;
                break;
            }
            if let Some(common) = rolled_up(&key, &query.prefix, &query.delimiter) {
                walk.skip_prefix(common.to_owned());
                page.common_prefixes.push(common.to_owned());
                last = Some(common.to_owned());
                continue;
            }
            // Deleted since the folder was read: not part of the page.
            let Some(loaded) = self.load(bucket, &key)? else {
                continue;
            };
            page.objects.push(self.info(bucket, &key, &loaded)?);
            last = Some(key);
        }
        Ok(page)
    }
}
