//! What a request says of who may use a bucket or object: a canned list by name, grants in headers, or a document of grants. Localyun keeps
//! canned lists only, so grants are taken where they come to the same as one, and refused by name where they do not.

use super::Context;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::request::Request;
use super::xml::{self, AccessControlPolicy};
use crate::folder::Acl;

/// The owner in every document; there is one account.
pub const OWNER: &str = "1234567890123456";

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// Grants of one request at most, as in S3.
const MAX_GRANTS: usize = 100;

/// Headers of S3 that grant, and what.
const GRANT_HEADERS: [(&str, &str); 5] = [
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-write", "WRITE"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
    ("x-amz-grant-full-control", "FULL_CONTROL"),
];

/// What a list is for: the header that names it differs, and only objects can leave it to their bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Bucket,
    Object,
}

impl Target {
    fn header(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Object, Dialect::Oss) => "x-oss-object-acl",
            (Self::Bucket, Dialect::Oss) => "x-oss-acl",
            (_, Dialect::S3) => "x-amz-acl",
        }
    }
}

/// The list that a request's headers ask for; none when they say nothing of it.
pub fn in_headers(context: &Context<'_>, target: Target) -> Result<Option<Acl>, ServeError> {
    let dialect = context.dialect();
    let header = target.header(dialect);
    // Some SDKs send the header without a word where none was set.
    let canned = context.request.header(header);
    let canned = canned.filter(|word| dialect == Dialect::S3 || !word.is_empty());
    let granted = match dialect {
        Dialect::Oss => None,
        Dialect::S3 => granted(context.request)?,
    };
    match (canned, granted) {
        (Some(_), Some(_)) => Err(ServeError::new(
            Code::InvalidRequest,
            "Specifying both Canned ACLs and Header Grants is not allowed",
        )),
        (Some(word), None) => canned_acl(dialect, target, header, word).map(Some),
        (None, granted) => Ok(granted),
    }
}

/// The list that a request asks for in its headers or, in S3, in its body.
pub fn asked(context: &Context<'_>, target: Target, body: &[u8]) -> Result<Acl, ServeError> {
    if let Some(acl) = in_headers(context, target)? {
        return Ok(acl);
    }
    let dialect = context.dialect();
    if dialect == Dialect::S3 && !body.is_empty() {
        return in_document(body);
    }
    Err(match dialect {
        Dialect::S3 => ServeError::new(
            Code::MissingSecurityHeader,
            "Your request was missing a required header: x-amz-acl, x-amz-grant-*, or a list in the body.",
        ),
        Dialect::Oss => ServeError::new(
            Code::MissingArgument,
            format!("The ACL is set by the header {}.", target.header(dialect)),
        ),
    })
}

/// A canned list by its name in a dialect. There is one account, so what S3 grants to a bucket's owner besides is held already.
pub fn canned_acl(
    dialect: Dialect,
    target: Target,
    argument: &str,
    word: &str,
) -> Result<Acl, ServeError> {
    let acl = match (dialect, word) {
        (Dialect::S3, "bucket-owner-read" | "bucket-owner-full-control") => Some(Acl::Private),
        (Dialect::S3, "authenticated-read" | "aws-exec-read" | "log-delivery-write") => {
            return Err(ServeError::not_implemented(&format!("{argument}: {word}")));
        }
        (Dialect::S3, "default") => None,
        _ => Acl::parse(word),
    };
    acl.filter(|acl| target == Target::Object || *acl != Acl::Default)
        .ok_or_else(|| {
            let default = if dialect == Dialect::Oss && target == Target::Object {
                "default, "
            } else {
                ""
            };
            ServeError::argument(
                argument,
                word,
                format!("The ACL must be {default}private, public-read or public-read-write."),
            )
        })
}

/// The list that holds for a key: that of the object there wins over the bucket's. Whether a key exists is told only to those who may list
/// or read it.
async fn of_key(context: &Context<'_>, key: &str) -> Result<Acl, ServeError> {
    let bucket = context.store().bucket(context.bucket()).await?;
    let own = context.store().acl(context.bucket(), key).await?;
    Ok(own.filter(|own| *own != Acl::Default).unwrap_or(bucket.acl))
}

/// Whether anybody may read the object of a key.
pub async fn is_readable(context: &Context<'_>, key: &str) -> Result<bool, ServeError> {
    Ok(of_key(context, key).await?.lets_anyone_read())
}

/// Whether anybody may make, replace or delete the object of a key.
pub async fn is_writable(context: &Context<'_>, key: &str) -> Result<bool, ServeError> {
    Ok(of_key(context, key).await? == Acl::PublicReadWrite)
}

/// The refusal of a caller whom no list lets in.
pub fn refused() -> ServeError {
    ServeError::denied("You have no right to access this object because of bucket acl.")
}

/// One grant.
struct Grant {
    grantee: Grantee,
    permission: String,
}

enum Grantee {
    Owner,
    Everybody,
    Other(String),
}

impl Grantee {
    fn of(kind: &str, value: &str) -> Self {
        match (kind, value) {
            ("id", OWNER) => Self::Owner,
            ("uri", EVERYBODY) => Self::Everybody,
            (_, other) => Self::Other(other.chars().take(128).collect()),
        }
    }
}

/// The list that the grants of a request's headers come to.
fn granted(request: &Request) -> Result<Option<Acl>, ServeError> {
    let mut grants = Vec::new();
    for (header, permission) in GRANT_HEADERS {
        let Some(text) = request.header(header) else {
            continue;
        };
        for grantee in text.split(',').take(MAX_GRANTS + 1) {
            let (kind, value) = grantee.split_once('=').ok_or_else(|| {
                ServeError::argument(
                    header,
                    text,
                    "A grant must read: id=\"...\" or uri=\"...\".",
                )
            })?;
            let kind = kind.trim().to_ascii_lowercase();
            grants.push(Grant {
                grantee: Grantee::of(&kind, value.trim().trim_matches('"')),
                permission: permission.to_owned(),
            });
        }
    }
    if grants.is_empty() {
        return Ok(None);
    }
    canned_of(&grants).map(Some)
}

