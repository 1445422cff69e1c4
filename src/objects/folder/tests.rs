//! The store as its callers see it, on a real folder.

use std::convert::Infallible;
use std::fs;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

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

#[tokio::test]
async fn an_object_is_a_file_under_its_own_name() {
    let bench = bench().await;
    let info = bench.put("live/s1/00.ts", b"hello").await;
    assert_eq!(info.etag, "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(info.content_type, "video/mp2t");
    assert_eq!(
        fs::read(bench.folder.path().join("liverec/live/s1/00.ts")).expect("file"),
        b"hello"
    );
    assert_eq!(
        bench
            .store
            .head("liverec", "live/s1/00.ts")
            .await
            .expect("head"),
        Some(info)
    );
    assert_eq!(bench.leftovers(), 0);
}

#[tokio::test]
async fn metadata_survives_reopening() {
    let bench = bench().await;
    let meta = NewObject {
        content_type: Some("video/x-test".into()),
        user_metadata: [("author".to_owned(), "我".to_owned())].into(),
        acl: Acl::PublicRead,
        tags: vec![("k".into(), "v".into())],
        ..NewObject::default()
    };
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
    let put = bench
        .store
        .put_stream("liverec", "k", meta.clone(), body)
        .await
        .expect("put");
    let again = FolderStore::open(bench.folder.path().to_owned()).expect("reopen");
    let info = again
        .head("liverec", "k")
        .await
        .expect("head")
        .expect("there");
    assert_eq!(info, put);
    assert_eq!(info.meta, meta);
}

#[tokio::test]
async fn keys_that_collide_as_file_and_folder_all_work_in_either_order() {
    for order in [["p", "p/q", "p/"], ["p/", "p/q", "p"], ["p/q", "p", "p/"]] {
        let bench = bench().await;
        for key in order {
            bench.put(key, b"1").await;
        }
        assert_eq!(
            bench
                .keys(ListQuery {
                    max_keys: 10,
                    ..ListQuery::default()
                })
                .await,
            ["p", "p/", "p/q"]
        );
        for key in order {
            assert_eq!(bench.get(key).await, b"1");
            bench.put(key, b"two").await;
            assert_eq!(bench.get(key).await, b"two");
        }
        for key in order {
            assert!(bench.store.delete("liverec", key).await.expect("delete"));
            assert!(
                !bench
                    .store
                    .delete("liverec", key)
                    .await
                    .expect("delete again")
            );
        }
        assert_eq!(
            fs::read_dir(bench.folder.path().join("liverec"))
                .expect("bucket")
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn awkward_keys_stay_inside_the_bucket() {
    let bench = bench().await;
    let long = "长".repeat(300);
    let keys = [
        "../../escape",
        "..",
        ".",
        "/",
        "//",
        "a//b",
        "a b+c%20.ts",
        ".localyun/tmp/x",
        long.as_str(),
    ];
    for key in keys {
        bench.put(key, b"in").await;
    }
    for key in keys {
        assert_eq!(bench.get(key).await, b"in", "{key}");
    }
    let mut sorted = keys.map(str::to_owned);
    sorted.sort();
    assert_eq!(
        bench
            .keys(ListQuery {
                max_keys: 2,
                ..ListQuery::default()
            })
            .await,
        sorted
    );
    let mut around: Vec<_> = fs::read_dir(bench.folder.path())
        .expect("root")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("name")
        })
        .collect();
    around.sort();
    assert_eq!(around, [".localyun", "liverec"]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed() {
    let bench = bench().await;
    let outside = tempfile::tempdir().expect("outside");
    fs::write(outside.path().join("secret"), b"s").expect("secret");
    std::os::unix::fs::symlink(outside.path(), bench.folder.path().join("liverec/out"))
        .expect("link");
    assert_eq!(
        bench
            .store
            .head("liverec", "out/secret")
            .await
            .expect("head"),
        None
    );
    bench.put("out/new", b"n").await;
    assert_eq!(fs::read_dir(outside.path()).expect("outside").count(), 1);
    assert_eq!(bench.get("out/new").await, b"n");
}

#[tokio::test]
async fn listing_follows_utf8_order_across_folders() {
    let bench = bench().await;
    let mut keys = vec![
        "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "b/", "b/x", "中/1", "z",
    ];
    for key in &keys {
        bench.put(key, b"x").await;
    }
    keys.sort_unstable();
    for max_keys in [1, 2, 3, 100] {
        assert_eq!(
            bench
                .keys(ListQuery {
                    max_keys,
                    ..ListQuery::default()
                })
                .await,
            keys
        );
    }
    let rolled = ListQuery {
        delimiter: "/".into(),
        max_keys: 1,
        ..ListQuery::default()
    };
    assert_eq!(
        bench.keys(rolled).await,
        ["a", "a-b", "a.b", "a/", "a0", "b/", "z", "中/"]
    );
    let below = ListQuery {
        delimiter: "/".into(),
        prefix: "a/".into(),
        max_keys: 9,
        ..ListQuery::default()
    };
    assert_eq!(bench.keys(below).await, ["a/b", "a/b/"]);
    let inside = ListQuery {
        after: "a/b".into(),
        prefix: "a".into(),
        max_keys: 9,
        ..ListQuery::default()
    };
    assert_eq!(bench.keys(inside).await, ["a/b/c", "a0"]);
}

#[tokio::test]
async fn a_folder_larger_than_the_window_is_listed_whole() {
    let bench = bench().await;
    let folder = bench.folder.path().join("liverec/many");
    fs::create_dir(&folder).expect("folder");
    let expected: Vec<String> = (0..3000)
        .map(|number| format!("many/{number:04}"))
        .collect();
    for number in 0..3000 {
        fs::write(folder.join(format!("{number:04}")), b"").expect("file");
    }
    assert_eq!(
        bench
            .keys(ListQuery {
                max_keys: 1000,
                ..ListQuery::default()
            })
            .await,
        expected
    );
}

#[tokio::test]
async fn a_file_put_there_by_hand_is_an_object() {
    let bench = bench().await;
    fs::write(bench.folder.path().join("liverec/by-hand.mp4"), b"hello").expect("file");
    let info = bench
        .store
        .head("liverec", "by-hand.mp4")
        .await
        .expect("head")
        .expect("there");
    assert_eq!(
        (info.etag.as_str(), info.size),
        ("5d41402abc4b2a76b9719d911017c592", 5)
    );
    fs::write(bench.folder.path().join("liverec/by-hand.mp4"), b"edited").expect("file");
    let info = bench
        .store
        .head("liverec", "by-hand.mp4")
        .await
        .expect("head")
        .expect("there");
    assert_eq!(info.size, 6);
    assert_ne!(info.etag, "5d41402abc4b2a76b9719d911017c592");
}

#[tokio::test]
async fn adopting_moves_the_file_and_respects_what_is_there() {
    let bench = bench().await;
    let path = bench.folder.path().join("finished.ts");
    fs::write(&path, b"hello").expect("file");
    let info = bench
        .store
        .adopt_file("liverec", "r/1.ts", &path, NewObject::default(), true)
        .await
        .expect("adopt");
    assert_eq!(info.size, 5);
    assert!(!path.exists());
    let head = bench
        .store
        .head("liverec", "r/1.ts")
        .await
        .expect("head")
        .expect("there");
    assert_eq!(head.etag, "5d41402abc4b2a76b9719d911017c592");

    fs::write(&path, b"other").expect("file");
    let refused = bench
        .store
        .adopt_file("liverec", "r/1.ts", &path, NewObject::default(), true)
        .await;
    assert!(matches!(refused, Err(FolderError::AlreadyExists(_))));
    assert!(path.exists());
    bench
        .store
        .adopt_file("liverec", "r/1.ts", &path, NewObject::default(), false)
        .await
        .expect("replace");
    assert_eq!(bench.get("r/1.ts").await, b"other");
    let nowhere = bench
        .store
        .adopt_file("absent", "k", &path, NewObject::default(), false)
        .await;
    assert!(matches!(
        nowhere,
        Err(FolderError::Io(_) | FolderError::NoSuchBucket(_))
    ));
}

#[tokio::test]
async fn of_writers_that_must_not_replace_one_wins() {
    let bench = bench().await;
    let mut writers = Vec::new();
    for number in 0..8_u8 {
        let store = bench.store.clone();
        let finished = bench.draft(vec![number]).await;
        writers.push(tokio::spawn(async move {
            store
                .commit(
                    "liverec",
                    "once",
                    finished,
                    NewObject::default(),
                    Replace::Never,
                )
                .await
                .is_ok()
        }));
    }
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.expect("writer"));
    }
    assert_eq!(won, 1);
    assert_eq!(bench.leftovers(), 0);
}

#[tokio::test]
async fn appending_grows_an_object_from_its_end_only() {
    let bench = bench().await;
    let meta = || NewObject::default();
    let first = bench
        .store
        .append(
            "liverec",
            "log",
            0,
            bench.draft(b"12345".to_vec()).await,
            meta(),
        )
        .await;
    assert_eq!(first.expect("first").kind, ObjectKind::Appendable);
    let wrong = bench
        .store
        .append(
            "liverec",
            "log",
            3,
            bench.draft(b"x".to_vec()).await,
            meta(),
        )
        .await;
    assert!(matches!(
        wrong,
        Err(FolderError::PositionNotEqualToLength { length: 5 })
    ));
    let second = bench
        .store
        .append(
            "liverec",
            "log",
            5,
            bench.draft(b"6789".to_vec()).await,
            meta(),
        )
        .await;
    let second = second.expect("second");
    assert_eq!((second.size, second.crc64), (9, 0x995D_C9BB_DF19_39FA));
    assert_eq!(bench.get("log").await, b"123456789");
    bench.put("plain", b"x").await;
    let refused = bench
        .store
        .append(
            "liverec",
            "plain",
            1,
            bench.draft(b"x".to_vec()).await,
            meta(),
        )
        .await;
    assert!(matches!(refused, Err(FolderError::ObjectNotAppendable)));
}

#[tokio::test]
async fn a_crash_in_an_append_leaves_the_old_object() {
    let bench = bench().await;
    let meta = || NewObject::default();
    bench
        .store
        .append(
            "liverec",
            "log",
            0,
            bench.draft(b"12345".to_vec()).await,
            meta(),
        )
        .await
        .expect("first");
    // What is on disk when the process dies between the new record and the end of the new bytes.
    let side_path = bench.folder.path().join(".localyun/meta/liverec/log%meta");
    let mut side = record::Sidecar::read(&side_path)
        .expect("read")
        .expect("there");
    let old = side.current.clone();
    side.current.append_from = Some(5);
    side.current.stamp = record::Stamp {
        size: 9,
        modified_ns: 1,
    };
    side.previous = Some(old);
    fs::remove_file(&side_path).expect("old record");
    record::write_json(&side_path, &side).expect("record");
    fs::write(bench.folder.path().join("liverec/log"), b"1234567").expect("torn");

    let reopened = Bench {
        store: FolderStore::open(bench.folder.path().to_owned()).expect("reopen"),
        ..bench
    };
    assert_eq!(reopened.get("log").await, b"12345");
    reopened
        .store
        .set_acl("liverec", "log", Acl::PublicRead)
        .await
        .expect("acl");
    let info = reopened
        .store
        .head("liverec", "log")
        .await
        .expect("head")
        .expect("there");
    assert_eq!(
        (info.size, info.kind, info.meta.acl),
        (5, ObjectKind::Appendable, Acl::PublicRead)
    );
    let third = reopened
        .store
        .append(
            "liverec",
            "log",
            5,
            reopened.draft(b"6789".to_vec()).await,
            meta(),
        )
        .await;
    assert_eq!(third.expect("append").crc64, 0x995D_C9BB_DF19_39FA);
}

#[tokio::test]
async fn a_crash_between_record_and_bytes_leaves_the_old_object_whole() {
    let bench = bench().await;
    let meta = NewObject {
        content_type: Some("a/b".into()),
        ..NewObject::default()
    };
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"old"))]);
    let old = bench
        .store
        .put_stream("liverec", "k", meta, body)
        .await
        .expect("put");
    let side_path = bench.folder.path().join(".localyun/meta/liverec/k%meta");
    let side = record::Sidecar::read(&side_path)
        .expect("read")
        .expect("there");
    let mut newer = side.current.clone();
    newer.stamp.modified_ns += 1;
    newer.meta.content_type = Some("new/type".into());
    fs::remove_file(&side_path).expect("old record");
    let both = record::Sidecar {
        current: newer,
        previous: Some(side.current),
    };
    record::write_json(&side_path, &both).expect("record");
    assert_eq!(
        bench.store.head("liverec", "k").await.expect("head"),
        Some(old)
    );
}

