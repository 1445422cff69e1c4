//! Percent-encoding as the gateway signs it: RFC 3986 section 2, unreserved characters stay, everything else is `%XX`.
//!
//! What: encoding into a reused buffer, encoding twice in one go (the V1 string to sign holds an encoded copy of an already
//! encoded text), and decoding of form pairs, where `+` is a space (WHATWG URL, application/x-www-form-urlencoded).
//! Why our own: signatures need upper-case digits and exactly this character set, and a decoder that refuses bad input
//! instead of passing it on.

use std::borrow::Cow;

use thiserror::Error;

/// What can be wrong with an encoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// `%` without two hexadecimal digits after it.
    #[error("a percent sign without two hexadecimal digits")]
    BadEscape,
    /// The decoded bytes are no UTF-8.
    #[error("the decoded bytes are not UTF-8")]
    NotUtf8,
}

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const UNRESERVED: [bool; 256] = unreserved();

/// RFC 3986 section 2.3.
const fn unreserved() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        byte += 1;
    }
    table
}

fn is_unreserved(byte: u8) -> bool {
    UNRESERVED.get(usize::from(byte)) == Some(&true)
}

fn hex_digit(nibble: u8) -> char {
    UPPER
        .get(usize::from(nibble & 0x0f))
        .map_or('0', |digit| char::from(*digit))
}

/// Appends `text`, encoded.
pub fn encode_into(out: &mut String, text: &str) {
    escape_into(out, text, "%");
}

/// Appends `text`, encoded, and the result encoded once more.
pub fn encode_twice_into(out: &mut String, text: &str) {
    escape_into(out, text, "%25");
}

/// Most texts need no escape, or few: what lies between is copied in one piece.
fn escape_into(out: &mut String, text: &str, percent: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_unreserved(byte)) {
        let (plain, from) = rest.split_at(at);
        let end = from.bytes().position(is_unreserved).unwrap_or(from.len());
        let (reserved, after) = from.split_at(end);
        out.push_str(plain);
        for byte in reserved.bytes() {
            out.push_str(percent);
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte));
        }
        rest = after;
    }
    out.push_str(rest);
}

/// The encoded text on its own.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(&mut out, text);
    out
}

/// Decodes one key or value of a query or a form; nothing is copied where nothing is encoded.
///
/// # Errors
/// An escape that is none, or bytes that are no UTF-8.
pub fn decode(text: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    let encoded = |byte: &u8| matches!(byte, b'+' | b'%');
    if !text.iter().any(encoded) {
        let plain = std::str::from_utf8(text).map_err(|_| DecodeError::NotUtf8)?;
        return Ok(Cow::Borrowed(plain));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(encoded) {
        let (plain, from) = rest.split_at(at);
        bytes.extend_from_slice(plain);
        rest = match from {
            [b'+', after @ ..] => {
                bytes.push(b' ');
                after
            }
            [_, high, low, after @ ..] => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                after
            }
            _ => return Err(DecodeError::BadEscape),
        };
    }
    bytes.extend_from_slice(rest);
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| DecodeError::NotUtf8)
}

fn digit(hex: u8) -> Result<u8, DecodeError> {
    match hex {
        b'0'..=b'9' => Ok(hex - b'0'),
        b'a'..=b'f' => Ok(hex - b'a' + 10),
        b'A'..=b'F' => Ok(hex - b'A' + 10),
        _ => Err(DecodeError::BadEscape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_unreserved_stay() {
        assert_eq!(encode("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(
            encode("a b*~中文+/%"),
            "a%20b%2A~%E4%B8%AD%E6%96%87%2B%2F%25"
        );
        assert_eq!(encode("🎥"), "%F0%9F%8E%A5");
    }

    #[test]
    fn every_spelling_of_a_client_decodes_to_the_same_text() {
        for spelling in ["a+b*~%2f", "a%20b%2A%7E/", "a+b%2a~%2F"] {
            assert_eq!(decode(spelling.as_bytes()).unwrap(), "a b*~/");
        }
    }

    #[test]
    fn bad_escapes_and_bad_utf8_are_refused() {
        for bad in ["%", "a%2", "%zz", "%+1", "%2"] {
            assert_eq!(decode(bad.as_bytes()), Err(DecodeError::BadEscape), "{bad}");
        }
        assert_eq!(decode(b"%ff"), Err(DecodeError::NotUtf8));
        assert_eq!(decode(b"\xe4\xb8"), Err(DecodeError::NotUtf8));
    }

    /// The plain way to decode.
    fn byte_by_byte(text: &[u8]) -> Result<String, DecodeError> {
        let (mut bytes, mut rest) = (Vec::new(), text.iter().copied());
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    let (high, low) = (digit(), digit());
                    let value = high.zip(low).map(|(high, low)| high * 16 + low);
                    u8::try_from(value.ok_or(DecodeError::BadEscape)?).unwrap()
                }
                plain => plain,
            });
        }
        String::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "\\PC*") {
            let encoded = encode(&text);
            prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), text);
        }

        #[test]
        fn twice_is_once_and_once_more(text in "\\PC*") {
            let mut twice = String::new();
            encode_twice_into(&mut twice, &text);
            prop_assert_eq!(twice, encode(&encode(&text)));
        }

        #[test]
        fn any_bytes_decode_as_byte_by_byte(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes).map(Cow::into_owned), byte_by_byte(&bytes));
        }

        #[test]
        fn any_escapes_decode_as_byte_by_byte(text in "[%+a-zA-Z0-9é]{0,40}") {
            prop_assert_eq!(decode(text.as_bytes()).map(Cow::into_owned), byte_by_byte(text.as_bytes()));
        }
    }
}
