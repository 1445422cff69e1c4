//! Multipart uploads.

use super::*;

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
        .complete_upload("liverec", "m.ts", &id, completion(Some(reversed)))
        .await;
    assert!(matches!(wrong, Err(FolderError::InvalidPartOrder)));
    let info = bench
        .store
        .complete_upload("liverec", "m.ts", &id, completion(Some(chosen)))
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
        .complete_upload("liverec", "m", &id, completion(None))
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

/// The files of an upload, as they lie in its folder.
fn files_of(bench: &Bench, id: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = bench.folder.path().join(".localyun/uploads/liverec");
    fs::read_dir(folder.join(id))
        .expect("an open upload")
        .map(|entry| entry.expect("entry").path())
        .map(|path| (path.clone(), fs::read(path).expect("file")))
        .collect()
}

/// An upload with one part.
async fn with_a_part(bench: &Bench) -> String {
    let id = bench
        .store
        .initiate_upload("liverec", "m", NewObject::default())
        .await
        .expect("initiate");
    let part = bench.draft(vec![1; 10]).await;
    bench
        .store
        .put_part("liverec", "m", &id, 1, part)
        .await
        .expect("part");
    id
}

#[tokio::test]
async fn an_upload_that_is_completed_twice_at_once_is_one_object() {
    let bench = bench().await;
    let id = with_a_part(&bench).await;
    let files = files_of(&bench, &id);
    let once = || Completion {
        replace: Replace::Never,
        ..completion(None)
    };
    let complete = async || {
        bench
            .store
            .complete_upload("liverec", "m", &id, once())
            .await
    };
    let first = complete().await.expect("first");
    // As whoever came while the first was still putting the object in its place finds it.
    let folder = files[0].0.parent().expect("folder");
    fs::create_dir(folder).expect("folder");
    for (path, bytes) in &files {
        fs::write(path, bytes).expect("file");
    }
    assert_eq!(complete().await.expect("second"), first);
    assert!(!folder.exists());
    assert_eq!(bench.leftovers(), 0);

    let id = with_a_part(&bench).await;
    let other = bench
        .store
        .complete_upload("liverec", "m", &id, once())
        .await;
    assert!(matches!(other, Err(FolderError::AlreadyExists(_))));
}

#[tokio::test]
async fn a_part_is_replaced_and_the_parts_have_the_size_that_was_told() {
    let bench = bench().await;
    let cold = NewObject {
        storage_class: StorageClass::InfrequentAccess,
        ..NewObject::default()
    };
    let id = bench
        .store
        .initiate_upload("liverec", "m", cold)
        .await
        .expect("initiate");
    for (number, length) in [(12, 7), (1, 102_400), (12, 5), (12, 3)] {
        let part = bench.draft(vec![2; length]).await;
        bench
            .store
            .put_part("liverec", "m", &id, number, part)
            .await
            .expect("part");
    }
    // The manifest, and a part of each number.
    assert_eq!(files_of(&bench, &id).len(), 3);
    let page = bench
        .store
        .list_parts("liverec", "m", &id, 0, 10)
        .await
        .expect("parts");
    let told: Vec<_> = page
        .parts
        .iter()
        .map(|part| (part.number, part.size))
        .collect();
    assert_eq!(told, [(1, 102_400), (12, 3)]);
    assert_eq!(page.storage_class, StorageClass::InfrequentAccess);
    let uploads = bench
        .store
        .list_uploads(
            "liverec",
            UploadQuery {
                max_uploads: 1,
                ..UploadQuery::default()
            },
        )
        .await
        .expect("uploads");
    assert_eq!(
        uploads.uploads[0].storage_class,
        StorageClass::InfrequentAccess
    );
    let of_size = async |size| {
        let how = Completion {
            size: Some(size),
            ..completion(None)
        };
        bench.store.complete_upload("liverec", "m", &id, how).await
    };
    let refused = of_size(102_402).await;
    assert!(matches!(
        refused,
        Err(FolderError::OtherSize {
            wanted: 102_402,
            size: 102_403
        })
    ));
    assert_eq!(of_size(102_403).await.expect("join").size, 102_403);
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

fn completion(chosen: Option<Vec<(u32, String)>>) -> Completion {
    Completion {
        chosen,
        etag: EtagForm::OfDigests,
        acl: None,
        size: None,
        replace: Replace::Always,
    }
}
