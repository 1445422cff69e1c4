//! The control state on its way out: settings first, then rows and objects a page at a time, a line each.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::objects::folder::{FolderStore, ListQuery};
use crate::services::Services;
use crate::store::StoreError;
use crate::store::records::Page;

/// Bytes that are written together.
const PIECE: usize = 64 * 1024;
/// Bytes of an object in one text of base64: a multiple of three, so that the texts could be put together.
const OBJECT_PIECE: usize = 48 * 1024;
/// Rows and objects that are read together.
const ROWS: u64 = 1_000;
const OBJECTS: usize = 200;

/// Why the state could not be told to its end.
///
/// # What to do
/// The answer has begun: it is broken off, so that nobody takes the half of a state for the whole. `Gone` is the reader's own end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Objects(#[from] crate::objects::folder::FolderError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Nobody reads any more.
    #[error("the reader is gone")]
    Gone,
}

/// Where pieces go.
pub(super) struct Out {
    to: mpsc::Sender<io::Result<Bytes>>,
    text: Vec<u8>,
    /// A part, or a row of it, was written before.
    behind: bool,
}

impl Out {
    pub(super) fn new(to: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self {
            to,
            text: b"{".to_vec(),
            behind: false,
        }
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        let text = std::mem::take(&mut self.text);
        self.to
            .send(Ok(text.into()))
            .await
            .map_err(|_| Broken::Gone)
    }

    fn name(&mut self, name: &str) -> Result<(), Broken> {
        let joint: &[u8] = if std::mem::replace(&mut self.behind, true) {
            b",\n  "
        } else {
            b"\n  "
        };
        self.text.extend_from_slice(joint);
        serde_json::to_writer(&mut self.text, name)?;
        self.text.extend_from_slice(b": ");
        Ok(())
    }

    /// A member that is small, or a list of which each row gets a line.
    async fn member(&mut self, name: &str, value: &Value) -> Result<(), Broken> {
        let Value::Array(rows) = value else {
            self.name(name)?;
            serde_json::to_writer(&mut self.text, value)?;
            return Ok(());
        };
        let mut list = self.list(name)?;
        for row in rows {
            list.row(row).await?;
        }
        list.end();
        Ok(())
    }

    fn list(&mut self, name: &str) -> Result<List<'_>, Broken> {
        self.name(name)?;
        self.text.push(b'[');
        Ok(List {
            out: self,
            behind: false,
        })
    }

    async fn end(mut self) -> Result<(), Broken> {
        self.text.extend_from_slice(b"\n}\n");
        self.flush().await
    }
}

/// A list under way.
struct List<'a> {
    out: &'a mut Out,
    behind: bool,
}

impl List<'_> {
    fn line(&mut self) {
        let joint: &[u8] = if std::mem::replace(&mut self.behind, true) {
            b",\n    "
        } else {
            b"\n    "
        };
        self.out.text.extend_from_slice(joint);
    }

    async fn row(&mut self, row: &impl Serialize) -> Result<(), Broken> {
        self.line();
        serde_json::to_writer(&mut self.out.text, row)?;
        self.flush_if_long().await
    }

    async fn flush_if_long(&mut self) -> Result<(), Broken> {
        if self.out.text.len() >= PIECE {
            self.out.flush().await?;
        }
        Ok(())
    }

    fn end(self) {
        let close: &[u8] = if self.behind { b"\n  ]" } else { b"]" };
        self.out.text.extend_from_slice(close);
    }
}

/// Writes everything. `settings` are the parts that are small; objects come from the embedded store, where they are wanted.
pub(super) async fn all(
    mut out: Out,
    settings: Map<String, Value>,
    services: &Services,
    objects: Option<&FolderStore>,
) -> Result<(), Broken> {
    for (name, value) in &settings {
        out.member(name, value).await?;
    }
    let store = &services.store;
    macro_rules! rows {
        ($name:literal, $page:ident) => {{
            let mut list = out.list($name)?;
            let mut page = Page::first(ROWS);
            loop {
                let rows = store.$page(&page).await?;
                for row in &rows {
                    list.row(row).await?;
                }
                match rows.last() {
                    Some(last) if rows.len() as u64 == ROWS => page = Page::behind(&last.id, ROWS),
                    _ => break,
                }
            }
            list.end();
        }};
    }
    // Rows of a recording come into being in the order session, slice, file: read the other way round, none is without what it belongs to.
    rows!("files", file_rows);
    rows!("slices", slice_rows);
    rows!("sessions", session_rows);
    if let Some(folder) = objects {
        write_objects(&mut out, folder).await?;
    }
    out.end().await
}

async fn write_objects(out: &mut Out, folder: &FolderStore) -> Result<(), Broken> {
    let mut list = out.list("objects")?;
    for bucket in folder.bucket_names().await? {
        let mut after = String::new();
        loop {
            let query = ListQuery {
                after: after.clone(),
                max_keys: OBJECTS,
                ..ListQuery::default()
            };
            let page = folder.list(&bucket, query).await?;
            for info in &page.objects {
                write_object(&mut list, folder, &bucket, &info.key).await?;
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
    }
    list.end();
    Ok(())
}

async fn write_object(
    list: &mut List<'_>,
    folder: &FolderStore,
    bucket: &str,
    key: &str,
) -> Result<(), Broken> {
    let opened = folder
        .read(bucket, key, |info| {
            Ok::<_, crate::objects::folder::FolderError>((0, info.size))
        })
        .await;
    // Deleted since the page was read.
    let Ok((info, reader)) = opened else {
        return Ok(());
    };
    list.line();
    let mut head = json!({"bucket": bucket, "key": key, "meta": info.meta}).to_string();
    // The object goes on.
    head.pop();
    let text = &mut list.out.text;
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(b", \"base64\": [");
    let mut blocks = std::pin::pin!(reader.into_stream());
    let mut rest: Vec<u8> = Vec::new();
    let mut behind = false;
    while let Some(block) = blocks.next().await {
        rest.extend_from_slice(&block?);
        while rest.len() >= OBJECT_PIECE {
            let piece: Vec<u8> = rest.drain(..OBJECT_PIECE).collect();
            write_piece(list, &piece, &mut behind);
            list.flush_if_long().await?;
        }
    }
    if !rest.is_empty() {
        write_piece(list, &rest, &mut behind);
    }
    list.out.text.extend_from_slice(b"]}");
    list.flush_if_long().await
}

fn write_piece(list: &mut List<'_>, piece: &[u8], behind: &mut bool) {
    let text = &mut list.out.text;
    let joint: &[u8] = if std::mem::replace(behind, true) {
        b",\""
    } else {
        b"\""
    };
    text.extend_from_slice(joint);
    text.extend_from_slice(STANDARD.encode(piece).as_bytes());
    text.push(b'"');
}
