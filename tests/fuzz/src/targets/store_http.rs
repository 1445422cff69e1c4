//! The object store's port as a whole, on a folder: requests with any keys, documents, forms and policies. No answer is a
//! failure of the server, what was put is there under its key and no other, and nothing outside the buckets is touched.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use actix_web::{App, body::to_bytes, http::Method, rt::Runtime, test};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use localyun::testing::config::AccessKey;
use localyun::testing::identity::KeyRing;
use localyun::testing::objects::folder::{Acl, FolderStore};
use localyun::testing::objects::serve::{ServeState, configure};
use localyun::testing::wire::percent;
use sha1::Sha1;
use tempfile::TempDir;

use crate::input::Input;

/// 2026-11-22T15:10:56Z.
const NOW_MS: i64 = 1_795_360_256_000;
const MOST_REQUESTS: usize = 8;
const WITNESS: &[u8] = b"nobody may touch this";

fn keys() -> KeyRing {
    KeyRing::new(vec![AccessKey {
        id: "testid".to_owned(),
        secret: "testsecret".to_owned(),
        token: None,
        disabled: false,
    }])
}

struct World {
    runtime: Runtime,
    folder: TempDir,
    store: FolderStore,
}

impl World {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        let folder = folder.expect("a temporary folder");
        std::fs::write(folder.path().join("witness"), WITNESS).expect("the folder can be written");
        let store = FolderStore::open_with_clock(folder.path().join("root"), Arc::new(|| NOW_MS));
        Self {
            runtime: Runtime::new().expect("a runtime"),
            store: store.expect("an empty store opens"),
            folder,
        }
    }

    fn check(&self) {
        let outside: Vec<_> = std::fs::read_dir(self.folder.path())
            .expect("the folder")
            .flatten()
            .collect();
        assert_eq!(outside.len(), 2, "{outside:?}");
        let witness = std::fs::read(self.folder.path().join("witness"));
        assert_eq!(witness.expect("the witness"), WITNESS);
    }
}

struct Answer {
    status: u16,
    body: Bytes,
}

struct Port<'a> {
    state: &'a ServeState,
}

impl Port<'_> {
    async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut state = self.state.clone();
        state.strict = headers.iter().any(|(name, _)| *name == "x-strict");
        let app = test::init_service(App::new().configure(configure(state))).await;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        // What no HTTP parser lets through cannot be built here either.
        let uri: actix_web::http::Uri = target.parse().ok()?;
        let mut request = test::TestRequest::default()
            .method(method)
            .uri(&uri.to_string())
            .insert_header(("content-length", body.len().to_string()))
            .set_payload(Bytes::copy_from_slice(body));
        request = request.insert_header(("host", "127.0.0.1:9000"));
        for (name, value) in headers {
            let name = actix_web::http::header::HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = actix_web::http::header::HeaderValue::from_bytes(value.as_bytes()).ok()?;
            request = request.append_header((name, value));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap_or_default();
        assert!(
            status < 500 || status == 501,
            "{status} for {target}: {}",
            String::from_utf8_lossy(&body)
        );
        if status >= 400 && !body.is_empty() {
            assert!(body.starts_with(b"<?xml") || status == 400, "{body:?}");
        }
        Some(Answer { status, body })
    }
}

fn path(key: &str) -> String {
    format!("/one/{}", percent::encode(key).replace("%2F", "/"))
}

