//! `PostObject`: a browser's form (multipart/form-data, RFC 7578) whose last field is the file.

use actix_web::web::Bytes;
use bytes::{Buf, BytesMut};

use super::acl::{Target, canned_acl};
use super::answer::Answer;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::metadata::{tags_in_document, tags_in_header};
use super::name;
use super::object_write::{class, kept};
use super::post_policy::{self, Acting, Fields};
use super::request::check_header;
use super::sign::Now;
use super::unsupported::is_unsupported;
use super::xml::Xml;
use super::{Context, access, body, pace};
use crate::folder::{Finished, NewObject, Replace};

/// Bytes of all fields before the file, names and headers included.
const MAX_FIELDS_BYTES: usize = 64 * 1024;
/// Fields before the file.
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
        let boundary = parameter(content_type, "boundary")
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

/// A parameter of a Content-Disposition or Content-Type. A value in quotes may hold what would end one without; `\"` and `\\` stand for the character
/// behind, and any other backslash for itself, since browsers write the paths of Windows so.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text.split_once(';')?.1;
    loop {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (value, after) = match behind.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                let (value, after) = behind.split_at(end);
                (value.trim_end().to_owned(), after)
            }
        };
        if name
            .trim_matches([' ', '\t', ';'])
            .eq_ignore_ascii_case(wanted)
        {
            return Some(value);
        }
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push(character),
            },
            plain => value.push(plain),
        }
    }
    None
}

/// `PostObject`.
pub async fn post_object(
    context: &Context<'_>,
    payload: &mut body::Body,
    now: Now<'_>,
) -> Result<Answer, ServeError> {
    context.store().bucket(context.bucket()).await?;
    let content_type = context.request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    if !media_type
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return Err(malformed("it is not multipart/form-data"));
    }
    let mut form = Form::new(content_type, payload)?;
    let delimiter = form.delimiter.clone();
    // What stands before the first part is nobody's (RFC 2046 section 5.1.1).
    form.until(&delimiter, MAX_FIELDS_BYTES).await?;
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
    let base_name = file
        .file_name
        .as_deref()
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let key = fields
        .get("key")
        .filter(|key| !key.is_empty())
        .ok_or_else(|| ServeError::argument("key", "", "The form has no field key."))?
        .replace("${filename}", base_name);
    let dialect = post_policy::dialect(&fields);
    if let Some(name) = fields.keys().find(|name| is_unsupported(dialect, name)) {
        return Err(ServeError::not_implemented(name));
    }
    let (least, most) = if fields.contains_key("policy") && context.state.strict {
        let acting = Acting {
            bucket: context.bucket(),
            key: &key,
            file_type: file.content_type.as_deref(),
        };
        post_policy::check(&fields, acting, context.state.keys.as_ref(), now)?
    } else {
        if context.state.strict {
            access::write(context, &key).await?;
        }
        (0, u64::MAX)
    };
    if dialect == Dialect::Oss {
        name::check(&key)?;
    }
    let field = |name: &str| fields.get(name).map(String::as_str);
    let meta = new_object(context, &fields, file.content_type, dialect).await?;
    let never = field("x-oss-forbid-overwrite") == Some("true");
    if let (Dialect::Oss, Some(text)) = (dialect, field(pace::NAME)) {
        form.payload.keep_pace(Some(pace::Pace::parse(text)?));
    }
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

    // In the words of whoever signed the form.
    let etag = dialect.etag(&info.etag);
    // A bucket that the host names does not stand in the path.
    let location = format!(
        "http://{}{}/{}",
        context.request.header("host").unwrap_or_default(),
        super::sign::encode_path(context.request.path.trim_end_matches('/')),
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
            let mut xml = Xml::new("PostResponse", None, dialect.has_references());
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

/// What the form says of the object; only words of its own dialect count, which are those that its policy speaks of.
async fn new_object(
    context: &Context<'_>,
    fields: &Fields,
    file_type: Option<String>,
    dialect: Dialect,
) -> Result<NewObject, ServeError> {
    let words = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let named_class = fields.get(&format!("{}storage-class", dialect.prefix()));
    let content_type = fields
        .get("content-type")
        .cloned()
        .or(file_type)
        .unwrap_or_else(|| dialect.plain_type().to_owned());
    check_header("content-type", &content_type)?;
    let mut meta = NewObject {
        content_type: Some(content_type),
        storage_class: class(context, dialect, named_class.map(String::as_str)).await?,
        ..kept(dialect, words)?
    };
    let (acl, tags) = match dialect {
        Dialect::Oss => ("x-oss-object-acl", fields.get("x-oss-tagging")),
        Dialect::S3 => ("acl", None),
    };
    if let Some(word) = fields.get(acl) {
        meta.acl = canned_acl(dialect, Target::Object, acl, word)?;
    }
    if let Some(text) = tags {
        meta.tags = tags_in_header(dialect, text)?;
    }
    if let (Dialect::S3, Some(document)) = (dialect, fields.get("tagging")) {
        meta.tags = tags_in_document(dialect, document.as_bytes())?;
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn a_quoted_name_may_hold_what_ends_one_without_quotes() {
        let name = |text: &str| parameter(text, "filename");
        for (text, wanted) in [
            ("form-data; name=\"file\"; filename=\"a;b.txt\"", "a;b.txt"),
            (
                "form-data; filename=\"a=b; name=x\"; name=\"file\"",
                "a=b; name=x",
            ),
            ("form-data; name=file; filename=plain.txt", "plain.txt"),
            ("form-data;name=file;filename = plain.txt ", "plain.txt"),
            (
                "form-data; filename=\"say \\\"hi\\\".txt\"",
                "say \"hi\".txt",
            ),
            ("form-data; filename=\"C:\\dir\\a.txt\"", "C:\\dir\\a.txt"),
            ("form-data; filename=\"\"", ""),
            ("form-data; Filename=\"A.txt\"", "A.txt"),
        ] {
            assert_eq!(name(text).as_deref(), Some(wanted), "{text}");
            if text.contains("name=\"file\"") {
                assert_eq!(parameter(text, "name").as_deref(), Some("file"), "{text}");
            }
        }
        for text in [
            "form-data",
            "form-data; name=\"x\"",
            "form-data; filename=\"open",
        ] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