#[tokio::test]
async fn opening_removes_unfinished_writes() {
    let bench = bench().await;
    fs::write(bench.folder.path().join(".localyun/tmp/left"), b"x").expect("leftover");
    assert_eq!(bench.leftovers(), 1);
    FolderStore::open(bench.folder.path().to_owned()).expect("reopen");
    assert_eq!(bench.leftovers(), 0);
}

#[tokio::test]
async fn a_dropped_draft_leaves_nothing() {
    let bench = bench().await;
    let mut draft = bench.store.draft().await.expect("draft");
    draft
        .write(Bytes::from(vec![0; 600_000]))
        .await
        .expect("write");
    assert_eq!(bench.leftovers(), 1);
    drop(draft);
    assert_eq!(bench.leftovers(), 0);
}

#[tokio::test]
async fn parts_join_in_order_with_the_multipart_etag() {
    let bench = bench().await;
    let id = bench
        .store
        .initiate_upload("liverec", "m.ts", NewObject::default())
        .await
        .expect("initiate");
    let mut chosen = Vec::new();
    let mut whole = Vec::new();
    for number in 1..=3_u8 {
        let bytes = vec![number; 102_400];
        whole.extend_from_slice(&bytes);
        let finished = bench.draft(bytes).await;
        let part = bench
            .store
            .put_part("liverec", "m.ts", &id, number.into(), finished)
            .await
            .expect("part");
        chosen.push((u32::from(number), part.etag().to_uppercase()));
    }
    let page = bench
        .store
        .list_parts("liverec", "m.ts", &id, 1, 1)
        .await
        .expect("parts");
    assert_eq!((page.parts.len(), page.truncated), (1, true));
    let mut reversed = chosen.clone();
    reversed.reverse();
    let wrong = bench
        .store
        .complete_upload("liverec", "m.ts", &id, Some(reversed), Replace::Always)
        .await;
    assert!(matches!(wrong, Err(FolderError::InvalidPartOrder)));
    let info = bench
        .store
        .complete_upload("liverec", "m.ts", &id, Some(chosen), Replace::Always)
        .await
        .expect("join");
    assert!(info.etag.ends_with("-3"), "{}", info.etag);
    assert_eq!(bench.get("m.ts").await, whole);
    let crc64 = bench.draft(whole).await.crc64;
    assert_eq!(info.crc64, crc64);
    let gone = bench.store.list_parts("liverec", "m.ts", &id, 0, 10).await;
    assert!(matches!(gone, Err(FolderError::NoSuchUpload(_))));
}

