//! `PostObject`: a browser's form (multipart/form-data, RFC 7578) whose last field is the file.

use std::collections::BTreeMap;

use actix_web::web::Bytes;
use bytes::{Buf, BytesMut};

use super::answer::Answer;
use super::code::Code;
use super::error::ServeError;
use super::object_write::KEPT_HEADERS;
use super::post_policy::{self, Fields};
use super::sign::Now;
use super::xml::Xml;
use super::{Context, access, body};
use crate::objects::folder::{Acl, Finished, NewObject, Replace};

/// Bytes of all fields before the file, names and headers included.
const MAX_FIELDS_BYTES: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;

/// Cuts a form into its parts as the bytes arrive.
struct Form<'a> {
    payload: &'a mut body::Body,
    buffer: BytesMut,
    /// Line end, two dashes, the boundary.
    delimiter: Vec<u8>,
}

/// Headers of a part.
struct Head {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
}

fn malformed(what: &str) -> ServeError {
    ServeError::new(
        Code::MalformedPostRequest,
        format!("The body of your POST request is not well-formed: {what}."),
    )
}

impl<'a> Form<'a> {
    fn new(content_type: &str, payload: &'a mut body::Body) -> Result<Self, ServeError> {
        let boundary = content_type
            .split(';')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim_matches('"'))
            .filter(|boundary| (1..=70).contains(&boundary.len()))
            .ok_or_else(|| malformed("it has no boundary"))?;
        // The first delimiter has no line end before it; this one makes it look like the others.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Ok(Self {
            payload,
            buffer,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
        })
    }

    async fn more(&mut self) -> Result<(), ServeError> {
        match self.payload.next().await {
            Some(bytes) => self.buffer.extend_from_slice(&bytes?),
            None => return Err(malformed("it ends early")),
        }
        Ok(())
    }

    fn find(&self, wanted: &[u8]) -> Option<usize> {
        self.buffer
            .windows(wanted.len())
            .position(|window| window == wanted)
    }

    /// Takes everything before `mark` and the mark itself, `limit` bytes at most.
    async fn until(&mut self, mark: &[u8], limit: usize) -> Result<BytesMut, ServeError> {
        loop {
            if let Some(at) = self.find(mark).filter(|at| *at <= limit) {
                let taken = self.buffer.split_to(at);
                self.buffer.advance(mark.len());
                return Ok(taken);
            }
            if self.buffer.len() > limit + mark.len() {
                return Err(ServeError::of(Code::FieldItemTooLong));
            }
            self.more().await?;
        }
    }

    /// The headers of the next part; none behind the last.
    async fn next_head(&mut self) -> Result<Option<Head>, ServeError> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        let text = self.until(b"\r\n\r\n", MAX_FIELDS_BYTES).await?;
        let text = String::from_utf8(text.to_vec())
            .map_err(|_| malformed("a part's headers are not UTF-8"))?;
        let header = |wanted: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            lines
                .into_iter()
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
        };
        let disposition =
            header("content-disposition").ok_or_else(|| malformed("a part has no name"))?;
        let name = parameter(disposition, "name").ok_or_else(|| malformed("a part has no name"))?;
        Ok(Some(Head {
            name: name.to_ascii_lowercase(),
            file_name: parameter(disposition, "filename"),
            content_type: header("content-type").map(str::to_owned),
        }))
    }

    /// Streams the part up to the next delimiter into a draft.
    async fn file(
        &mut self,
        context: &Context<'_>,
        least: u64,
        most: u64,
    ) -> Result<Finished, ServeError> {
        let mut draft = context.store().draft().await?;
        loop {
            let found = self.find(&self.delimiter);
            // What could be the start of a delimiter stays until more is known.
            let sure =
                found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len()));
            let bytes: Bytes = self.buffer.split_to(sure).freeze();
            if !bytes.is_empty() {
                if draft.size() + bytes.len() as u64 > most {
                    return Err(body::too_large(
                        "Your proposed upload exceeds the maximum allowed size",
                    ));
                }
                body::store_part(&mut draft, bytes).await?;
            }
            if found.is_some() {
                break;
            }
            self.more().await?;
        }
        if draft.size() < least {
            return Err(ServeError::new(
                Code::EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size",
            ));
        }
        Ok(draft.finish().await?)
    }
}

/// A quoted parameter of a Content-Disposition.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let value = text
        .split(';')
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| *name == wanted)?
        .1;
    Some(value.trim_matches('"').to_owned())
}