/// The list that a document of grants comes to.
fn in_document(body: &[u8]) -> Result<Acl, ServeError> {
    let policy: AccessControlPolicy = xml::parse(body)?;
    let grants: Vec<_> = policy
        .list
        .grants
        .into_iter()
        .map(|grant| {
            let grantee = grant.grantee;
            let (kind, value) = [
                ("uri", grantee.uri),
                ("id", grantee.id),
                ("emailaddress", grantee.email),
            ]
            .into_iter()
            .find_map(|(kind, value)| Some((kind, value?)))
            .ok_or_else(ServeError::malformed_xml)?;
            Ok(Grant {
                grantee: Grantee::of(kind, value.trim()),
                permission: grant.permission.trim().to_owned(),
            })
        })
        .collect::<Result<_, ServeError>>()?;
    canned_of(&grants)
}

/// The canned list that grants come to. Nothing is ever kept from the owner.
fn canned_of(grants: &[Grant]) -> Result<Acl, ServeError> {
    if grants.len() > MAX_GRANTS {
        return Err(ServeError::malformed_xml());
    }
    let (mut read, mut write) = (false, false);
    for grant in grants {
        match (&grant.grantee, grant.permission.as_str()) {
            (_, permission) if !GRANT_HEADERS.iter().any(|(_, known)| *known == permission) => {
                return Err(ServeError::malformed_xml());
            }
            (Grantee::Owner, _) => {}
            (Grantee::Everybody, "READ") => read = true,
            (Grantee::Everybody, "WRITE") => write = true,
            (Grantee::Everybody, permission) => return Err(no_canned(permission, "everybody")),
            (Grantee::Other(name), permission) => return Err(no_canned(permission, name)),
        }
    }
    match (read, write) {
        (false, false) => Ok(Acl::Private),
        (true, false) => Ok(Acl::PublicRead),
        (true, true) => Ok(Acl::PublicReadWrite),
        (false, true) => Err(no_canned("WRITE without READ", "everybody")),
    }
}

fn no_canned(permission: &str, grantee: &str) -> ServeError {
    ServeError::not_implemented(&format!(
        "grant of {permission} to {grantee} (no canned list comes to that)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_headers(headers: &[(&str, &str)]) -> Result<Option<Acl>, ServeError> {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        granted(&Request::new("PUT", "/b/k", headers).expect("a request"))
    }

    #[test]
    fn grants_that_come_to_a_canned_list_are_that() {
        let everybody = format!("uri=\"{EVERYBODY}\"");
        let owner = format!("id={OWNER}");
        let cases: [(&[(&str, &str)], Acl); 3] = [
            (&[("x-amz-grant-full-control", &owner)], Acl::Private),
            (
                &[
                    ("x-amz-grant-read", &everybody),
                    ("x-amz-grant-full-control", &owner),
                ],
                Acl::PublicRead,
            ),
            (
                &[
                    ("x-amz-grant-read", &everybody),
                    ("x-amz-grant-write", &everybody),
                ],
                Acl::PublicReadWrite,
            ),
        ];
        for (headers, acl) in cases {
            assert_eq!(by_headers(headers).expect("granted"), Some(acl));
        }
        assert_eq!(by_headers(&[]).expect("nothing said"), None);
    }

    #[test]
    fn other_grants_are_refused_by_name() {
        let everybody = format!("uri=\"{EVERYBODY}\"");
        for (header, grantee) in [
            ("x-amz-grant-write", everybody.as_str()),
            ("x-amz-grant-read-acp", &everybody),
            ("x-amz-grant-read", "id=\"somebody\""),
            ("x-amz-grant-read", "emailAddress=\"a@example.com\""),
        ] {
            let refused = by_headers(&[(header, grantee)]).expect_err(header);
            assert_eq!(
                (refused.code.status(), refused.code.as_str()),
                (501, "NotImplemented")
            );
        }
        assert_eq!(
            by_headers(&[("x-amz-grant-read", "x")])
                .expect_err("no pair")
                .code
                .status(),
            400
        );
    }

    #[test]
    fn a_document_of_grants_is_read() {
        let document = |grants: &str| {
            let text = format!(
                "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>{OWNER}</ID></Owner>\
                 <AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
            );
            in_document(text.as_bytes())
        };
        let grant = |grantee: &str, permission: &str| {
            format!(
                "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">{grantee}</Grantee>\
                 <Permission>{permission}</Permission></Grant>"
            )
        };
        let owner = grant(
            &format!("<ID>{OWNER}</ID><DisplayName>me</DisplayName>"),
            "FULL_CONTROL",
        );
        let read = grant(&format!("<URI>{EVERYBODY}</URI>"), "READ");
        assert_eq!(document("").expect("none"), Acl::Private);
        assert_eq!(document(&owner).expect("owner"), Acl::Private);
        assert_eq!(
            document(&(owner.clone() + &read)).expect("read"),
            Acl::PublicRead
        );
        assert_eq!(
            document(&grant("<ID>x</ID>", "READ"))
                .expect_err("other")
                .code
                .status(),
            501
        );
        assert_eq!(
            document(&grant("<ID>x</ID>", "BITE"))
                .expect_err("word")
                .code,
            "MalformedXML"
        );
        assert_eq!(
            in_document(b"<x").expect_err("cut off").code,
            "MalformedXML"
        );
    }
}