#[tokio::test]
async fn parts_are_bounded_in_number_and_size() {
    let bench = bench().await;
    let id = bench
        .store
        .initiate_upload("liverec", "m", NewObject::default())
        .await
        .expect("initiate");
    for number in [0, 10_001] {
        let refused = bench
            .store
            .put_part("liverec", "m", &id, number, bench.draft(vec![1]).await)
            .await;
        assert!(matches!(refused, Err(FolderError::InvalidPartOrder)));
    }
    for number in [1, 10_000] {
        bench
            .store
            .put_part("liverec", "m", &id, number, bench.draft(vec![1]).await)
            .await
            .expect("part");
    }
    let small = bench
        .store
        .complete_upload("liverec", "m", &id, None, Replace::Always)
        .await;
    assert!(matches!(
        small,
        Err(FolderError::EntityTooSmall {
            number: 1,
            size: 1,
            ..
        })
    ));
    for id in ["../../x", "0", &"G".repeat(32)] {
        assert!(matches!(
            bench.store.abort_upload("liverec", "m", id).await,
            Err(FolderError::NoSuchUpload(_))
        ));
    }
    bench
        .store
        .abort_upload("liverec", "m", &id)
        .await
        .expect("abort");
}

#[tokio::test]
async fn open_uploads_are_listed_page_by_page() {
    let bench = bench().await;
    for key in ["a/1", "a/2", "b", "b", "c"] {
        bench
            .store
            .initiate_upload("liverec", key, NewObject::default())
            .await
            .expect("initiate");
    }
    let mut query = UploadQuery {
        max_uploads: 2,
        ..UploadQuery::default()
    };
    let mut keys = Vec::new();
    loop {
        let page = bench
            .store
            .list_uploads("liverec", query.clone())
            .await
            .expect("list");
        keys.extend(page.uploads.into_iter().map(|upload| upload.key));
        let Some((key, id)) = page.next else { break };
        (query.key_marker, query.upload_id_marker) = (key, id);
    }
    assert_eq!(keys, ["a/1", "a/2", "b", "b", "c"]);
    let rolled = UploadQuery {
        delimiter: "/".into(),
        max_uploads: 10,
        ..UploadQuery::default()
    };
    let page = bench
        .store
        .list_uploads("liverec", rolled)
        .await
        .expect("list");
    assert_eq!(
        (page.uploads.len(), page.common_prefixes),
        (3, vec!["a/".to_owned()])
    );
}

