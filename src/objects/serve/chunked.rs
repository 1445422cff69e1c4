//! The body framing `aws-chunked`: `size[;chunk-signature=...]`, bytes, ..., a chunk of size 0, then trailers.
//! Chunk and trailer signatures chain from the request's own signature.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::code::Code;
use super::error::ServeError;
use super::sign::{hmac_sha256, same, v4};

/// Bytes of the longest chunk header or trailer line.
const MAX_LINE: usize = 4 * 1024;
/// Trailer lines at most.
const MAX_TRAILERS: usize = 16;
/// The trailer that signs those before it.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
/// Bytes of the largest chunk.
const MAX_CHUNK: u64 = 5 * 1024 * 1024 * 1024;

/// How a framed body is to be checked.
#[derive(Debug, Clone)]
pub struct Framing {
    signer: Option<Signer>,
}

#[derive(Debug, Clone)]
struct Signer {
    key: Vec<u8>,
    date: String,
    scope: String,
    previous: String,
}

impl Framing {
    /// Chunks without signatures.
    pub fn unsigned() -> Self {
        Self { signer: None }
    }

    /// Chunks that are signed after the request's header.
    pub fn signed(claim: &v4::Claim, key: Vec<u8>) -> Self {
        Self::signed_from(key, &claim.date, &claim.scope, &claim.signature)
    }

    /// As [`Framing::signed`], by the parts that count.
    pub fn signed_from(key: Vec<u8>, date: &str, scope: &str, signature: &str) -> Self {
        let signer = Signer {
            key,
            date: date.to_owned(),
            scope: scope.to_owned(),
            previous: signature.to_owned(),
        };
        Self {
            signer: Some(signer),
        }
    }
}

enum State {
    Header,
    Data {
        left: u64,
        signature: String,
    },
    /// The line end after a chunk's bytes.
    DataEnd {
        signature: String,
    },
    Trailers,
    /// An empty line behind trailers that nobody signed yet: some clients (minio-go) write it in front of the signature.
    SignatureDue,
    Done,
}

/// Takes the frame off a body as it arrives.
pub struct Unframer {
    signer: Option<Signer>,
    state: State,
    buffer: BytesMut,
    hash: Sha256,
    /// Trailers by lower-case name.
    trailers: BTreeMap<String, String>,
    /// Trailer lines, those of one name included.
    trailer_lines: usize,
    signed_text: String,
}

impl Unframer {
    pub fn new(framing: Framing) -> Self {
        Self {
            signer: framing.signer,
            state: State::Header,
            buffer: BytesMut::new(),
            hash: Sha256::new(),
            trailers: BTreeMap::new(),
            trailer_lines: 0,
            signed_text: String::new(),
        }
    }

