//! Access control lists and tags.

use super::Context;
use super::acl::OWNER;
use super::acl::{self, Target};
use super::answer::Answer;
use super::body;
use super::buckets::owner;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::xml::{self, Tagging};
use crate::folder::{Acl, FolderError};

/// Tags of one object, as in the product.
const MAX_TAGS: usize = 10;
/// Characters of a tag's key.
const MAX_TAG_KEY: usize = 128;
/// Characters of a tag's value.
const MAX_TAG_VALUE: usize = 256;

fn acl_document(context: &Context<'_>, acl: Acl) -> Answer {
    let mut xml = context.dialect().document("AccessControlPolicy");
    owner(&mut xml);
    match context.dialect() {
        Dialect::Oss => xml.nest("AccessControlList", |xml| {
            xml.text("Grant", acl.as_str());
        }),
        Dialect::S3 => {
            let everybody = match acl {
                Acl::PublicRead => &["READ"][..],
                Acl::PublicReadWrite => &["READ", "WRITE"],
                Acl::Default | Acl::Private => &[],
            };
            let instance = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
            xml.nest("AccessControlList", |xml| {
                xml.nest("Grant", |xml| {
                    xml.verbatim(&format!(
                        "<Grantee {instance} xsi:type=\"CanonicalUser\"><ID>{OWNER}</ID><DisplayName>{OWNER}</DisplayName></Grantee>"
                    ))
                    .text("Permission", "FULL_CONTROL");
                });
                for permission in everybody {
                    xml.nest("Grant", |xml| {
                        xml.verbatim(&format!(
                            "<Grantee {instance} xsi:type=\"Group\">\
                             <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
                        ))
                        .text("Permission", permission);
                    });
                }
            })
        }
    };
    Answer::xml(xml)
}

/// `GetBucketAcl`.
pub async fn get_bucket_acl(context: &Context<'_>) -> Result<Answer, ServeError> {
    let acl = context.store().bucket(context.bucket()).await?.acl;
    Ok(acl_document(context, acl))
}

/// `PutBucketAcl`. OSS makes the bucket where there is none.
pub async fn put_bucket_acl(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let body = body::document(context, payload).await?;
    let bucket = context.bucket();
    let acl = match context.dialect() {
        // Without a list the bucket keeps the one it has.
        Dialect::Oss => match acl::in_headers(context, Target::Bucket)? {
            Some(acl) => acl,
            None => match context.store().bucket(bucket).await {
                Ok(held) => held.acl,
                Err(FolderError::NoSuchBucket(_)) => Acl::Private,
                Err(error) => return Err(error.into()),
            },
        },
        Dialect::S3 => acl::asked(context, Target::Bucket, &body)?,
    };
    match context.store().set_bucket_acl(bucket, acl).await {
        Err(FolderError::NoSuchBucket(_)) if context.dialect() == Dialect::Oss => {
            context.store().create_bucket(bucket, acl).await?;
        }
        other => other?,
    }
    let answer = Answer::empty(200);
    Ok(match context.dialect() {
        Dialect::Oss => answer.header("location", format!("/{bucket}")),
        Dialect::S3 => answer,
    })
}

/// `GetObjectACL`.
pub async fn get_object_acl(context: &Context<'_>) -> Result<Answer, ServeError> {
    let acl = context.store().acl(context.bucket(), context.key()).await?;
    Ok(acl_document(
        context,
        acl.ok_or_else(|| no_such_key(context))?,
    ))
}

/// `PutObjectACL`.
pub async fn put_object_acl(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let body = body::document(context, payload).await?;
    let acl = acl::asked(context, Target::Object, &body)?;
    context
        .store()
        .set_acl(context.bucket(), context.key(), acl)
        .await?;
    Ok(Answer::empty(200))
}

pub fn no_such_key(context: &Context<'_>) -> ServeError {
    FolderError::NoSuchKey(context.key().to_owned()).into()
}