fn form(input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |name: &str, value: &[u8]| {
        body.extend_from_slice(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    };
    let policy = STANDARD.encode(input.counted());
    let mut mac = Hmac::<Sha1>::new_from_slice(b"testsecret").expect("a key of any length");
    mac.update(policy.as_bytes());
    part("OSSAccessKeyId", b"testid");
    part("policy", policy.as_bytes());
    part(
        "Signature",
        STANDARD.encode(mac.finalize().into_bytes()).as_bytes(),
    );
    part("key", input.counted());
    part(&input.text(), input.counted());
    part("file", input.counted());
    body.extend_from_slice(b"--b--\r\n");
    body
}

async fn one(port: &Port<'_>, input: &mut Input<'_>, upload: &mut String) -> Option<()> {
    let kind = input.u8() % 16;
    let key = input.text();
    let target = path(&key);
    match kind {
        0 | 1 => {
            let body = input.counted();
            let put = port.ask("PUT", &target, &[], body).await?;
            // An empty key is the bucket's own address.
            if put.status == 200 && !key.is_empty() {
                let got = port.ask("GET", &target, &[], &[]).await?;
                assert_eq!((got.status, got.body.as_ref()), (200, body), "{key:?}");
                let listed = format!("/one?list-type=2&prefix={}", percent::encode(&key));
                let page = port.ask("GET", &listed, &[], &[]).await?;
                let count = page
                    .body
                    .windows(10)
                    .filter(|window| window == b"<Contents>")
                    .count();
                assert!(page.status == 200 && count > 0, "{key:?} is not listed");
            }
        }
        2 => {
            let gone = port.ask("DELETE", &target, &[], &[]).await?;
            if gone.status == 204 && !key.is_empty() {
                let got = port.ask("GET", &target, &[], &[]).await?;
                assert_eq!(got.status, 404, "{key:?}");
            }
        }
        3 => drop(
            port.ask("POST", "/one?delete", &[], input.counted())
                .await?,
        ),
        4 => drop(port.ask("PUT", "/one?cors", &[], input.counted()).await?),
        5 => drop(
            port.ask("PUT", &format!("{target}?tagging"), &[], input.counted())
                .await?,
        ),
        6 => {
            let answer = port
                .ask("POST", &format!("{target}?uploads"), &[], &[])
                .await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let id = text
                .split_once("<UploadId>")
                .and_then(|(_, rest)| rest.split_once('<'));
            upload.clone_from(&id.map_or(String::new(), |(id, _)| id.to_owned()));
        }
        7 => {
            let target = format!("{target}?partNumber={}&uploadId={upload}", input.u8() % 4);
            port.ask("PUT", &target, &[], input.counted()).await?;
        }
        8 => drop(
            port.ask(
                "POST",
                &format!("{target}?uploadId={upload}"),
                &[],
                input.counted(),
            )
            .await?,
        ),
        9 => {
            let headers = [("content-type", "multipart/form-data; boundary=b")];
            port.ask("POST", "/one/", &headers, input.counted()).await?;
        }
        10 => {
            let body = form(input);
            let headers = [
                ("content-type", "multipart/form-data; boundary=b"),
                ("x-strict", "1"),
            ];
            port.ask("POST", "/one/", &headers, &body).await?;
        }
        11 => {
            let (delimiter, token) = (
                percent::encode(&input.text()),
                percent::encode(&input.text()),
            );
            let target = format!(
                "/one?list-type=2&max-keys={}&prefix={}&delimiter={delimiter}&start-after={token}",
                input.u8(),
                percent::encode(&key)
            );
            port.ask("GET", &target, &[], &[]).await?;
        }
        12 => {
            let target = format!("{target}?append&position={}", input.u8() % 8);
            port.ask("POST", &target, &[], input.counted()).await?;
        }
        13 => {
            let source = percent::encode(&input.text()).replace("%2F", "/");
            port.ask("PUT", &target, &[("x-oss-copy-source", &source)], &[])
                .await?;
        }
        14 => {
            let (name, value) = (input.line(), input.line());
            port.ask("GET", &target, &[(name, value)], &[]).await?;
        }
        _ => {
            let method =
                ["GET", "PUT", "DELETE", "HEAD", "POST", "OPTIONS"][usize::from(input.u8() % 6)];
            let (target, name, value) = (input.line(), input.line(), input.line());
            port.ask(method, target, &[(name, value)], input.counted())
                .await?;
        }
    }
    Some(())
}

fn drive(world: &World, data: &[u8]) {
    world.runtime.block_on(async {
        world.store.clear().await.expect("the store can be emptied");
        world
            .store
            .create_bucket("one", Acl::Private)
            .await
            .expect("a new bucket");
        let state = ServeState {
            store: world.store.clone(),
            keys: Arc::new(keys()),
            clock: Arc::new(|| NOW_MS),
            offset_at: Arc::new(|_| 0),
            faults: Arc::new(|_| None),
            strict: false,
            public_host: None,
            own_names: Default::default(),
        };
        let port = Port { state: &state };
        let mut input = Input::new(data);
        let mut upload = String::new();
        for _ in 0..MOST_REQUESTS {
            if input.is_empty() {
                break;
            }
            one(&port, &mut input, &mut upload).await;
        }
    });
    world.check();
}

pub fn run(data: &[u8]) {
    thread_local! {
        static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    }
    WORLD.with_borrow_mut(|world| drive(world.get_or_insert_with(World::new), data));
}
