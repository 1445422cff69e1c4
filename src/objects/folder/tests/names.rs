//! Buckets, keys as files, and listings.

use super::*;

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
async fn links_among_the_metadata_are_not_followed() {
    let bench = bench().await;
    bench.put("in/a", b"a").await;
    let outside = tempfile::tempdir().expect("outside");
    fs::create_dir(outside.path().join("deep")).expect("an empty folder");
    let metadata = bench.folder.path().join(".localyun/meta/liverec/in");
    fs::remove_dir_all(&metadata).expect("the store's own");
    std::os::unix::fs::symlink(outside.path(), &metadata).expect("link");

    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"b"))]);
    let put = bench
        .store
        .put_stream("liverec", "in/b", NewObject::default(), body)
        .await;
    let listed = bench
        .store
        .set_acl("liverec", "in/a", Acl::PublicRead)
        .await;
    for refused in [put.map(drop), listed] {
        let error = refused.expect_err("behind the link");
        assert!(error.to_string().contains("in is a link"), "{error}");
    }
    let data = bench.folder.path().join("liverec/in");
    assert!(!data.join("b").exists());
    fs::create_dir(data.join("deep")).expect("folder");
    fs::write(data.join("deep/c"), b"by hand").expect("file");
    let deleted = bench.store.delete("liverec", "in/deep/c").await;
    assert!(deleted.expect("delete"));
    assert!(!data.join("deep").exists());
    let left: Vec<_> = fs::read_dir(outside.path())
        .expect("outside")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(left, ["deep"]);
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

/// Draws numbers that look random and are the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn text(&mut self, longest: usize) -> String {
        let letters = ["a", "b", "/", "/", "-", "%", "长", "."];
        let length = self.below(longest + 1);
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }
}

/// What a listing says by its definition: keys, and prefixes once, behind `after`.
fn by_definition(keys: &[String], query: &ListQuery) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for key in keys {
        if !key.starts_with(&query.prefix) || *key <= query.after {
            continue;
        }
        let rest = &key[query.prefix.len()..];
        let rolled = match rest.find(&query.delimiter) {
            Some(at) if !query.delimiter.is_empty() => {
                key[..query.prefix.len() + at + query.delimiter.len()].to_owned()
            }
            _ => key.clone(),
        };
        if rolled != query.after && told.last() != Some(&rolled) {
            told.push(rolled);
        }
    }
    told
}

#[tokio::test]
async fn listings_are_what_their_definition_says() {
    let mut draws = Draws(7);
    for _ in 0..6 {
        let bench = bench().await;
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..25 {
            let key = draws.text(7);
            if !key.is_empty() {
                bench.put(&key, b"x").await;
                keys.push(key);
            }
        }
        keys.sort();
        keys.dedup();
        for _ in 0..120 {
            let delimiters = ["", "/", "-", "//", "a"];
            let query = ListQuery {
                prefix: draws.text(3),
                delimiter: delimiters[draws.below(delimiters.len())].to_owned(),
                after: draws.text(5),
                max_keys: 1 + draws.below(4),
            };
            let told = bench.keys(query.clone()).await;
            assert_eq!(told, by_definition(&keys, &query), "{query:?} of {keys:?}");
        }
    }
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
async fn a_file_that_is_no_object_keeps_its_bucket() {
    let long = "长".repeat(70);
    for name in ["100%.mp4", "%41.ts", "a/50%off.ts", long.as_str(), "a%00"] {
        let bench = bench().await;
        let path = bench.folder.path().join("liverec").join(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(&path, b"only here").expect("file");
        let everything = ListQuery {
            max_keys: 10,
            ..ListQuery::default()
        };
        assert!(bench.keys(everything.clone()).await.is_empty(), "{name}");
        let folders = ListQuery {
            delimiter: "/".into(),
            ..everything
        };
        assert!(bench.keys(folders).await.is_empty(), "{name}");
        let refused = bench.store.delete_bucket("liverec").await;
        assert!(
            matches!(refused, Err(FolderError::BucketNotEmpty(_))),
            "{name}"
        );
        assert_eq!(fs::read(&path).expect("still there"), b"only here");
        fs::remove_file(&path).expect("by hand");
        fs::create_dir_all(bench.folder.path().join("liverec/x/y%z/1")).expect("folders");
        fs::create_dir_all(bench.folder.path().join("liverec/x/2")).expect("folders");
        bench
            .store
            .delete_bucket("liverec")
            .await
            .expect("empty folders go with it");
        assert!(!bench.folder.path().join("liverec").exists());
    }
}

#[tokio::test]
async fn a_file_deeper_than_keys_go_is_in_no_listing() {
    let bench = bench().await;
    bench.put("z", b"x").await;
    let deep = bench.folder.path().join("liverec").join("a".repeat(150));
    let deep = (0..7).fold(deep, |path, _| path.join("b".repeat(150)));
    fs::create_dir_all(&deep).expect("folders");
    fs::write(deep.join("c"), b"deep").expect("file");
    let everything = ListQuery {
        max_keys: 10,
        ..ListQuery::default()
    };
    assert_eq!(bench.keys(everything).await, ["z"]);
    bench.store.usage("liverec").await.expect("usage");
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