/// `GetObjectTagging`.
pub async fn get_tagging(context: &Context<'_>) -> Result<Answer, ServeError> {
    let info = context
        .store()
        .head(context.bucket(), context.key())
        .await?
        .ok_or_else(|| no_such_key(context))?;
    let mut tags = info.meta.tags;
    if context.dialect() == Dialect::S3 {
        tags.sort_unstable();
    }
    let mut xml = context.dialect().document("Tagging");
    xml.nest("TagSet", |xml| {
        for (key, value) in &tags {
            xml.nest("Tag", |xml| {
                xml.text("Key", key).text("Value", value);
            });
        }
    });
    Ok(Answer::xml(xml))
}

/// `PutObjectTagging`.
pub async fn put_tagging(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let body = body::document(context, payload).await?;
    let tags = tags_in_document(context.dialect(), &body)?;
    context
        .store()
        .set_tags(context.bucket(), context.key(), tags)
        .await?;
    Ok(Answer::empty(200))
}

/// `DeleteObjectTagging`.
pub async fn delete_tagging(context: &Context<'_>) -> Result<Answer, ServeError> {
    context
        .store()
        .set_tags(context.bucket(), context.key(), Vec::new())
        .await?;
    Ok(Answer::empty(204))
}

/// The tags of a document.
pub fn tags_in_document(
    dialect: Dialect,
    body: &[u8],
) -> Result<Vec<(String, String)>, ServeError> {
    let document: Tagging = xml::parse(body)?;
    let tags = document.set.tags.into_iter();
    checked(dialect, tags.map(|tag| (tag.key, tag.value)).collect())
}

/// The tags of an `x-oss-tagging` header, written like a query.
pub fn tags_in_header(dialect: Dialect, text: &str) -> Result<Vec<(String, String)>, ServeError> {
    checked(
        dialect,
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .take(MAX_TAGS + 1)
            .collect(),
    )
}

/// Whether a tag may hold a character: letters, digits, the space, and a few signs, of which S3 has one more.
fn is_of_tags(dialect: Dialect, character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/')
        || (dialect == Dialect::S3 && character == '@')
}

fn checked(
    dialect: Dialect,
    tags: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, ServeError> {
    let invalid = |message: &'static str| Err(ServeError::new(Code::InvalidTag, message));
    if tags.len() > MAX_TAGS {
        return invalid("An object can have 10 tags at most.");
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        if key.is_empty()
            || key.chars().count() > MAX_TAG_KEY
            || value.chars().count() > MAX_TAG_VALUE
        {
            return invalid("A tag's key must have 1 to 128 characters and its value at most 256.");
        }
        let mut characters = key.chars().chain(value.chars());
        if !characters.all(|character| is_of_tags(dialect, character)) {
            return invalid("A tag may hold letters, digits, spaces and + - = . _ : / only.");
        }
        if tags.iter().take(at).any(|(earlier, _)| earlier == key) {
            return invalid("A tag's key must not come twice.");
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_held_to_their_limits() {
        assert_eq!(
            tags_in_header(Dialect::Oss, "a=1&b=%E4%B8%AD+x").expect("tags"),
            [
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), "中 x".to_owned())
            ]
        );
        let many = |count: usize| {
            (0..count)
                .map(|number| format!("k{number}=v"))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert!(tags_in_header(Dialect::Oss, &many(10)).is_ok());
        assert!(tags_in_header(Dialect::Oss, &many(11)).is_err());
        assert!(tags_in_header(Dialect::Oss, "a=1&a=2").is_err());
        assert!(tags_in_header(Dialect::Oss, &format!("{}=1", "k".repeat(128))).is_ok());
        assert!(tags_in_header(Dialect::Oss, &format!("{}=1", "k".repeat(129))).is_err());
        assert!(tags_in_header(Dialect::Oss, &format!("k={}", "v".repeat(257))).is_err());
        for (dialect, text, is_fine) in [
            (Dialect::Oss, "a%2B-%3D._%3A/+1=%E4%B8%AD", true),
            (Dialect::Oss, "k=", true),
            (Dialect::Oss, "%25abc=1", false),
            (Dialect::Oss, "a=%25", false),
            (Dialect::Oss, "a%40b=1", false),
            (Dialect::S3, "a%40b=1", true),
            (Dialect::S3, "a=1%00", false),
        ] {
            assert_eq!(tags_in_header(dialect, text).is_ok(), is_fine, "{text}");
        }
    }
}
