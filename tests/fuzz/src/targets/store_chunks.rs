//! `aws-chunked` bodies: the payload is the same however the body is cut, what is framed here comes off again, and a signed
//! body with one changed byte is refused.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use localyun::testing::objects::serve::fuzz::{signing_key, unframe};
use sha2::{Digest, Sha256};

use crate::input::{Dice, Input, owned};

const DATE: &str = "20261122T151056Z";
const SCOPE: &str = "20261122/cn-shanghai/s3/aws4_request";
const REQUEST: &str = "00";

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

struct Signer {
    key: Vec<u8>,
    previous: String,
}

impl Signer {
    fn sign(&mut self, algorithm: &str, rest: &str) -> String {
        let text = format!("{algorithm}\n{DATE}\n{SCOPE}\n{}\n{rest}", self.previous);
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.update(text.as_bytes());
        self.previous = hex::encode(mac.finalize().into_bytes());
        self.previous.clone()
    }

    fn chunk(&mut self, bytes: &[u8]) -> String {
        self.sign(
            "AWS4-HMAC-SHA256-PAYLOAD",
            &format!("{}\n{}", hash(b""), hash(bytes)),
        )
    }
}

fn framed(dice: &mut Dice, payload: &[u8], key: &[u8], trailers: bool) -> Vec<u8> {
    let mut signer = Signer {
        key: key.to_vec(),
        previous: REQUEST.to_owned(),
    };
    let mut body = Vec::new();
    for chunk in dice.pieces(payload).into_iter().chain([&[][..]]) {
        let signature = signer.chunk(chunk);
        body.extend_from_slice(
            format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes(),
        );
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if trailers {
        let line = "x-amz-checksum-crc32:AAAAAA==";
        let signature = signer.sign(
            "AWS4-HMAC-SHA256-TRAILER",
            &hash(format!("{line}\n").as_bytes()),
        );
        body.extend_from_slice(
            format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(b"\r\n");
    body
}

fn signed_mode(mode: u8, dice: &mut Dice, payload: &[u8]) {
    let key = signing_key(true, "testsecret", SCOPE);
    let signer = Some((key.as_slice(), DATE, SCOPE, REQUEST));
    let mut body = framed(dice, payload, &key, mode & 4 != 0);
    let pieces = owned(&dice.pieces(&body));
    let (got, trailers) = unframe(&pieces, signer).expect("a body as clients send it");
    assert_eq!(got, payload);
    assert_eq!(trailers.len(), if mode & 4 != 0 { 2 } else { 0 });
    if mode & 4 != 0 {
        let mut more = body[..body.len() - 2].to_vec();
        more.extend_from_slice(b"x-amz-checksum-crc32:BBBBBB==\r\n\r\n");
        assert!(
            unframe(&[Bytes::from(more)], signer).is_err(),
            "a trailer behind the signature"
        );
    }
    // Another byte anywhere: refused, or no part of what counts (a line end, the case of a size).
    let at = dice.below(body.len());
    body[at] ^= 1 << dice.below(8);
    if let Ok((got, trailers)) = unframe(&[Bytes::from(body)], signer) {
        assert_eq!(got, payload, "a changed byte at {at} was let pass");
        let crc = trailers.get("x-amz-checksum-crc32");
        assert!(crc.is_none_or(|crc| crc == "AAAAAA=="), "{crc:?}");
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mode, seed) = (input.u8(), input.u8());
    let mut dice = Dice::new(seed.into());
    let body = input.rest();
    if mode & 1 == 0 {
        let key = signing_key(true, "testsecret", SCOPE);
        let signer = (mode & 2 != 0).then_some((key.as_slice(), DATE, SCOPE, REQUEST));
        let whole = unframe(&[Bytes::copy_from_slice(body)], signer);
        let cut = unframe(&owned(&dice.pieces(body)), signer);
        if let Ok((payload, trailers)) = &whole {
            assert!(payload.len() < body.len());
            assert!(trailers.len() <= 16);
            // Nobody signed this input.
            assert!(signer.is_none(), "an unsigned body was let pass");
        }
        assert_eq!(whole, cut);
        return;
    }
    signed_mode(mode, &mut dice, body);
}