#[tokio::test]
async fn copies_keep_or_replace_metadata_but_never_the_acl() {
    let bench = bench().await;
    bench.put("from", b"hello").await;
    bench
        .store
        .set_acl("liverec", "from", Acl::PublicRead)
        .await
        .expect("acl");
    let copy = bench
        .store
        .copy(
            ("liverec", "from"),
            ("liverec", "to"),
            None,
            Replace::Always,
        )
        .await
        .expect("copy");
    assert_eq!(
        (copy.etag.as_str(), copy.meta.acl),
        ("5d41402abc4b2a76b9719d911017c592", Acl::Default)
    );
    assert_eq!(bench.get("to").await, b"hello");
    let missing = bench
        .store
        .copy(
            ("liverec", "absent"),
            ("liverec", "to"),
            None,
            Replace::Always,
        )
        .await;
    assert!(matches!(missing, Err(FolderError::NoSuchKey(_))));
}

#[tokio::test]
async fn buckets_are_private_exclusive_and_deleted_only_when_empty() {
    let bench = bench().await;
    assert_eq!(
        bench.store.bucket("liverec").await.expect("bucket").acl,
        Acl::Private
    );
    let again = bench.store.create_bucket("liverec", Acl::Private).await;
    assert!(matches!(again, Err(FolderError::BucketAlreadyExists(_))));
    let bad = bench.store.create_bucket("../x", Acl::Private).await;
    assert!(matches!(bad, Err(FolderError::InvalidBucketName(_))));
    bench.put("a/b", b"x").await;
    assert!(matches!(
        bench.store.delete_bucket("liverec").await,
        Err(FolderError::BucketNotEmpty(_))
    ));
    bench.store.delete("liverec", "a/b").await.expect("delete");
    bench
        .store
        .delete_bucket("liverec")
        .await
        .expect("delete bucket");
    assert!(!bench.store.bucket_exists("liverec").await.expect("exists"));
    assert!(matches!(
        bench.store.head("liverec", "a").await,
        Err(FolderError::NoSuchBucket(_))
    ));
}

#[tokio::test]
async fn clearing_removes_every_bucket() {
    let bench = bench().await;
    bench.put("a", b"x").await;
    bench
        .store
        .create_bucket("second", Acl::PublicRead)
        .await
        .expect("bucket");
    bench.store.clear().await.expect("clear");
    assert!(bench.store.list_buckets().await.expect("list").is_empty());
    bench
        .store
        .create_bucket("liverec", Acl::Default)
        .await
        .expect("bucket");
    assert_eq!(bench.store.head("liverec", "a").await.expect("head"), None);
}

#[tokio::test]
async fn a_reader_keeps_the_version_it_opened() {
    let bench = bench().await;
    bench.put("k", b"first").await;
    let everything = |info: &ObjectInfo| Ok::<_, FolderError>((1, info.size));
    let (info, reader) = bench
        .store
        .read("liverec", "k", everything)
        .await
        .expect("read");
    bench.put("k", b"second version").await;
    assert_eq!((info.size, reader.length()), (5, 4));
    let mut blocks = std::pin::pin!(reader.into_stream());
    assert_eq!(
        blocks.next().await.expect("block").expect("bytes"),
        Bytes::from_static(b"irst")
    );
    assert!(blocks.next().await.is_none());
}