/// `PostObject`.
pub async fn post_object(
    context: &Context<'_>,
    payload: &mut body::Body,
    now: Now<'_>,
) -> Result<Answer, ServeError> {
    context.store().bucket(context.bucket()).await?;
    let content_type = context.request.header("content-type").unwrap_or_default();
    if !content_type.starts_with("multipart/form-data") {
        return Err(malformed("it is not multipart/form-data"));
    }
    let mut form = Form::new(content_type, payload)?;
    let delimiter = form.delimiter.clone();
    form.until(&delimiter, 0).await?;
    let mut fields = Fields::new();
    let mut room = MAX_FIELDS_BYTES;
    let file = loop {
        let Some(head) = form.next_head().await? else {
            return Err(malformed("it has no field file"));
        };
        if head.name == "file" {
            break head;
        }
        let value = form.until(&delimiter, room).await?;
        room = room.saturating_sub(value.len() + head.name.len());
        let value =
            String::from_utf8(value.to_vec()).map_err(|_| malformed("a field is not UTF-8"))?;
        fields.insert(head.name, value);
        if fields.len() > MAX_FIELDS {
            return Err(malformed("it has more than 100 fields"));
        }
    };
    let field = |name: &str| fields.get(name).map(String::as_str);
    let (least, most) = if field("policy").is_some() && context.state.strict {
        post_policy::check(&fields, context.bucket(), context.state.keys.as_ref(), now)?
    } else {
        if context.state.strict {
            access::write(context).await?;
        }
        (0, u64::MAX)
    };
    let key = field("key")
        .ok_or_else(|| ServeError::argument("key", "", "The form has no field key."))?;
    let base_name = file
        .file_name
        .as_deref()
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let key = key.replace("${filename}", base_name);
    let meta = new_object(&fields, file.content_type)?;
    let never = field("x-oss-forbid-overwrite") == Some("true");
    context.store().check_target(context.bucket(), &key).await?;
    let finished = form.file(context, least, most).await?;
    let replace = if never {
        Replace::Never
    } else {
        Replace::Always
    };
    let info = context
        .store()
        .commit(context.bucket(), &key, finished, meta, replace)
        .await?;
    form.payload.drain().await;

    let etag = context.dialect().etag(&info.etag);
    let location = format!(
        "http://{}/{}/{}",
        context.request.header("host").unwrap_or_default(),
        context.bucket(),
        super::sign::encode_path(&key)
    );
    let answer = match (
        field("success_action_redirect"),
        field("success_action_status"),
    ) {
        (Some(target), _) if url::Url::parse(target).is_ok() => {
            let mut target =
                url::Url::parse(target).map_err(|_| malformed("the redirect is no URL"))?;
            target
                .query_pairs_mut()
                .append_pair("bucket", context.bucket())
                .append_pair("key", &key)
                .append_pair("etag", &etag);
            Answer::empty(303).header("location", target.as_str())
        }
        (_, Some("201")) => {
            let mut xml = Xml::new("PostResponse", None);
            xml.text("Bucket", context.bucket())
                .text("Location", &location)
                .text("Key", &key)
                .text("ETag", &etag);
            Answer::xml(xml).status(201).header("location", location)
        }
        (_, Some("200")) => Answer::empty(200).header("location", location),
        _ => Answer::empty(204).header("location", location),
    };
    Ok(answer
        .header("etag", etag)
        .header("x-oss-hash-crc64ecma", info.crc64.to_string()))
}

fn new_object(fields: &Fields, file_type: Option<String>) -> Result<NewObject, ServeError> {
    let mut meta = NewObject {
        content_type: fields.get("content-type").cloned().or(file_type),
        ..NewObject::default()
    };
    let mut user_metadata = BTreeMap::new();
    for (name, value) in fields {
        if let Some(own) = name
            .strip_prefix("x-oss-meta-")
            .or(name.strip_prefix("x-amz-meta-"))
        {
            user_metadata.insert(own.to_owned(), value.clone());
        } else if KEPT_HEADERS.contains(&name.as_str()) {
            meta.headers.insert(name.clone(), value.clone());
        }
    }
    meta.user_metadata = user_metadata;
    if let Some(word) = fields.get("x-oss-object-acl").or(fields.get("acl")) {
        meta.acl = Acl::parse(word).ok_or_else(|| {
            ServeError::argument(
                "x-oss-object-acl",
                word,
                "The ACL is not one of the product's.",
            )
        })?;
    }
    Ok(meta)
}
