//! What a bucket holds.

use super::*;
use crate::folder::usage::{Held, Usage};

#[tokio::test]
async fn objects_count_by_their_class_and_open_uploads_apart() {
    let bench = bench().await;
    let usage = async || bench.store.usage("liverec").await.expect("usage");
    assert_eq!(usage().await, Usage::default());
    for key in ["a", "live/s1/b", "live/s1/c"] {
        bench.put(key, b"1234567").await;
    }
    let cold = NewObject {
        storage_class: StorageClass::InfrequentAccess,
        ..NewObject::default()
    };
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"12"))]);
    bench
        .store
        .put_stream("liverec", "cold", cold, body)
        .await
        .expect("put");
    let id = bench
        .store
        .initiate_upload("liverec", "big", NewObject::default())
        .await
        .expect("upload");
    for bytes in [&b"123"[..], b"12345"] {
        let part = bench.draft(bytes.to_vec()).await;
        bench
            .store
            .put_part("liverec", "big", &id, 1, part)
            .await
            .expect("part");
    }
    let held = |objects, bytes| Held { objects, bytes };
    let expected = Usage {
        standard: held(3, 21),
        infrequent_access: held(1, 2),
        uploads: 1,
        parts: 1,
        part_bytes: 5,
    };
    assert_eq!(usage().await, expected);
    let gone = bench.store.usage("gone").await;
    assert!(matches!(gone, Err(FolderError::NoSuchBucket(_))));
}
