//! The store as its callers see it, on a real folder.

use std::convert::Infallible;
use std::fs;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

mod multipart;
mod names;
mod usage;
mod writing;

struct Bench {
    store: FolderStore,
    folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = FolderStore::open(folder.path().to_owned()).expect("store opens");
    store
        .create_bucket("liverec", Acl::Default)
        .await
        .expect("bucket is made");
    Bench { store, folder }
}

impl Bench {
    async fn put(&self, key: &str, bytes: &'static [u8]) -> ObjectInfo {
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(bytes))]);
        self.store
            .put_stream("liverec", key, NewObject::default(), body)
            .await
            .expect("put")
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let everything = |info: &ObjectInfo| Ok::<_, FolderError>((0, info.size));
        let (_, reader) = self
            .store
            .read("liverec", key, everything)
            .await
            .expect("read");
        let mut bytes = Vec::new();
        let mut blocks = std::pin::pin!(reader.into_stream());
        while let Some(block) = blocks.next().await {
            bytes.extend_from_slice(&block.expect("block"));
        }
        bytes
    }

    async fn keys(&self, query: ListQuery) -> Vec<String> {
        let mut query = query;
        let mut keys = Vec::new();
        loop {
            let page = self
                .store
                .list("liverec", query.clone())
                .await
                .expect("list");
            let mut names: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
            names.extend(page.common_prefixes);
            names.sort();
            keys.extend(names);
            match page.next {
                Some(next) => query.after = next,
                None => return keys,
            }
        }
    }

    async fn append(
        &self,
        key: &str,
        position: u64,
        bytes: &[u8],
    ) -> Result<ObjectInfo, FolderError> {
        let finished = self.draft(bytes.to_vec()).await;
        let meta = NewObject::default();
        self.store
            .append("liverec", key, position, finished, meta, None)
            .await
    }

    async fn draft(&self, bytes: Vec<u8>) -> Finished {
        let mut draft = self.store.draft().await.expect("draft");
        draft.write(Bytes::from(bytes)).await.expect("write");
        draft.finish().await.expect("finish")
    }

    fn leftovers(&self) -> usize {
        fs::read_dir(self.folder.path().join(".localyun/tmp"))
            .expect("tmp")
            .count()
    }
}