    /// Takes the next bytes of the body and gives the payload in them. What it gives counts only once `finish`
    /// succeeded: a chunk's signature is checked when its last byte is there.
    pub fn feed(&mut self, bytes: Bytes) -> Result<Vec<Bytes>, ServeError> {
        let mut payload = Vec::new();
        // Payload in the middle of a chunk goes through without a copy.
        let mut bytes = bytes;
        if self.buffer.is_empty()
            && let State::Data { left, .. } = &mut self.state
        {
            let count = usize::try_from(*left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let part = bytes.split_to(count);
            *left -= count as u64;
            if self.signer.is_some() {
                self.hash.update(&part);
            }
            payload.push(part);
        }
        self.buffer.extend_from_slice(&bytes);
        while self.step(&mut payload)? {}
        Ok(payload)
    }

    /// Moves on by one element; false when more bytes are needed.
    fn step(&mut self, payload: &mut Vec<Bytes>) -> Result<bool, ServeError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Header => {
                let Some(line) = self.line()? else {
                    self.state = State::Header;
                    return Ok(false);
                };
                let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
                let size = u64::from_str_radix(size.trim(), 16)
                    .ok()
                    .filter(|size| *size <= MAX_CHUNK)
                    .ok_or_else(|| broken("a chunk size is not hexadecimal or too large"))?;
                let signature = extension
                    .trim()
                    .strip_prefix("chunk-signature=")
                    .unwrap_or_default()
                    .to_owned();
                if size == 0 {
                    self.check_chunk(&signature)?;
                    self.state = State::Trailers;
                } else {
                    self.state = State::Data {
                        left: size,
                        signature,
                    };
                }
            }
            State::Data { left: 0, signature } => self.state = State::DataEnd { signature },
            State::Data { left, signature } => {
                if self.buffer.is_empty() {
                    self.state = State::Data { left, signature };
                    return Ok(false);
                }
                let count = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(self.buffer.len());
                let part = self.buffer.split_to(count).freeze();
                if self.signer.is_some() {
                    self.hash.update(&part);
                }
                payload.push(part);
                self.state = State::Data {
                    left: left - count as u64,
                    signature,
                };
            }
            State::DataEnd { signature } => {
                if self.buffer.len() < 2 {
                    self.state = State::DataEnd { signature };
                    return Ok(false);
                }
                if !self.buffer.starts_with(b"\r\n") {
                    return Err(broken("a chunk is not followed by a line end"));
                }
                self.buffer.advance(2);
                self.check_chunk(&signature)?;
                self.state = State::Header;
            }
            State::Trailers => {
                let Some(line) = self.line()? else {
                    self.state = State::Trailers;
                    return Ok(false);
                };
                let signed = self.trailers.contains_key(TRAILER_SIGNATURE);
                self.state = if line.is_empty() && (signed || self.trailers.is_empty()) {
                    State::Done
                } else if line.is_empty() {
                    State::SignatureDue
                } else {
                    self.trailer(&line)?;
                    State::Trailers
                };
            }
            State::SignatureDue => {
                let Some(line) = self.line()? else {
                    self.state = State::SignatureDue;
                    return Ok(false);
                };
                if line.is_empty() {
                    self.state = State::Done;
                } else {
                    self.trailer(&line)?;
                    if !self.trailers.contains_key(TRAILER_SIGNATURE) {
                        return Err(broken("bytes follow the last chunk"));
                    }
                    self.state = State::Trailers;
                }
            }
            State::Done => {
                // Some clients close the trailers with one more line end than others.
                if self
                    .buffer
                    .iter()
                    .any(|byte| !matches!(byte, b'\r' | b'\n'))
                {
                    return Err(broken("bytes follow the last chunk"));
                }
                self.buffer.clear();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn line(&mut self) -> Result<Option<String>, ServeError> {
        let Some(end) = self
            .buffer
            .iter()
            .take(MAX_LINE)
            .position(|byte| *byte == b'\n')
        else {
            if self.buffer.len() >= MAX_LINE {
                return Err(broken("a line is too long"));
            }
            return Ok(None);
        };
        let line = self.buffer.split_to(end + 1);
        let text = std::str::from_utf8(&line).map_err(|_| broken("a line is not text"))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn trailer(&mut self, line: &str) -> Result<(), ServeError> {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| broken("a trailer has no colon"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        self.trailer_lines += 1;
        if self.trailer_lines > MAX_TRAILERS {
            return Err(broken("there are more than 16 trailers"));
        }
        if self.trailers.contains_key(TRAILER_SIGNATURE) {
            return Err(broken("trailers follow their signature"));
        }
        if name == TRAILER_SIGNATURE {
            self.check_trailers(value)?;
        } else {
            self.signed_text.push_str(&format!("{name}:{value}\n"));
        }
        self.trailers.insert(name, value.to_owned());
        Ok(())
    }

    fn check_chunk(&mut self, given: &str) -> Result<(), ServeError> {
        let hash = hex::encode(std::mem::take(&mut self.hash).finalize());
        let empty = hex::encode(Sha256::digest(b""));
        self.check(
            "AWS4-HMAC-SHA256-PAYLOAD",
            &format!("{empty}\n{hash}"),
            given,
        )
    }

    fn check_trailers(&mut self, given: &str) -> Result<(), ServeError> {
        let hash = hex::encode(Sha256::digest(self.signed_text.as_bytes()));
        self.check("AWS4-HMAC-SHA256-TRAILER", &hash, given)
    }

    fn check(&mut self, algorithm: &str, rest: &str, given: &str) -> Result<(), ServeError> {
        let Some(signer) = &mut self.signer else {
            return Ok(());
        };
        let text = format!(
            "{algorithm}\n{}\n{}\n{}\n{rest}",
            signer.date, signer.scope, signer.previous
        );
        if !same(
            &hex::encode(hmac_sha256(&signer.key, text.as_bytes())),
            given,
        ) {
            return Err(ServeError::new(
                Code::SignatureDoesNotMatch,
                "The signature of a chunk does not match.",
            )
            .with("SignatureProvided", given.to_owned())
            .with("StringToSign", text));
        }
        given.clone_into(&mut signer.previous);
        Ok(())
    }

    /// The trailers, once the whole frame was there. Signed trailers must have been signed.
    pub fn finish(self) -> Result<BTreeMap<String, String>, ServeError> {
        let complete = match self.state {
            State::Done => true,
            // Without trailers the closing line end is optional in practice.
            State::Trailers => self.buffer.is_empty(),
            State::SignatureDue => self.buffer.iter().all(|byte| *byte == b'\r'),
            State::Header | State::Data { .. } | State::DataEnd { .. } => false,
        };
        if !complete {
            return Err(broken("it ends before its last chunk"));
        }
        let signed = self.trailers.contains_key(TRAILER_SIGNATURE);
        if self.signer.is_some() && !self.signed_text.is_empty() && !signed {
            return Err(broken("its trailers are not signed"));
        }
        Ok(self.trailers)
    }
}

fn broken(what: &str) -> ServeError {
    ServeError::new(
        Code::IncompleteBody,
        format!("The aws-chunked body is broken: {what}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unframe(
        framing: Framing,
        body: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, BTreeMap<String, String>), ServeError> {
        let mut unframer = Unframer::new(framing);
        let mut payload = Vec::new();
        for part in body.chunks(piece) {
            for bytes in unframer.feed(Bytes::copy_from_slice(part))? {
                payload.extend_from_slice(&bytes);
            }
        }
        Ok((payload, unframer.finish()?))
    }

    #[test]
    fn frames_come_off_wherever_the_pieces_are_cut() {
        let body = b"5\r\nhello\r\n7\r\n, world\r\n0\r\nx-amz-checksum-crc32:xxxx\r\n\r\n";
        for piece in 1..=body.len() {
            let (payload, trailers) = unframe(Framing::unsigned(), body, piece).expect("whole");
            assert_eq!(payload, b"hello, world");
            assert_eq!(
                trailers.get("x-amz-checksum-crc32").map(String::as_str),
                Some("xxxx")
            );
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        for body in [
            "5\r\nhel",
            "5\r\nhelloXX0\r\n\r\n",
            "zz\r\n",
            "140000001\r\n",
            "0\r\n\r\nmore",
            "0\r\nno-colon\r\n\r\n",
            &format!("{}\r\n", "0".repeat(MAX_LINE)),
        ] {
            assert!(
                unframe(Framing::unsigned(), body.as_bytes(), 3).is_err(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn trailers_are_bounded() {
        let body = |count: usize| {
            let trailers: String = (0..count)
                .map(|number| format!("t{number}:v\r\n"))
                .collect();
            format!("0\r\n{trailers}\r\n")
        };
        assert!(unframe(Framing::unsigned(), body(MAX_TRAILERS).as_bytes(), 7).is_ok());
        assert!(unframe(Framing::unsigned(), body(MAX_TRAILERS + 1).as_bytes(), 7).is_err());
        let one_name = format!("0\r\n{}\r\n", "t:v\r\n".repeat(MAX_TRAILERS + 1));
        assert!(unframe(Framing::unsigned(), one_name.as_bytes(), 7).is_err());
    }

    #[test]
    fn no_trailer_follows_the_signature_of_the_trailers() {
        let key = b"key".to_vec();
        let mut previous = "00".to_owned();
        let mut sign = |algorithm: &str, rest: &str| {
            let text = format!("{algorithm}\nd\ns\n{previous}\n{rest}");
            previous = hex::encode(hmac_sha256(b"key", text.as_bytes()));
            previous.clone()
        };
        let hash = |text: &str| hex::encode(Sha256::digest(text));
        let chunk = sign(
            "AWS4-HMAC-SHA256-PAYLOAD",
            &format!("{}\n{}", hash(""), hash("")),
        );
        let trailers = sign("AWS4-HMAC-SHA256-TRAILER", &hash("a:1\n"));
        let body =
            format!("0;chunk-signature={chunk}\r\na:1\r\nx-amz-trailer-signature:{trailers}\r\n");
        let framing = Framing::signed_from(key, "d", "s", "00");
        let whole = format!("{body}\r\n");
        assert!(unframe(framing.clone(), whole.as_bytes(), 7).is_ok());
        let more = format!("{body}b:2\r\n\r\n");
        let refused = unframe(framing, more.as_bytes(), 7).expect_err("nobody signed b");
        assert_eq!(refused.code, "IncompleteBody");
    }

    /// As minio-go writes it (`addSignedTrailer` of its signer), with the body `hello`.
    #[test]
    fn an_empty_line_may_stand_between_the_trailers_and_their_signature() {
        let framing = Framing::signed_from(b"key".to_vec(), "d", "s", "00");
        let trailer = "x-amz-checksum-crc32c:mnG7TA==\n\r\n";
        let first = "9ccaa482bdb4f426b91775f222a139732bd9b50554f905f40e7e1fe7879ab0d6";
        let last = "3ab24c65782da0a07238d9ff27da114ac2b09b6006dd1a21a560ec2075654cd7";
        let body =
            format!("5;chunk-signature={first}\r\nhello\r\n0;chunk-signature={last}\r\n{trailer}");
        let signature = "x-amz-trailer-signature:554ed9bc3193c154981c8ed8a8f731c88650052591da12a38d6fc159327dd8f8";
        let whole = format!("{body}{signature}\r\n\r\n");
        for piece in 1..=whole.len() {
            let (payload, trailers) =
                unframe(framing.clone(), whole.as_bytes(), piece).expect("signed");
            assert_eq!(payload, b"hello");
            assert_eq!(
                trailers.get("x-amz-checksum-crc32c").map(String::as_str),
                Some("mnG7TA==")
            );
            assert!(unframe(Framing::unsigned(), whole.as_bytes(), piece).is_ok());
        }
        for more in [
            "",
            "\r\n",
            "x-amz-trailer-signature:00\r\n\r\n",
            "b:2\r\n\r\n",
            &format!("\r\n{signature}\r\n\r\n"),
            &format!("b:2\r\n{signature}\r\n\r\n"),
            &format!("{signature}\r\nb:2\r\n\r\n"),
            &format!("{signature}\r\n{signature}\r\n\r\n"),
            &format!("{signature}\r\n\r\nmore"),
        ] {
            let refused = unframe(framing.clone(), format!("{body}{more}").as_bytes(), 7);
            assert!(refused.is_err(), "{more:?}");
        }
        for more in ["more", "b:2\r\n\r\n"] {
            let refused = unframe(Framing::unsigned(), format!("{body}{more}").as_bytes(), 7);
            assert!(refused.is_err(), "{more:?}");
        }
    }

    /// The worked example of Amazon's documentation of chunked uploads.
    #[test]
    fn the_published_chunk_signatures_verify() {
        let key = ["20130524", "us-east-1", "s3", "aws4_request"].iter().fold(
            b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_vec(),
            |key, part| hmac_sha256(&key, part.as_bytes()),
        );
        let framing = Framing::signed_from(
            key,
            "20130524T000000Z",
            "20130524/us-east-1/s3/aws4_request",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        );
        let mut body = Vec::new();
        for (size, signature) in [
            (
                65536,
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            ),
            (
                1024,
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            ),
            (
                0,
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ),
        ] {
            body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
            body.extend(std::iter::repeat_n(b'a', size));
            body.extend_from_slice(b"\r\n");
        }
        let (payload, _) = unframe(framing.clone(), &body, 1000).expect("signed");
        assert_eq!(payload.len(), 66_560);
        body[200] = b'b';
        assert_eq!(
            unframe(framing, &body, 1000).expect_err("changed").code,
            "SignatureDoesNotMatch"
        );
    }
}
