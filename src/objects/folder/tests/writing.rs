//! Objects from writing to reading, crashes in between included.

use super::*;

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
async fn adopting_moves_the_file_and_respects_what_is_there() {
    let bench = bench().await;
    let path = bench.folder.path().join("finished.ts");
    fs::write(&path, b"hello").expect("file");
    let file = Adopted {
        path: &path,
        crc64: 0x40f0_22f7_ff49_57f6,
    };
    let info = bench
        .store
        .adopt_file(
            "liverec",
            "r/1.ts",
            file,
            NewObject::default(),
            Replace::Never,
        )
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
    assert_eq!((head.crc64, head.kind), (file.crc64, ObjectKind::Multipart));
    assert_eq!(head.etag, info.etag);
    assert!(
        head.etag.ends_with("-1"),
        "no MD5 is claimed: {}",
        head.etag
    );

    fs::write(&path, b"other").expect("file");
    let refused = bench
        .store
        .adopt_file(
            "liverec",
            "r/1.ts",
            file,
            NewObject::default(),
            Replace::Never,
        )
        .await;
    assert!(matches!(refused, Err(FolderError::AlreadyExists(_))));
    assert!(path.exists());
    bench
        .store
        .adopt_file(
            "liverec",
            "r/1.ts",
            file,
            NewObject::default(),
            Replace::Always,
        )
        .await
        .expect("replace");
    assert_eq!(bench.get("r/1.ts").await, b"other");
    let nowhere = bench
        .store
        .adopt_file("absent", "k", file, NewObject::default(), Replace::Always)
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
            None,
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
            None,
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
            None,
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
            None,
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
            None,
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
    record::write_json(&side_path, &side, true).expect("record");
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
            None,
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
    record::write_json(&side_path, &both, true).expect("record");
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
async fn copies_keep_or_replace_metadata_but_never_the_acl() {
    let bench = bench().await;
    bench.put("from", b"hello").await;
    bench
        .store
        .set_acl("liverec", "from", Acl::PublicRead)
        .await
        .expect("acl");
    let source = bench.store.source("liverec", "from").await.expect("there");
    let copy = bench
        .store
        .copy(
            source,
            ("liverec", "to"),
            None,
            Replace::Always,
            EtagForm::OfEtags,
        )
        .await
        .expect("copy");
    assert_eq!(
        (copy.etag.as_str(), copy.meta.acl),
        ("5d41402abc4b2a76b9719d911017c592", Acl::Default)
    );
    assert_eq!(bench.get("to").await, b"hello");
    let missing = bench.store.source("liverec", "absent").await;
    assert!(matches!(missing, Err(FolderError::NoSuchKey(_))));
}

#[tokio::test]
async fn a_copy_is_of_the_version_that_was_opened() {
    let bench = bench().await;
    bench.put("from", b"first").await;
    let source = bench.store.source("liverec", "from").await.expect("there");
    let decided_on = source.info.clone();
    bench.put("from", b"second version").await;
    let copy = bench
        .store
        .copy(
            source,
            ("liverec", "to"),
            None,
            Replace::Always,
            EtagForm::OfEtags,
        )
        .await
        .expect("copy");
    assert_eq!((copy.size, &copy.etag), (5, &decided_on.etag));
    assert_eq!(bench.get("to").await, b"first");
}

#[tokio::test]
async fn a_copy_of_an_appended_object_has_the_digest_of_its_bytes() {
    let bench = bench().await;
    bench.append("log", 0, b"1234").await.expect("first");
    let appended = bench.append("log", 4, b"56789").await.expect("second");
    let source = bench.store.source("liverec", "log").await.expect("there");
    let copy = bench
        .store
        .copy(
            source,
            ("liverec", "to"),
            None,
            Replace::Always,
            EtagForm::OfEtags,
        )
        .await
        .expect("copy");
    assert_eq!(
        (copy.kind, copy.etag.as_str(), copy.crc64),
        (
            ObjectKind::Normal,
            "25f9e794323b453885f5181f1b624d0b",
            appended.crc64
        )
    );
}

#[tokio::test]
async fn a_copy_of_an_object_of_parts_has_the_etag_of_its_copier() {
    let bench = bench().await;
    let file = bench.folder.path().join("recorded");
    fs::write(&file, b"hello").expect("file");
    let adopted = Adopted {
        path: &file,
        crc64: 7,
    };
    let made = bench
        .store
        .adopt_file(
            "liverec",
            "from",
            adopted,
            NewObject::default(),
            Replace::Always,
        )
        .await
        .expect("adopted");
    let of_parts = made.etag.as_str();
    for (form, kind, etag) in [
        (EtagForm::OfEtags, ObjectKind::Multipart, of_parts),
        (
            EtagForm::OfDigests,
            ObjectKind::Normal,
            "5d41402abc4b2a76b9719d911017c592",
        ),
    ] {
        let source = bench.store.source("liverec", "from").await.expect("there");
        let copy = bench
            .store
            .copy(source, ("liverec", "to"), None, Replace::Always, form)
            .await
            .expect("copy");
        assert_eq!((copy.kind, copy.etag.as_str()), (kind, etag));
        assert_eq!((copy.size, copy.crc64), (5, made.crc64));
    }
}

#[tokio::test]
async fn an_appended_object_that_is_edited_by_hand_is_what_the_hand_wrote() {
    let bench = bench().await;
    let path = bench.folder.path().join("liverec/log");
    bench.append("log", 0, b"12345").await.expect("first");
    bench.append("log", 5, b"6789").await.expect("second");
    fs::write(&path, b"123456789 and by hand").expect("edited");
    assert_eq!(bench.get("log").await, b"123456789 and by hand");
    let refused = bench.append("log", 5, b"x").await;
    assert!(matches!(refused, Err(FolderError::ObjectNotAppendable)));
    assert_eq!(
        fs::read(&path).expect("read"),
        b"123456789 and by hand",
        "nothing is cut off"
    );
}

#[tokio::test]
async fn a_crash_behind_the_bytes_of_an_append_leaves_the_new_object() {
    let bench = bench().await;
    bench.append("log", 0, b"12345").await.expect("first");
    let side_path = bench.folder.path().join(".localyun/meta/liverec/log%meta");
    bench.append("log", 5, b"6789").await.expect("second");
    let side = record::Sidecar::read(&side_path).expect("read");
    let mut side = side.expect("there");
    assert_eq!(side.current.append_from, None);
    // What is on disk when the process dies before the record is written once more.
    side.current.append_from = Some(5);
    fs::remove_file(&side_path).expect("last record");
    record::write_json(&side_path, &side, true).expect("record");
    assert_eq!(bench.get("log").await, b"123456789");
    let third = bench.append("log", 9, b"0").await.expect("third");
    assert_eq!(third.size, 10);
    assert_eq!(bench.get("log").await, b"1234567890");
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
